"""A real package in memory: loading, golden rows, hooks in their own process, and putting it away."""

import asyncio
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from podium_serving.exchange import Columns, DeadlineExceeded, HookFailed, NotServing
from podium_serving.model.loaded import LoadedModel
from podium_serving.model.package import InvalidPackage
from podium_serving.settings import ModelSettings
from serving_fixtures import make_package

pytestmark = pytest.mark.process

SETTINGS = ModelSettings(hook_timeout_seconds=60.0)


def columns(*values: float) -> Columns:
    return {f"x{index}": np.array([[value]], np.float32) for index, value in enumerate(values)}


def soon(seconds: float = 60.0) -> float:
    return time.monotonic() + seconds


async def loaded(folder: Path, settings: ModelSettings = SETTINGS, **package: Any) -> LoadedModel:
    make_package(folder, **package)
    return await LoadedModel.load(folder, settings)


async def test_a_package_answers_by_its_weights_and_reproduces_its_golden_rows(tmp_path: Path) -> None:
    rows: list[int] = []
    digest = make_package(tmp_path, weights=[2, 3])
    model = await LoadedModel.load(tmp_path, SETTINGS, rows.append)
    assert model.digest == digest
    assert model.loaded_bytes > 0
    verdict = await model.reproduce()
    assert (verdict.passed, verdict.rows) == (True, 8)
    outputs, timing = await model.infer(columns(1, 2), 1, soon())
    assert outputs["score"].tolist() == [[8.0]]
    assert timing.inference_seconds > 0
    assert rows == [8, 1]
    await model.close()
    with pytest.raises(NotServing):
        await model.infer(columns(1, 2), 1, soon())


async def test_golden_rows_that_differ_fail_with_the_worst_row(tmp_path: Path) -> None:
    model = await loaded(tmp_path, golden_offset=0.5)
    verdict = await model.reproduce()
    assert (verdict.passed, verdict.failed_rows) == (False, 8)
    assert verdict.worst.startswith("row ")
    await model.close()


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        pytest.param(
            [{"name": "x0", "datatype": "FP64", "shape": [-1, 1]}],
            "podium.yaml says input 'x0' is [-1, 1] FP64, model.onnx has [-1, 1] FP32",
            id="datatype",
        ),
        pytest.param(
            [{"name": "x0", "datatype": "FP32", "shape": [-1, 2]}],
            "podium.yaml says input 'x0' is [-1, 2] FP32, model.onnx has [-1, 1] FP32",
            id="shape",
        ),
        pytest.param(
            [{"name": "y", "datatype": "FP32", "shape": [-1, 1]}],
            "podium.yaml has input 'y', model.onnx has x0, x1",
            id="name",
        ),
        pytest.param(
            [{"name": "x0", "datatype": "FP32", "shape": [-1, 1]}],
            "model.onnx needs input 'x1', which podium.yaml lacks",
            id="lacking",
        ),
    ],
)
async def test_a_descriptor_that_differs_from_the_model_is_refused(
    inputs: list[dict[str, Any]], text: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidPackage) as refused:
        await loaded(tmp_path, descriptor_changes={"inputs": inputs})
    assert str(refused.value) == text
    assert refused.value.reason == "SchemaMismatch"


BOTH = """
def before(columns):
    return {name: column + 1 for name, column in columns.items()}

def after(outputs, inputs):
    return {"score": outputs["score"] * 10 + inputs["x0"]}
"""


async def test_hooks_see_the_requests_columns_and_change_what_goes_in_and_out(tmp_path: Path) -> None:
    model = await loaded(tmp_path, transform=BOTH, weights=[1, 1])
    outputs, timing = await model.infer(columns(1, 2), 1, soon())
    assert outputs["score"].tolist() == [[51.0]]  # ((1 + 1) + (2 + 1)) * 10 + 1
    assert timing.inference_seconds > 0
    verdict = await model.reproduce()
    assert not verdict.passed, "the fixture's golden rows state hooked answers that equal the plain ones"
    await model.close()


async def test_an_exception_in_a_hook_names_hook_file_and_line(tmp_path: Path) -> None:
    code = (
        "def before(columns):\n    if columns['x0'][0, 0] > 5:\n        raise ValueError('too many')\n    return columns\n"
    )
    model = await loaded(tmp_path, transform=code)
    with pytest.raises(HookFailed) as failed:
        await model.infer(columns(6, 1), 1, soon())
    assert str(failed.value) == "before() of transform.py raised ValueError: too many (transform.py, line 3)"
    assert (await model.infer(columns(1, 1), 1, soon()))[0]["score"].tolist() == [[2.0]]
    await model.close()


