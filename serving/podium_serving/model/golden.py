"""Whether a loaded model gives the training library's own answers. Pure: arrays in, a verdict with the worst row out.

A number x may differ by absolute + relative * |x|. A label that differs is a flip: tolerated, and counted, only where the
training library's margin between the two best classes is at most what the winning probability may differ by, so that a
rounding error could turn it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from podium_crds.package import Descriptor, GoldenRow, OutputSpec, Tolerances
from podium_serving.exchange import Columns, InvalidRequest
from podium_serving.oip.tensors import TensorSchema, array_of, tensor_schema


@dataclass(frozen=True)
class GoldenResult:
    """What the comparison found. `worst` names the row with the largest excess over its tolerance, or the first refusal."""

    rows: int
    passed: bool
    flipped_labels: int
    """Tolerated flips."""
    failed_rows: int
    worst_absolute_error: float
    worst: str
    """For people: `row 3: output 'score' is 2.5, golden 2.0 (tolerance 0.00021)`. Empty when nothing differs."""


def golden_columns(descriptor: Descriptor, golden: Sequence[GoldenRow]) -> Columns:
    """The golden rows' inputs as one batch. Raises InvalidRequest when a row does not fit the schema."""
    return {
        spec.name: _stacked(tensor_schema(spec, "golden input"), [row.inputs for row in golden])
        for spec in descriptor.inputs
    }


def compare(descriptor: Descriptor, golden: Sequence[GoldenRow], answers: Columns, *, hooked: bool = False) -> GoldenResult:
    """Compares `answers` (one row per golden row) with the golden outputs; `hooked`: with those after transform.py's hooks.

    Outputs that a golden row does not state are not compared; a golden output that the model lacks is a failure.
    """
    specs = {spec.name: spec for spec in descriptor.outputs}
    stated: list[Mapping[str, Any]] = [(row.hooked_outputs or {}) if hooked else row.outputs for row in golden]
    probabilities = [spec.name for spec in descriptor.outputs if spec.kind == "Probabilities"]
    winning = [
        max((_number(value) for name in probabilities for value in _flat(row.get(name))), default=1.0) for row in stated
    ]
    tally = _Tally(descriptor.tolerances, [row.margin for row in golden], winning)
    for name in dict.fromkeys(name for row in stated for name in row):
        having = [index for index, row in enumerate(stated) if name in row]
        if name not in specs or name not in answers:
            tally.fail(having[0], np.inf, f"the model has no output '{name}', the golden row states one")
            continue
        try:
            wanted = _stacked(tensor_schema(specs[name], "golden output"), [stated[index] for index in having])
        except InvalidRequest as error:
            tally.fail(having[0], np.inf, str(error))
            continue
        tally.add(specs[name], having, wanted, answers[name][having])
    return tally.result(len(golden))


class _Tally:
    """What was seen so far."""

    def __init__(self, tolerances: Tolerances, margins: list[float | None], winning: list[float]) -> None:
        self.tolerances = tolerances
        self.margins = margins
        self.winning = winning
        self.flipped: set[int] = set()
        self.failed: set[int] = set()
        self.worst_error = 0.0
        self.worst_excess = -np.inf
        self.worst = ""

    def fail(self, row: int, excess: float, text: str) -> None:
        self.failed.add(row)
        if excess > self.worst_excess:
            self.worst_excess = excess
            self.worst = f"row {row}: {text}"

    def add(self, spec: OutputSpec, rows: list[int], wanted: npt.NDArray[Any], got: npt.NDArray[Any]) -> None:
        if wanted.shape != got.shape:
            self.fail(
                rows[0], np.inf, f"output '{spec.name}' has shape {list(got.shape[1:])}, golden {list(wanted.shape[1:])}"
            )
        elif spec.kind == "Label" or spec.datatype in ("BYTES", "BOOL"):
            self._add_labels(spec, rows, wanted, got)
        else:
            self._add_numbers(spec, rows, wanted.astype(np.float64), got.astype(np.float64))

    def _add_labels(self, spec: OutputSpec, rows: list[int], wanted: npt.NDArray[Any], got: npt.NDArray[Any]) -> None:
        differs = (wanted != got).reshape(len(rows), -1).any(axis=1)
        for position in np.flatnonzero(differs):
            row = rows[position]
            margin = self.margins[row]
            if margin is not None and abs(margin) <= self.tolerances.allowance(self.winning[row]):
                self.flipped.add(row)
                continue
            said = "no margin is stated" if margin is None else f"margin {margin:.6g}"
            text = f"output '{spec.name}' is {_shown(got[position])}, golden {_shown(wanted[position])} ({said})"
            self.fail(row, np.inf, text)

    def _add_numbers(self, spec: OutputSpec, rows: list[int], wanted: npt.NDArray[Any], got: npt.NDArray[Any]) -> None:
        wanted, got = wanted.reshape(len(rows), -1), got.reshape(len(rows), -1)
        same = (wanted == got) | (np.isnan(wanted) & np.isnan(got))
        with np.errstate(invalid="ignore"):
            error = np.where(same, 0.0, np.abs(got - wanted))
        error = np.where(np.isnan(error), np.inf, error)
        allowed = np.where(np.isfinite(wanted), self._tolerance(wanted), 0.0)
        self.worst_error = max(self.worst_error, float(error.max(initial=0.0)))
        for position in np.flatnonzero((error > allowed).any(axis=1)):
            column = int(np.argmax(error[position] - allowed[position]))
            text = (
                f"output '{spec.name}' is {got[position, column]:.9g}, golden {wanted[position, column]:.9g} "
                f"(tolerance {allowed[position, column]:.3g})"
            )
            self.fail(rows[position], float(error[position, column] - allowed[position, column]), text)

    def _tolerance(self, number: Any) -> Any:
        return self.tolerances.absolute + self.tolerances.relative * np.abs(number)

    def result(self, rows: int) -> GoldenResult:
        return GoldenResult(
            rows=rows,
            passed=not self.failed,
            flipped_labels=len(self.flipped),
            failed_rows=len(self.failed),
            worst_absolute_error=self.worst_error,
            worst=self.worst,
        )


def _stacked(schema: TensorSchema, rows: Sequence[Mapping[str, Any]]) -> npt.NDArray[Any]:
    """One tensor of many rows. A row's value is a scalar, or a (nested) list of the row's shape. Absent means null."""
    values: list[Any] = []
    for row in rows:
        values += _flat(row.get(schema.name))
    # A -1 behind the rows is what the values say, when they say the same for every row.
    return array_of(schema, values).reshape(_shape(schema, len(rows), len(values)))


def _number(value: Any) -> float:
    """A probability, or 1 (the largest there is) where the row states none."""
    return float(value) if isinstance(value, int | float) else 1.0


def _flat(value: Any) -> list[Any]:
    if not isinstance(value, list):
        return [value]
    return [scalar for part in value for scalar in _flat(part)]


def _shape(schema: TensorSchema, rows: int, count: int) -> tuple[int, ...]:
    known = rows * int(np.prod([size for size in schema.tail if size != -1], dtype=np.int64))
    if schema.tail.count(-1) > 1 or (schema.fixed and count != known) or (not schema.fixed and count % known):
        raise InvalidRequest(f"{schema.said} has {count} values in {rows} rows; the model takes {schema.takes}")
    return (
        (rows, *schema.tail) if schema.fixed else (rows, *(count // known if size == -1 else size for size in schema.tail))
    )


def _shown(value: Any) -> str:
    flat = np.ravel(value).tolist()
    return repr(flat[0] if len(flat) == 1 else flat)
