"""When a verdict is held: by hand, whatever the batches, and by simulation of labels that come late or not at all."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from podium_evaluation.evidence import Question, Standing, continued, paired, paired_thresholds
from podium_monitor.evidence.holding import Batch, Covered, Punctuality, Watch, held, watch_length

START = datetime(2026, 11, 20, 8, tzinfo=UTC)
HOUR = 3600.0
WEEK = timedelta(days=7)
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Stream:
    """Units in the order in which they became known; twice, where the label came late."""

    batch: Batch
    units: npt.NDArray[np.int64]
    """Of the labelled rows, by the order of predictions."""


def stream(truth: npt.NDArray[np.bool_], delays: Floats, horizon: float, per_hour: float = 100.0) -> Stream:
    """Predictions at an even rate; `delays` in seconds, infinite where no label comes."""
    count = len(truth)
    ripe = np.arange(count) * HOUR / per_hour + horizon
    came = ripe - horizon + delays
    late = np.flatnonzero((came > ripe) & (came <= ripe + WEEK.total_seconds()))
    at, units = np.concatenate([ripe, came[late]]), np.concatenate([np.arange(count), late])
    is_late = np.arange(len(at)) >= count
    order = np.flatnonzero(at <= ripe[-1])[np.argsort(at[at <= ripe[-1]], kind="stable")]
    at, units, is_late = at[order], units[order], is_late[order]
    labelled = is_late | (came <= ripe)[units]
    moments = np.datetime64(START.replace(tzinfo=None), "us") + (at * 1e6).astype("timedelta64[us]")
    classes = np.where(truth, "yes", "no").astype(object)[units[labelled]].tolist()
    batch = Batch(moments, ~is_late, labelled, is_late, classes, {"both": np.ones(len(at), dtype=np.bool_)})
    return Stream(batch, units[labelled])


def part(batch: Batch, start: int, end: int) -> Batch:
    rows = slice(start, end)
    before, after = int(batch.labelled[:start].sum()), int(batch.labelled[:end].sum())
    arms = {name: of_arm[rows] for name, of_arm in batch.arms.items()}
    shown = {name: getattr(batch, name)[rows] for name in ("moments", "ripe", "labelled", "late")}
    return replace(batch, **shown, classes=batch.classes[before:after], arms=arms)


def test_in_parts_it_comes_to_what_it_comes_to_at_once() -> None:
    chance = np.random.default_rng(1)
    truth = chance.random(900) < 0.2
    delays = np.where(chance.random(900) < 0.3, np.inf, chance.uniform(0, 0.9 * HOUR, 900))
    delays[650:670] = 1.1 * HOUR
    found = stream(truth, delays, HOUR, 500.0)
    whole, at_once = held(Watch(), {}, found.batch, 0.5, timedelta(hours=1))
    watch, covered, stays = Watch(), Covered(), []
    for start in range(0, len(found.batch.ripe), 37):
        piece = part(found.batch, start, start + 37)
        watch, some = held(watch, {"both": covered}, piece, 0.5, timedelta(hours=1))
        covered = Covered(covered.units + int(piece.ripe.sum()), covered.labelled + int(piece.labelled.sum()))
        stays.append(some)
    assert watch == whole
    assert np.concatenate(stays).tolist() == at_once.tolist()
    assert 0 < at_once.sum() < len(at_once)


def test_each_arm_must_have_its_labels() -> None:
    """The challenger's come to 60 %, which 70 % of both together would hide."""
    rows = np.arange(1000)
    arm = rows % 4 == 0
    labelled = np.where(arm, rows % 20 < 12, rows % 20 < 15)
    moments = np.datetime64("2026-11-20", "us") + rows * np.timedelta64(1, "s")
    batch = Batch(
        moments,
        np.ones(1000, np.bool_),
        labelled,
        np.zeros(1000, np.bool_),
        ["yes"] * int(labelled.sum()),
        {"a": arm, "b": ~arm},
    )
    of_a = labelled[arm].mean()
    assert held(Watch(), {}, batch, float(of_a) + 0.02, timedelta(0))[1][-1]
    assert not held(Watch(), {}, batch, float(of_a) - 0.02, timedelta(0))[1][-1]


def test_labels_that_begin_to_come_late_are_noticed_before_they_are_many() -> None:
    one = Punctuality(units=2000)
    for _ in range(6):
        one = one.after(True)
    assert (one.falls_behind, one.is_behind) == (True, False)
    for _ in range(60):
        one = one.after(False)
    assert not one.falls_behind