async def test_a_hook_that_takes_its_process_down_fails_one_call_and_the_next_finds_a_new_process(tmp_path: Path) -> None:
    code = "import os\ndef before(columns):\n    if columns['x0'][0, 0] > 5:\n        os._exit(3)\n    return columns\n"
    model = await loaded(tmp_path, transform=code)
    results = await asyncio.gather(
        model.infer(columns(6, 1), 1, soon()), model.infer(columns(1, 1), 1, soon()), return_exceptions=True
    )
    assert str(results[0]) == "the process of transform.py died in before() with exit code 3"
    assert not isinstance(results[1], BaseException)
    assert results[1][0]["score"].tolist() == [[2.0]]
    await model.close()


async def test_a_hook_that_hangs_is_stopped_while_the_loop_goes_on(tmp_path: Path) -> None:
    code = "import time\ndef after(outputs, inputs):\n    time.sleep(60 * (inputs['x0'][0, 0] > 5))\n    return outputs\n"
    model = await loaded(tmp_path, transform=code, settings=ModelSettings(hook_timeout_seconds=10.0))
    hanging = asyncio.ensure_future(model.infer(columns(6, 1), 1, soon()))
    ticks = 0
    while not hanging.done():
        await asyncio.sleep(0.01)
        ticks += 1
    with pytest.raises(HookFailed, match=r"after\(\) of transform.py took longer than 10 s and was stopped"):
        await hanging
    assert ticks > 10
    assert (await model.infer(columns(1, 1), 1, soon()))[0]["score"].tolist() == [[2.0]]
    await model.close()


async def test_a_deadline_ends_waiting_for_a_hook_and_the_next_call_is_its_own(tmp_path: Path) -> None:
    go_on = tmp_path / "go on"
    code = (
        "import os, time\ndef before(columns):\n"
        f"    while columns['x0'][0, 0] > 5 and not os.path.exists({str(go_on)!r}):\n        time.sleep(0.01)\n"
        "    return columns\n"
    )
    model = await loaded(tmp_path, transform=code)
    with pytest.raises(DeadlineExceeded):
        await model.infer(columns(6, 1), 1, soon(0.05))
    go_on.touch()
    assert (await model.infer(columns(1, 1), 1, soon()))[0]["score"].tolist() == [[2.0]]
    await model.close()


@pytest.mark.parametrize(
    ("code", "text"),
    [
        pytest.param("import no_such_module_here", "transform.py cannot be imported: ModuleNotFoundError: No module named "
                     "'no_such_module_here' (transform.py, line 1)", id="import"),
        pytest.param("def before(:", "transform.py cannot be imported: SyntaxError", id="syntax"),
        pytest.param("x = 1", "transform.py has neither before(columns) nor after(outputs, inputs)", id="no-hook"),
        pytest.param("import os\nos._exit(7)", "of transform.py died while importing it, exit code 7", id="exit"),
    ],
)  # fmt: skip
async def test_a_transform_that_cannot_be_used_is_refused_at_load(code: str, text: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidPackage) as refused:
        await loaded(tmp_path, transform=code)
    assert text in str(refused.value)
    assert refused.value.reason == "TransformFailed"


@pytest.mark.parametrize(
    ("code", "text"),
    [
        pytest.param("def before(columns): return {'x0': columns['x0']}", "'x1' is missing; it returned x0", id="missing"),
        pytest.param(
            "def before(columns): return {n: c[:0] for n, c in columns.items()}",
            "'x0' has shape [0, 1] for 1 rows, must be [-1, 1] FP32",
            id="rows",
        ),
        pytest.param(
            "def before(columns): return {n: c.astype(str) for n, c in columns.items()}",
            "'x0' has numpy type object, must be [-1, 1] FP32",
            id="type",
        ),
        pytest.param("def before(columns): return None", "raised AttributeError", id="nothing"),
    ],
)
async def test_a_hook_that_returns_what_does_not_fit_is_told_what_would(code: str, text: str, tmp_path: Path) -> None:
    model = await loaded(tmp_path, transform=code)
    with pytest.raises(HookFailed) as failed:
        await model.infer(columns(1, 1), 1, soon())
    assert text in str(failed.value)
    await model.close()


async def test_user_code_sees_none_of_our_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PODIUM_PUBLIC_KEYS", "k")
    code = "import os\nassert not [n for n in os.environ if n.startswith('PODIUM')]\ndef before(columns): return columns"
    model = await loaded(tmp_path, transform=code)
    await model.close()
