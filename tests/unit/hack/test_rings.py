"""The end of `make test` says what failed and why: where it runs for others, they see little more than its end."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

SCRIPT = Path(__file__).parents[3] / "hack" / "test.sh"
MAKEFILE = """
good:
\t@echo all is well
lint:
\t@seq 1 100; echo "a.py:3: error: wrong"; exit 1
tests:
\t@cat output; exit 1
"""
TRACEBACK = "\n".join(f"    line {number}" for number in range(200))
OUTPUT = f"""
=================================== ERRORS ====================================
________________ ERROR at setup of test_that_cannot_begin _________________
E       RuntimeError: no port is free
=================================== FAILURES ===================================
_ test_of_a_name_that_is_as_long_as_the_line_allows _
>       assert answer == 200
E       assert 503 == 200
{TRACEBACK}
------------------------------ Captured stderr call -----------------------------
ERROR podium: the model does not fit
{
    "".join(
        f'''__________________ test_number_{number} __________________
E       AssertionError: number {number}
'''
        for number in range(9)
    )
}
=========================== short test summary info ============================
FAILED tests/test_a.py::test_of_a_name_that_is_as_long_as_the_line_allows
========================= 11 failed in 3.21s =========================
"""


def told(folder: Path, *lanes: str) -> "subprocess.CompletedProcess[str]":
    (folder / "hack").mkdir()
    shutil.copy(SCRIPT, folder / "hack" / "test.sh")
    (folder / "Makefile").write_text(MAKEFILE)
    (folder / "output").write_text(OUTPUT)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(
        ["bash", "hack/test.sh", *lanes],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_rings_that_pass_are_a_line_each(tmp_path: Path) -> None:
    done = told(tmp_path, "good")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-2].startswith("good               passed in ")
    assert done.stdout.splitlines()[-1].startswith("all of it passed in ")
    assert "failed" not in done.stdout


def test_of_a_failure_the_end_has_the_assertion_and_what_its_processes_wrote(tmp_path: Path) -> None:
    done = told(tmp_path, "good", "tests")
    assert done.returncode == 1
    end = done.stdout.partition("\n== tests failed\n")[2]
    assert "---- ERROR at setup of test_that_cannot_begin ----\nE       RuntimeError: no port is free\n" in end
    said = end.partition("---- test_of_a_name_that_is_as_long_as_the_line_allows ----\n")[2].partition("\n---- ")[0]
    assert said.startswith("E       assert 503 == 200\n")
    assert "ERROR podium: the model does not fit" in said
    assert "    line 199\n" in said
    assert len(said.splitlines()) <= 60
    assert "---- and 3 more ----" in end
    assert "    FAILED tests/test_a.py::test_of_a_name_that_is_as_long_as_the_line_allows" in end.splitlines()[-4:]
    assert end.splitlines()[-1].startswith("all of it FAILED in ")


def test_of_a_ring_that_is_no_tests_the_end_has_its_last_lines(tmp_path: Path) -> None:
    end = told(tmp_path, "lint").stdout.partition("\n== lint failed\n")[2]
    assert end.startswith("73\n")
    assert "a.py:3: error: wrong\n" in end
