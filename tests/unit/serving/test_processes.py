"""Children of a container's first process: those that it adopted leave no trace, its own are left to who waits for them."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.process

FIRST_PROCESS = """
import ctypes, os, subprocess, sys, time
from podium_serving import processes
ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER: adopts as a container's first process does
mine = subprocess.Popen([sys.executable, "-c", ""])
processes.own(mine.pid)
parent = subprocess.Popen(["sh", "-c", "sleep 0.1 & echo $!"], stdout=subprocess.PIPE, text=True)
orphan = int(parent.communicate()[0])
end = time.monotonic() + 60
while (reaped := processes.reap_adopted()) != [orphan]:
    assert reaped == [] and time.monotonic() < end, reaped
    time.sleep(0.02)
assert orphan not in processes.children() and mine.pid in processes.children()
assert mine.wait() == 0
"""


def test_the_first_process_of_a_container_takes_the_ended_children_of_others_and_leaves_its_own() -> None:
    done = subprocess.run([sys.executable, "-c", FIRST_PROCESS], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
