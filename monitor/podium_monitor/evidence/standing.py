"""Where a trial's evidence stands: sums that go on with each batch of units and do not grow with their number. Pure.

The keys that were units lie beside it, in a file of their own.
"""

from datetime import datetime
from typing import Any

import msgspec
import numpy as np

from podium_evaluation.evidence import (
    Differences,
    Pool,
    Question,
    Standing,
    Tally,
    Thresholds,
    assigned_thresholds,
    continued,
    paired_thresholds,
)
from podium_evaluation.guardrails import Latencies
from podium_evaluation.sequences import Floats, Sequence
from podium_monitor.evidence.holding import Covered, Truths, Watch
from podium_monitor.evidence.ledger import Trial

MAX_UNITS = 2_000_000
"""Of a trial: their keys take 16 MB. What is undecided then stays so: its interval is a thousandth of a deviation wide."""
LOOKS = frozenset(int(np.ceil(10 * 1.0415**step)) for step in range(300) if 10 * 1.0415**step <= MAX_UNITS)
"""Numbers of units after which a point of the path is kept: 294, spaced by their logarithm."""
CLASS_LOSSES = ("ZeroOne", "Brier", "LogLoss")
COVERAGE_ALPHA = 0.001
"""Chance that arms of equal label coverage are ever called unequal."""


class Point(msgspec.Struct, frozen=True):
    """A look."""

    units: int
    at: datetime
    improvement: float
    low: float
    high: float


class GuardLoss(msgspec.Struct, frozen=True):
    """A second loss, as a guardrail."""

    standing: Standing
    pool: Pool = Pool()


class State(msgspec.Struct):
    """Of one trial."""

    watermark: datetime
    """What became known up to it is counted, or never will be."""
    standing: Standing
    cost_seconds: float = 0.0
    """Of the newest step."""
    pool: Pool = Pool()
    path: list[Point] = []
    last: Point | None = None
    coverage: dict[str, Covered] = {}
    """By arm: champion and challenger. Shadow: of both, units that both answered."""
    labelled: Standing = Standing(tally=Tally(({}, {})))
    """Of the difference of the arms' label coverage; Canary only."""
    labelled_pool: Pool = Pool()
    segments: dict[str, tuple[int, int]] = {}
    """Units of champion and challenger by the challenger's planned share."""
    mismatch: bool = False
    """The sample ratio was wrong once: then it stays so."""
    watch: Watch = Watch()
    delays: Latencies = Latencies()
    """From predictions to the first labels of the units that count."""
    failures: tuple[int, int] = (0, 0)
    """Of the challenger: failed, all."""
    latencies: dict[str, Latencies] = {}
    selected: dict[str, dict[str, tuple[int, int]]] = {}
    """By column and group: selected, all."""
    losses: dict[str, GuardLoss] = {}
    """By name of the loss."""
    rows: int = 0
    """That are older than the horizon."""
    fingerprint: int = 0
    """Of the units that count: the sum of 64 bits of MD5 of their event's id and label, modulo 2^64."""
    left_out: dict[str, int] = {}
    """Rows that do not count, by reason."""
    seen: str = ""
    """File of the keys that were units."""


def begun(trial: Trial) -> State:
    """Before the first unit."""
    return State(watermark=trial.begins_at, standing=Standing(tally=empty_tally(trial)))


def empty_tally(trial: Trial) -> Tally:
    return Tally() if trial.question.mode == "Shadow" else Tally(({}, {}))


def thresholds(trial: Trial, loss: str) -> Thresholds:
    """What a verdict by this loss needs: the metric's, or a guardrail's."""
    classes = loss in CLASS_LOSSES
    if trial.question.mode == "Shadow":
        return paired_thresholds(classes=classes, zero_one=loss == "ZeroOne")
    return assigned_thresholds(classes=classes)


def asked(trial: Trial) -> Question:
    """Of the statistics."""
    question = trial.question
    needs = thresholds(trial, question.metric)
    return Question(trial.alpha, question.minimum_improvement, needs, trial.tuned_for_units)


def with_units(state: State, trial: Trial, differences: Differences, times: Any, held: Truths) -> None:
    """Goes on by these units; `times` are their datetimes, `held` says where no verdict may be taken."""
    before = state.standing.running.units
    state.standing, sequence = continued(state.standing, differences, asked(trial), held)
    count = len(differences.values)
    if count:
        chosen = [index for index in range(count) if before + index + 1 in LOOKS]
        state.path = [*state.path, *(_point(sequence, index, before, times) for index in chosen)]
        state.last = _point(sequence, count - 1, before, times)


def with_coverage(state: State, differences: Differences) -> None:
    """Goes on by the differences of whether units have a label."""
    question = Question(COVERAGE_ALPHA, 0.0, assigned_thresholds(classes=False))
    state.labelled, _ = continued(state.labelled, differences, question)


def _point(sequence: Sequence, index: int, before: int, times: Any) -> Point:
    bounds: tuple[Floats, Floats, Floats] = (sequence.mean, sequence.lower, sequence.upper)
    mean, low, high = (float(values[index]) for values in bounds)
    return Point(before + index + 1, times[index], mean, low, high)


def encoded(state: State) -> bytes:
    return msgspec.json.encode(state)


def decoded(content: bytes) -> State:
    """What `encoded` wrote. Raises msgspec.DecodeError."""
    return msgspec.json.decode(content, type=State)
