"""Processes that are known again, and ended, by pid and start time."""

import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

from cluster import processes

pytestmark = pytest.mark.process

STAT = "42 (a (b) c) {state} 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 1000 10"
SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
STUBBORN = [sys.executable, "-c", "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"]


def test_the_start_time_is_found_behind_a_name_with_parentheses() -> None:
    assert processes.start_time(STAT.format(state="S")) == 98765


def test_a_zombie_is_dead() -> None:
    assert processes.start_time(STAT.format(state="Z")) is None


def test_a_process_is_started_recorded_and_stopped(tmp_path: Path) -> None:
    process = processes.start(SLEEP, tmp_path / "sleep.log", os.environ)
    processes.record(tmp_path, "sleep", process)
    found = processes.all_recorded(tmp_path)
    assert found == {"sleep": process}
    assert processes.is_running(process)
    processes.stop_all(found.values())
    assert not processes.is_running(process)


def test_a_process_that_will_not_end_is_killed(tmp_path: Path) -> None:
    process = processes.start(STUBBORN, tmp_path / "sleep.log", os.environ)
    processes.stop_all([process], seconds=0.2)
    assert not processes.is_running(process)


def test_another_process_with_the_same_pid_is_left_alone() -> None:
    stranger = replace(processes.Process(os.getpid(), 1, ()), start_time=1)
    assert not processes.is_running(stranger)
    processes.signal_process(stranger, signal.SIGKILL)  # it would be this test that ends


@pytest.mark.parametrize("text", ["", "{}", "no json", '{"pid": "x"}'])
def test_an_unreadable_record_counts_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "etcd.json").write_text(text)
    assert processes.recorded(tmp_path, "etcd") is None


def test_a_child_dies_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    program = textwrap.dedent(
        """
        import os, sys
        from pathlib import Path
        from cluster import processes
        command = [sys.executable, "-c", "import time; time.sleep(900)"]
        child = processes.start(command, Path(sys.argv[1]), os.environ, dies_with_us=True)
        print(child.pid, child.start_time, flush=True)
        sys.stdin.read()
        """
    )
    environment = os.environ | {"PYTHONPATH": str(Path(processes.__file__).parent.parent)}
    command = [sys.executable, "-c", program, str(tmp_path / "log")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True) as parent:
        assert parent.stdout is not None
        pid, started = map(int, parent.stdout.readline().split())
        child = processes.Process(pid, started, ())
        assert processes.is_running(child)
        parent.kill()
    try:
        assert processes.wait_gone([child], seconds=120.0) == [], "it would have ended by itself after fifteen minutes"
    finally:
        processes.signal_process(child, signal.SIGKILL)
