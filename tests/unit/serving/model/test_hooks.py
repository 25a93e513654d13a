"""transform.py in its processes: who is joined, who is told of an error, and what is left of a process that misbehaves."""

import asyncio
import contextlib
import gc
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from podium_serving import processes
from podium_serving.exchange import Columns, DeadlineExceeded, HookFailed, NotServing, Overloaded
from podium_serving.model.hook_pool import pause_seconds
from podium_serving.model.hooks import Hooks
from podium_serving.settings import ModelSettings
from serving_fixtures import weighted_sum_descriptor
from swap_fixtures import eventually

pytestmark = pytest.mark.process

LATER = float("inf")
COUNTING = """
import os
def before(columns):
    rows = len(columns["x0"])
    if (columns["x0"] == 13).any():
        raise ValueError("13 is no good")
    return {"x0": columns["x0"] + 100, "x1": columns["x1"] * 0 + rows}
"""
WHO = """
import os, time
def before(columns):
    time.sleep(0.3)
    return {name: column * 0 + os.getpid() for name, column in columns.items()}
"""


def columns(*values: float) -> Columns:
    array = np.array([[value] for value in values], np.float64)
    return {"x0": array, "x1": array.copy()}


@contextlib.asynccontextmanager
async def running(folder: Path, code: str, **settings: Any) -> AsyncIterator[Hooks]:
    path = folder / "transform.py"
    path.write_text(code)
    wide = weighted_sum_descriptor(changes={"inputs": [_double("x0"), _double("x1")]})
    hooks = await Hooks.start(
        path, list(wide.inputs), list(wide.outputs), ModelSettings(**{"hook_timeout_seconds": 60.0, **settings})
    )
    try:
        yield hooks
    finally:
        await hooks.close()


def _double(name: str) -> dict[str, Any]:
    return {"name": name, "datatype": "FP64", "shape": [-1, 1]}


async def before(hooks: Hooks, *values: float, deadline: float = LATER) -> list[list[float]]:
    changed, _ = await hooks.before(columns(*values), len(values), deadline)
    return [changed[name].ravel().tolist() for name in ("x0", "x1")]


async def test_what_waits_in_one_turn_is_one_call_and_each_gets_its_rows(tmp_path: Path) -> None:
    async with running(tmp_path, COUNTING) as hooks:
        answers = await asyncio.gather(*(before(hooks, *values) for values in ([1], [2, 3], [4])))
        assert answers == [[[101], [4]], [[102, 103], [4, 4]], [[104], [4]]]


async def test_a_joined_call_ends_at_the_limit_of_rows(tmp_path: Path) -> None:
    async with running(tmp_path, COUNTING, max_batch_rows=3) as hooks:
        answers = await asyncio.gather(*(before(hooks, value) for value in range(5)))
        assert [rows for _, (rows,) in answers] == [3, 3, 3, 2, 2]


async def test_a_row_that_makes_a_hook_raise_fails_alone(tmp_path: Path) -> None:
    async with running(tmp_path, COUNTING) as hooks:
        answers = await asyncio.gather(*(before(hooks, value) for value in range(20)), return_exceptions=True)
        failed = answers.pop(13)
        assert str(failed) == "before() of transform.py raised ValueError: 13 is no good (transform.py, line 6)"
        assert [answer[0][0] for answer in answers if isinstance(answer, list)] == [*range(100, 113), *range(114, 120)]


async def test_rows_of_different_shapes_are_not_joined(tmp_path: Path) -> None:
    path = tmp_path / "transform.py"
    path.write_text("def before(columns):\n    return {'x': columns['x'] * 0 + len(columns['x'])}\n")
    spec = weighted_sum_descriptor(changes={"inputs": [{"name": "x", "datatype": "FP64", "shape": [-1, -1]}]})
    hooks = await Hooks.start(path, list(spec.inputs), list(spec.outputs), ModelSettings())
    shapes = [(1, 2), (1, 2), (1, 3)]
    answers = await asyncio.gather(*(hooks.before({"x": np.ones(shape)}, 1, LATER) for shape in shapes))
    assert [changed["x"].tolist() for changed, _ in answers] == [[[2, 2]], [[2, 2]], [[1, 1, 1]]]
    await hooks.close()


