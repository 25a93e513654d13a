"""Whether ONNX Runtime answers as the training library does, row by row. Pure: arrays in, findings out."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from podium_cli.answers import Answers
from podium_cli.columns import Array
from podium_crds.package import Tolerances

WORST_ROWS = 5
"""As many mismatches as a person reads."""


@dataclass(frozen=True)
class Mismatch:
    """One answer beyond tolerance. `excess` orders them: how many times the allowance the difference is."""

    row: int
    output: str
    expected: Any
    got: Any
    difference: float
    excess: float


@dataclass(frozen=True)
class Parity:
    rows: int
    worst_absolute_error: float
    flipped_labels: int
    """Labels that differ where the library itself was undecided within tolerance. Not mismatches."""
    mismatched_rows: int
    worst: list[Mismatch]
    """The worst mismatch of each of the worst rows, worst first."""

    @property
    def holds(self) -> bool:
        return self.mismatched_rows == 0


def parity(expected: Answers, got: dict[str, Array], tolerances: Tolerances) -> Parity:
    """Compares all outputs of the same rows. NaN equals NaN. A shape that differs is a mismatch of every row."""
    found: list[Mismatch] = []
    worst_error, flips = 0.0, 0
    for name, wanted in expected.outputs.items():
        answer = got[name]
        if answer.shape != wanted.shape:
            found += [Mismatch(row, name, wanted.shape, answer.shape, np.inf, np.inf) for row in range(expected.rows)]
        elif name == "label":
            mismatches, flips = _label_mismatches(expected, answer, tolerances)
            found += mismatches
        else:
            mismatches, error = _number_mismatches(name, wanted, answer, tolerances)
            found += mismatches
            worst_error = max(worst_error, error)
    by_row: dict[int, Mismatch] = {}
    for mismatch in sorted(found, key=lambda m: -m.excess):
        by_row.setdefault(mismatch.row, mismatch)
    return Parity(expected.rows, worst_error, flips, len(by_row), list(by_row.values())[:WORST_ROWS])


def _number_mismatches(name: str, wanted: Array, answer: Array, tolerances: Tolerances) -> tuple[list[Mismatch], float]:
    answer = answer.astype(float)
    same = (wanted == answer) | (np.isnan(wanted) & np.isnan(answer))
    with np.errstate(invalid="ignore"):
        difference = np.where(same, 0.0, np.abs(wanted - answer))
        allowed = tolerances.absolute + tolerances.relative * np.abs(wanted)
        bad = ~same & ~(np.isfinite(wanted) & (difference <= allowed))
    worst = np.where(np.isnan(difference), np.inf, difference).max(initial=0.0)
    mismatches = []
    for position in np.argwhere(bad):
        where = tuple(position)
        gap = float(np.nan_to_num(difference[where], nan=np.inf))
        limit = float(np.nan_to_num(allowed[where]))
        excess = gap / limit if limit > 0 else np.inf
        mismatches.append(Mismatch(int(position[0]), name, float(wanted[where]), float(answer[where]), gap, excess))
    return mismatches, float(worst)


def _label_mismatches(expected: Answers, answer: Array, tolerances: Tolerances) -> tuple[list[Mismatch], int]:
    labels, flips, mismatches = expected.outputs["label"], 0, []
    for row in np.flatnonzero(labels != answer):
        margin = float(expected.margins[row]) if expected.margins is not None else np.inf
        winner = float(expected.winners[row]) if expected.winners is not None else 0.0
        if margin <= tolerances.allowance(winner):
            flips += 1
        else:
            mismatches.append(Mismatch(int(row), "label", labels[row], answer[row], margin, np.inf))
    return mismatches, flips