def test_one_late_label_in_fifty_is_none_too_many() -> None:
    one = Punctuality()
    for unit in range(1000):
        one = one.after(unit % 50 == 49)
    assert not one.falls_behind
    assert Punctuality(50, 3).is_behind
    assert not Punctuality(49, 49).is_behind


def test_labels_are_watched_for_as_long_again_as_the_horizon_but_not_beyond_what_counts() -> None:
    assert watch_length(timedelta(hours=3), WEEK) == timedelta(hours=3)
    assert watch_length(timedelta(days=30), WEEK) == WEEK


def test_at_a_unit_whose_label_came_late_no_verdict_is_taken() -> None:
    """Two in a hundred: not too many, and the next one in time is looked at."""
    delays = np.full(600, 0.5 * HOUR)
    delays[550:600:50] = 1.015 * HOUR
    found = stream(np.arange(600) % 2 == 0, delays, HOUR)
    stays = held(Watch(), {}, found.batch, 0.5, timedelta(0))[1]
    assert np.flatnonzero(stays).tolist() == np.flatnonzero(found.batch.late[found.batch.labelled]).tolist() == [551]


# Equal models: what is late or missing may not decide. 100 runs here; docs/guide/evidence.md has the figures of 500.


def verdicts(
    delays: Callable[[np.random.Generator, npt.NDArray[np.bool_]], Floats],
    *,
    horizon: float = 12 * HOUR,
    share: float = 0.5,
    holds: bool = True,
    runs: int = 60,
) -> int:
    """Of models that are equal in the mean, but not by class."""
    chance, found, count = np.random.default_rng(20261121), 0, 5000
    question = Question(0.05, 0.0, paired_thresholds(classes=True, zero_one=False))
    for _ in range(runs):
        truth = chance.random(count) < share
        values = np.where(truth, 0.4 * (1 - share), -0.4 * share) + chance.normal(0, 0.7, count)
        one = stream(truth, delays(chance, truth), horizon)
        _, stays = held(Watch(), {}, one.batch, 0.5, watch_length(timedelta(seconds=horizon), WEEK))
        classes = np.array(one.batch.classes, dtype=object)
        differences = paired(values[one.units], np.zeros(len(one.units)), classes)
        standing, _ = continued(Standing(), differences, question, stays if holds else None)
        found += standing.verdict is not None
    return found


def by_class(soon: float, late: float, part_late: float = 1.0) -> Any:
    def delays(chance: np.random.Generator, truth: npt.NDArray[np.bool_]) -> Floats:
        is_late = truth & (chance.random(len(truth)) < part_late)
        found: Floats = np.where(is_late, late, soon) * HOUR * chance.uniform(0.9, 1.0, len(truth))
        return found

    return delays


@pytest.mark.parametrize(
    ("delays", "horizon", "share"),
    [
        pytest.param(by_class(1, 24), 0.0, 0.5, id="no-horizon"),
        pytest.param(by_class(1, 24), 12 * HOUR, 0.5, id="half-of-what-one-class-takes"),
        pytest.param(by_class(1, 24), 12 * HOUR, 0.2, id="the-rarer-class"),
        pytest.param(by_class(1, 20, part_late=0.5), 12 * HOUR, 0.3, id="a-part-of-a-class"),
    ],
)
def test_a_horizon_that_is_too_short_for_one_class_is_noticed_before_there_is_a_verdict(
    delays: Any, horizon: float, share: float
) -> None:
    assert verdicts(delays, horizon=horizon, share=share) <= 1


def test_who_does_not_wait_decides_falsely() -> None:
    assert verdicts(by_class(1, 24), holds=False) > 50


def test_arms_whose_labels_are_not_there_decide_nothing() -> None:
    """One in ten of one class has a label, and half of the other: three in ten of all."""

    def delays(chance: np.random.Generator, truth: npt.NDArray[np.bool_]) -> Floats:
        found: Floats = np.where(chance.random(len(truth)) < np.where(truth, 0.1, 0.5), HOUR, np.inf)
        return found

    assert verdicts(delays) == 0
    assert verdicts(delays, holds=False) > 50


def test_with_all_labels_in_time_nothing_is_held() -> None:
    truth = np.random.default_rng(2).random(2000) < 0.2
    one = stream(truth, np.full(2000, HOUR), 2 * HOUR)
    assert not held(Watch(), {}, one.batch, 1.0, timedelta(hours=2))[1].any()