async def test_several_processes_answer_side_by_side(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    waits_for_the_others = WHO.replace(
        "time.sleep(0.3)",
        f"""here = {str(tmp_path / "here")!r}
    open(f"{{here}}/{{os.getpid()}}", "w").close()
    while len(os.listdir(here)) < 3:
        time.sleep(0.01)""",
    )
    async with running(tmp_path, waits_for_the_others, hook_processes=3, max_batch_rows=1) as hooks:
        answers = await asyncio.gather(*(before(hooks, value) for value in range(3)))
        assert len({who for _, (who,) in answers}) == 3


async def test_a_call_that_takes_long_is_spread_over_the_free_processes(tmp_path: Path) -> None:
    async with running(tmp_path, WHO, hook_processes=2) as hooks:
        await before(hooks, 1)
        answers = await asyncio.gather(*(before(hooks, value) for value in range(6)))
        assert len({who for _, (who,) in answers}) == 2


async def test_a_bad_row_that_kills_its_process_leaves_its_company_answered(tmp_path: Path) -> None:
    code = COUNTING.replace('raise ValueError("13 is no good")', "os._exit(3)")
    async with running(tmp_path, code) as hooks:
        answers = await asyncio.gather(*(before(hooks, value) for value in (1, 13, 2)), return_exceptions=True)
        assert str(answers[1]) == "the process of transform.py died in before() with exit code 3"
        assert [answers[0], answers[2]] == [[[101], [1]], [[102], [1]]]
        assert hooks.restarts >= 2


async def test_a_process_that_was_killed_between_calls_is_made_anew(tmp_path: Path) -> None:
    async with running(tmp_path, WHO) as hooks:
        _, (pid,) = await before(hooks, 1)
        os.kill(int(pid), signal.SIGKILL)
        await eventually(lambda: hooks.restarts == 1)
        _, (other,) = await before(hooks, 1)
        assert other != pid


async def test_a_hanging_process_and_what_it_started_are_killed_and_the_others_go_on(tmp_path: Path) -> None:
    code = (
        "import subprocess, time\ndef before(columns):\n    if (columns['x0'] == 13).any():\n"
        f"        open({str(tmp_path / 'pid')!r}, 'w').write(str(subprocess.Popen(['sleep', '60']).pid))\n"
        "        time.sleep(60)\n    return columns\n"
    )
    async with running(tmp_path, code, hook_processes=2, hook_timeout_seconds=10.0) as hooks:
        hanging = asyncio.ensure_future(before(hooks, 13))
        await eventually(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text() != "")
        assert await before(hooks, 1) == [[1], [1]]
        with pytest.raises(HookFailed, match=r"^before\(\) of transform.py took longer than 10 s and was stopped$"):
            await hanging
        grandchild = int((tmp_path / "pid").read_text())
        await eventually(lambda: _state_of(grandchild) in ("", "Z"))


def _state_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


async def test_a_deadline_ends_waiting_and_a_full_queue_refuses(tmp_path: Path) -> None:
    go_on = tmp_path / "go on"
    held = WHO.replace("time.sleep(0.3)", f"while not os.path.exists({str(go_on)!r}):\n        time.sleep(0.01)")
    async with running(tmp_path, held, max_queue_rows=2, max_batch_rows=1) as hooks:
        first = asyncio.ensure_future(before(hooks, 1))
        await asyncio.sleep(0.05)
        with pytest.raises(DeadlineExceeded, match=r"transform.py did not answer before the request's deadline"):
            await before(hooks, 2, 3, deadline=time.monotonic() + 0.02)
        waiting = asyncio.ensure_future(before(hooks, 2, 3))
        await asyncio.sleep(0)
        with pytest.raises(Overloaded, match=r"2 rows wait for transform.py, at most 2 may: try again"):
            await before(hooks, 4)
        go_on.touch()
        await asyncio.gather(first, waiting)


async def test_a_cancelled_caller_strands_nobody(tmp_path: Path) -> None:
    async with running(tmp_path, COUNTING) as hooks:
        callers = [asyncio.ensure_future(before(hooks, value)) for value in range(3)]
        await asyncio.sleep(0)
        callers[1].cancel()
        assert await callers[0] == [[100], [2]]
        assert await callers[2] == [[102], [2]]


@pytest.mark.parametrize(
    ("deaths", "seconds"), [(0, 0.0), (1, 0.0), (2, 0.1), (3, 0.2), (8, 6.4), (9, 10.0), (500, 10.0), (5000, 10.0)]
)
def test_processes_that_die_young_are_replaced_later_each_time(deaths: int, seconds: float) -> None:
    assert pause_seconds(deaths) == seconds


async def test_a_transform_that_no_longer_starts_fails_its_callers_at_once_and_is_not_started_in_a_rush(
    tmp_path: Path,
) -> None:
    starts = tmp_path / "starts"
    code = (
        f"import os\nwith open({str(starts)!r}, 'a') as file:\n    file.write('x')\n"
        f"assert os.path.getsize({str(starts)!r}) < 2, 'not twice'\ndef before(columns):\n    os._exit(1)\n"
    )
    async with running(tmp_path, code) as hooks:
        with pytest.raises(HookFailed, match="died in before"):
            await before(hooks, 1)
        with pytest.raises(HookFailed, match=r"transform.py cannot be imported: AssertionError: not twice"):
            await before(hooks, 1)
        began, count = time.monotonic(), starts.stat().st_size
        await asyncio.sleep(1.0)
        seconds = time.monotonic() - began
        assert starts.stat().st_size - count <= 4 + int(seconds / 0.8), f"in {seconds:.1f} s"


async def test_a_process_that_writes_no_messages_is_replaced(tmp_path: Path) -> None:
    code = (
        "import os\ndef before(columns):\n"
        "    for number in range(3, 4096):\n        try:\n            os.write(number, b'\\xff' * 64)\n"
        "        except OSError:\n            pass\n    return columns\n"
    )
    async with running(tmp_path, code) as hooks:
        with pytest.raises(HookFailed, match=r"died in before\(\)"):
            await before(hooks, 1)
        await eventually(lambda: hooks.restarts == 1)


async def test_text_goes_through_and_what_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "transform.py"
    path.write_text(
        "import numpy\ndef before(columns):\n    if columns['s'][0, 0] == 'n':\n"
        "        return {'s': numpy.array([[1]], object)}\n"
        "    return {'s': [[text.upper()] for text in columns['s'].ravel()]}\n"
    )
    spec = weighted_sum_descriptor(changes={"inputs": [{"name": "s", "datatype": "BYTES", "shape": [-1, 1]}]})
    hooks = await Hooks.start(path, list(spec.inputs), list(spec.outputs), ModelSettings())
    text = np.array([["ä"], [""]], object)
    changed, _ = await hooks.before({"s": text}, 2, LATER)
    assert changed["s"].tolist() == [["Ä"], [""]]
    with pytest.raises(HookFailed, match=r"'s' holds 1, must be \[-1, 1\] BYTES"):
        await hooks.before({"s": np.array([["n"]], object)}, 1, LATER)
    await hooks.close()


async def test_closing_refuses_what_waits_and_leaves_no_process_and_no_descriptor(tmp_path: Path) -> None:
    async with running(tmp_path, WHO, hook_processes=1):
        pass  # what asyncio opens once for all is open now
    gc.collect()
    descriptors, before_that = len(os.listdir("/proc/self/fd")), set(processes.children())
    async with running(tmp_path, WHO.replace("0.3", "60"), hook_processes=2, max_batch_rows=1) as hooks:
        assert len(set(processes.children()) - before_that) == 2
        assert hooks.memory_bytes > 2_000_000
        callers = [asyncio.ensure_future(before(hooks, value)) for value in range(4)]
        await asyncio.sleep(0.05)
        await hooks.close()
        answers = await asyncio.gather(*callers, return_exceptions=True)
        assert {type(answer) for answer in answers} == {NotServing}
        with pytest.raises(NotServing):
            await before(hooks, 1)
    await eventually(lambda: set(processes.children()) <= before_that)
    await eventually(lambda: len(os.listdir("/proc/self/fd")) <= descriptors)
