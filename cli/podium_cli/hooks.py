"""transform.py on the data scientist's machine: loaded once, run over the golden rows, held to what pods will demand.

A hook that fails, changes a shape, or answers a row differently in company than alone is refused here, not in production.
"""

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from podium_cli.columns import Array
from podium_cli.errors import ModelRefused, UserError
from podium_cli.runtime import run

Columns = dict[str, Array]


@dataclass(frozen=True)
class Hooks:
    before: Callable[[Columns], Columns] | None
    after: Callable[[Columns, Columns], Columns] | None


def load_hooks(path: Path) -> Hooks:
    """Imports transform.py. Raises UserError when it cannot be imported or defines no hook."""
    if not path.is_file():
        raise UserError(
            f"there is no file {path}; --transform takes a Python file with before(columns) or after(outputs, inputs)"
        )
    spec = importlib.util.spec_from_file_location("podium_transform", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except ModuleNotFoundError as error:
        raise UserError(
            f"{path} imports {error.name!r}, which is not installed here; "
            "install it (golden rows are answered with it) and name it with --requirement"
        ) from error
    except Exception as error:
        raise UserError(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    hooks = Hooks(getattr(module, "before", None), getattr(module, "after", None))
    if hooks.before is None and hooks.after is None:
        raise UserError(f"{path} defines neither before(columns) nor after(outputs, inputs)")
    return hooks


def hooked_answers(hooks: Hooks, model: Any, columns: Mapping[str, Array]) -> Columns:
    """The outputs with hooks, row by row the same as in one batch. Raises ModelRefused."""
    together = _answer(hooks, model, dict(columns))
    rows = len(next(iter(columns.values())))
    for row in range(rows):
        alone = _answer(hooks, model, {name: values[row : row + 1] for name, values in columns.items()})
        for name, values in together.items():
            if not _alike(values[row : row + 1], alone[name]):
                raise ModelRefused(
                    f"transform.py answers row {row} with {name} {alone[name][0]} alone, {values[row]} among {rows} rows; "
                    "hooks must treat each row by itself, for requests are joined into batches"
                )
    return together


def _answer(hooks: Hooks, model: Any, columns: Columns) -> Columns:
    try:
        taken = hooks.before({name: values.copy() for name, values in columns.items()}) if hooks.before else columns
    except Exception as error:
        raise ModelRefused(
            f"transform.py: before(columns) failed on a golden row: {type(error).__name__}: {error}"
        ) from error
    _check("before(columns)", taken, columns)
    outputs = run(model, taken)
    try:
        answered = (
            hooks.after({name: values.copy() for name, values in outputs.items()}, columns) if hooks.after else outputs
        )
    except Exception as error:
        raise ModelRefused(
            f"transform.py: after(outputs, inputs) failed on a golden row: {type(error).__name__}: {error}"
        ) from error
    _check("after(outputs, inputs)", answered, outputs)
    return answered


def _check(hook: str, returned: Any, wanted: Columns) -> None:
    if not isinstance(returned, dict) or set(returned) != set(wanted):
        names = sorted(returned) if isinstance(returned, dict) else type(returned).__name__
        raise ModelRefused(f"transform.py: {hook} returned {names}; it must return a dict with {', '.join(sorted(wanted))}")
    for name, values in wanted.items():
        got = returned[name]
        if not isinstance(got, np.ndarray) or got.shape != values.shape or got.dtype != values.dtype:
            what = f"{got.dtype} {list(got.shape)}" if isinstance(got, np.ndarray) else type(got).__name__
            raise ModelRefused(
                f"transform.py: {hook} returned {name!r} as {what}; it must be a {values.dtype} array {list(values.shape)}"
            )


def _alike(left: Array, right: Array) -> bool:
    if left.dtype.kind == "f":
        return bool(np.allclose(left, right, rtol=1e-5, atol=1e-7, equal_nan=True))
    return bool(np.array_equal(left, right))
