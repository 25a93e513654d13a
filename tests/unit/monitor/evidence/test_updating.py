"""Evidence from a lake of files: what counts, when, once; in steps as at once; and computed again from the lake alone."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from evidence_lake_fixtures import CANARY, CHALLENGER, HORIZON, SHADOW, SPLIT, START, Lake, Traffic, traffic, watched
from podium_crds.evidence import ChallengerEvidence
from podium_evaluation.evidence import Question, Standing, continued, paired, paired_thresholds
from podium_evaluation.losses import surprises
from podium_monitor.evidence.updating import evidence_of, recomputed, update
from podium_monitor.world import Watched

LATER = START + timedelta(hours=3)
"""An hour of predictions from START is older than the horizon."""
SOON = START + timedelta(hours=1)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    made = Lake(tmp_path)
    made.describe()
    return made


def told(lake: Lake, one: Watched, now: Any = LATER) -> ChallengerEvidence:
    [found] = update(lake.store, one, now).challengers
    return found


def same(one: ChallengerEvidence, other: ChallengerEvidence) -> bool:
    """But for rounding of sums that were made in other parts."""

    def plain(found: ChallengerEvidence) -> Any:
        document = found.model_dump(mode="json")
        return json.loads(json.dumps(document), parse_float=lambda text: f"{float(text):.9g}")

    return bool(plain(one) == plain(other))


def test_a_better_shadow_is_found_by_the_figures_of_the_statistics(lake: Lake) -> None:
    found = traffic(4000)
    lake.labelled(lake.shadowed(found), found, SOON)
    evidence = told(lake, watched())
    losses = [surprises(found.truth, np.round(scores, 6)) for scores in (found.champion, found.challenger)]
    names = np.where(found.truth, "yes", "no").astype(object)
    question = Question(evidence.alpha, 0.0, paired_thresholds(classes=True, zero_one=False))
    expected, sequence = continued(Standing(), paired(losses[0], losses[1], names), question)
    assert (evidence.decision, evidence.nth, evidence.units) == ("Better", 1, 4000)
    assert evidence.alpha == pytest.approx(0.05 * 6 / np.pi**2)
    assert expected.verdict is not None
    assert evidence.decided_at_units == expected.verdict.units
    assert (evidence.improvement, evidence.low, evidence.high) == pytest.approx(
        (sequence.mean[-1], sequence.lower[-1], sequence.upper[-1])
    )
    assert evidence.coverage == {"champion": 1.0, "boosted": 1.0}
    assert evidence.path[-1].units == 4000
    assert [look.units for look in evidence.path] == sorted({look.units for look in evidence.path})


def test_what_was_told_is_read_again_and_unchanged_evidence_is_not_written_again(lake: Lake, tmp_path: Path) -> None:
    found = traffic(100)
    lake.labelled(lake.shadowed(found), found, SOON)
    first = update(lake.store, watched(), LATER)
    assert evidence_of(lake.store, "shop", "churn") == first
    assert evidence_of(lake.store, "shop", "nothing") is None
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "evidence").rglob("*.json")}
    assert update(lake.store, watched(), LATER).challengers == first.challengers
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "evidence").rglob("*.json")} == before


def hours(lake: Lake, count: int, rows: int = 800, labelled: int | None = None) -> None:
    """Labels come after half an hour, in each hour to so many rows."""
    for index in range(count):
        found = traffic(rows, index)
        hour = START + timedelta(hours=index)
        keys = lake.shadowed(found, hour)
        chosen = np.sort(np.random.default_rng(index).permutation(rows)[: labelled or rows])
        kept = Traffic(found.truth[chosen], found.champion[chosen], found.challenger[chosen])
        seen = [hour + timedelta(minutes=30) + timedelta(hours=1) / (rows + 1) * int(row) for row in chosen]
        lake.labelled([keys[row] for row in chosen], kept, hour + timedelta(hours=1), time=seen, received_at=seen)


@pytest.mark.parametrize("minutes", [7, 60, 1000])
def test_in_steps_it_comes_to_what_it_comes_to_at_once_and_again_from_the_lake_alone(lake: Lake, minutes: int) -> None:
    hours(lake, 4)
    at, end = START, START + timedelta(hours=6)
    while at < end:
        update(lake.store, watched(), at)
        at += timedelta(minutes=minutes)
    stepped = told(lake, watched(), end)
    again = recomputed(lake.store, watched(), stepped)
    assert stepped.units == 3200
    assert stepped.decision == "Better"
    assert stepped.data["rows"] == 3200
    assert same(again, stepped)


@pytest.mark.parametrize("minutes", [7, 1000])
def test_a_shadow_that_comes_half_an_hour_late_counts_whenever_one_looks(lake: Lake, minutes: int) -> None:
    for index in range(2):
        hour, found = START + timedelta(hours=index), traffic(400, index)
        keys = lake.shadowed(found, hour, shadow_seconds=1800)
        lake.labelled(keys, found, hour + timedelta(hours=1))
    one = watched(monitoring={"labels": {"horizonSeconds": 0}})
    at, end = START, START + timedelta(hours=4)
    while at < end:
        update(lake.store, one, at)
        at += timedelta(minutes=minutes)
    stepped = told(lake, one, end)
    assert stepped.units == 800
    assert same(recomputed(lake.store, one, stepped), stepped)


def test_a_row_that_is_there_twice_counts_once(lake: Lake) -> None:
    found = traffic(500)
    keys = lake.shadowed(found)
    lake.shadowed(found)
    lake.labelled(keys, found, SOON)
    assert told(lake, watched()).units == 500


def test_a_label_counts_when_it_comes_and_a_later_correction_changes_nothing(lake: Lake) -> None:
    found = traffic(600)
    keys = lake.shadowed(found)
    parts = [Traffic(found.truth[a:b], found.champion[a:b], found.challenger[a:b]) for a, b in ((0, 200), (200, 400))]
    opposite = Traffic(~parts[0].truth, parts[0].champion, parts[0].challenger)
    lake.labelled(keys[:200], opposite, START + timedelta(minutes=58))
    lake.labelled(keys[:200], parts[0], START + timedelta(minutes=59))
    evidence = told(lake, watched(), LATER)
    lake.labelled(keys[200:400], parts[1], LATER + timedelta(minutes=1))
    lake.labelled(keys[:200], opposite, LATER + timedelta(minutes=1))
    after = told(lake, watched(), LATER + timedelta(hours=2))
    improvement = surprises(found.truth, found.champion) - surprises(found.truth, found.challenger)
    assert (evidence.units, after.units) == (200, 400)
    assert evidence.improvement == pytest.approx(improvement[:200].mean(), abs=1e-4)
    assert after.improvement == pytest.approx(improvement[:400].mean(), abs=1e-4)
    assert evidence.coverage["champion"] == pytest.approx(1 / 3)
    assert evidence.decision == "NotEnoughData"
    assert "33.3 % of the units that are older than the horizon have a label" in evidence.reasons[0]
    assert same(recomputed(lake.store, watched(), after), after)
    assert after.decision == "Invalid"
    assert after.reasons[0].startswith("51.4 % of the labels 'no' came after the horizon of 3600 s")
    assert after.reasons[0].endswith("(99 % of those that count so far came within 2.7 hours)")


def parted(keys: list[str], found: Traffic, chosen: Any) -> tuple[list[str], Traffic]:
    return [keys[row] for row in chosen], Traffic(found.truth[chosen], found.champion[chosen], found.challenger[chosen])


def test_while_labels_that_are_not_there_may_come_late_there_is_no_verdict(lake: Lake) -> None:
    """The horizon is an hour. What has no label by then may have one later: for another hour that is waited for."""
    found = traffic(1500)
    keys = lake.shadowed(found)
    late = np.arange(0, 1500, 15)
    lake.labelled(*parted(keys, found, np.setdiff1d(np.arange(1500), late)), START + timedelta(minutes=59))
    first = told(lake, watched(), START + timedelta(hours=2, seconds=10))
    assert (first.units, first.decision) == (1400, "NotEnoughData")
    missing = "100 units that are older than the horizon have no label"
    assert first.reasons == [f"{missing}: whether theirs only come late is seen until 2026-11-20 10:03 UTC"]
    lake.labelled(*parted(keys, found, late), LATER + timedelta(minutes=1))
    after = told(lake, watched(), LATER + timedelta(hours=1))
    assert (after.units, after.decision, after.decided_at_units) == (1500, "Invalid", None)
    assert "set monitoring.labels.horizonSeconds to when labels of every kind have come" in after.reasons[0]


def test_labels_that_never_come_hold_a_verdict_back_only_until_they_might_have_come(lake: Lake) -> None:
    hours(lake, 2, 2000, labelled=1600)
    evidence = told(lake, watched(), START + timedelta(hours=6))
    assert (evidence.units, evidence.decision) == (3200, "Better")
    assert evidence.decided_at_units is not None
    assert 1600 < evidence.decided_at_units < 1760  # the 100th unit came 3 minutes after START; two hours later
    assert same(recomputed(lake.store, watched(), evidence), evidence)


def test_below_the_least_coverage_no_verdict_is_taken_however_clear_it_is(lake: Lake) -> None:
    hours(lake, 4, 1000, labelled=450)
    evidence = told(lake, watched(), START + timedelta(hours=6))
    assert (evidence.units, evidence.decision, evidence.decided_at_units) == (1800, "NotEnoughData", None)
    assert "45.0 % of the units that are older than the horizon have a label, fewer than" in evidence.reasons[0]
    one = watched(monitoring={"labels": {"horizonSeconds": HORIZON, "minimumCoverage": "0.4"}})
    lower = told(lake, one, START + timedelta(hours=6))
    assert (lower.nth, lower.units) == (2, 0), "whoever lowers it asks another question"


def test_a_label_that_comes_a_week_after_the_horizon_is_too_late(lake: Lake) -> None:
    found = traffic(300)
    keys = lake.shadowed(found)
    lake.labelled(keys, found, START + timedelta(days=8, hours=1))
    assert told(lake, watched(), START + timedelta(days=9)).units == 0
    assert told(lake, watched(), START + timedelta(days=30)).units == 0


def test_a_withdrawn_label_is_none(lake: Lake) -> None:
    found = traffic(300)
    keys = lake.shadowed(found)
    lake.labelled(keys, found, START + timedelta(minutes=58))
    lake.put_labels(keys[:100], [None] * 100, START + timedelta(minutes=59))
    assert told(lake, watched()).units == 200


def test_an_outcome_that_was_seen_before_the_prediction_is_another_ones(lake: Lake) -> None:
    found = traffic(300)
    lake.labelled(lake.shadowed(found), found, SOON, time=START - timedelta(days=1))
    assert told(lake, watched()).units == 0


def test_nothing_counts_before_the_horizon_has_passed(lake: Lake) -> None:
    found = traffic(600)
    lake.labelled(lake.shadowed(found), found, START + timedelta(minutes=59))
    half = told(lake, watched(), START + timedelta(minutes=90, seconds=10))
    assert 0.45 * 600 < half.units < 0.55 * 600


def test_a_customer_who_comes_again_is_one_unit(lake: Lake) -> None:
    """Also where a visit comes in a later step: keys are remembered."""
    sticky: Any = {"stickyBy": {"type": "Header", "header": "X-Customer"}}
    for index in range(3):
        found = traffic(400, index)
        hour = START + timedelta(hours=index)
        keys = [f"customer-{row // 2}" for row in range(400)]
        lake.shadowed(found, hour, join_key=keys)
        lake.labelled(keys, found, hour + timedelta(minutes=61))
    one = watched(**sticky)
    first = told(lake, one, START + timedelta(hours=2))
    last = told(lake, one, START + timedelta(hours=6))
    assert (first.units, last.units) == (200, 200)
    assert same(recomputed(lake.store, one, last), last)


def test_what_the_shadow_failed_is_no_unit_and_counts_as_failed(lake: Lake) -> None:
    found = traffic(1200)
    keys = lake.shadowed(found)
    lake.labelled(keys, found, SOON)
    hour = START + timedelta(hours=1)
    lake.put_captured(["{}"] * 300, ["{}"] * 300, hour, event_id=[f"f-{index:x}-0" for index in range(300)])
    lake._put(
        "shadows",
        {
            "event_id": [f"f-{index:x}-0-boosted" for index in range(300)],
            "time": hour,
            "received_at": hour,
            "prediction_id": [f"f-{index:x}-0" for index in range(300)],
            "version": "churn-4",
            "digest": CHALLENGER,
            "outputs": None,
            "error": "Timeout",
        },
        300,
        hour,
    )
    rails = [{"name": "errors", "type": "ErrorRate", "maximumIncrease": "0.01"}]
    one = watched(promotion={"metric": {"type": "LogLoss"}, "guardrails": rails})
    evidence = told(lake, one, START + timedelta(hours=5))
    [errors] = evidence.guardrails
    assert (errors.state, errors.message) == ("Broken", "300 of 1500 units failed")
    assert evidence.data["failed_units"] == [300, 1500]


def test_guardrails_that_are_kept_or_open_do_not_hold_a_better_challenger_back(lake: Lake) -> None:
    found = traffic(4000)
    lake.labelled(lake.shadowed(found), found, SOON)
    rails = [
        {"name": "accuracy", "type": "Loss", "loss": "ZeroOne", "maximumIncrease": "0.1"},
        {"name": "time", "type": "P99", "maximumIncrease": "0.1"},
    ]
    evidence = told(lake, watched(promotion={"metric": {"type": "LogLoss"}, "guardrails": rails}))
    assert evidence.decision == "Better"
    assert [state.state for state in evidence.guardrails] == ["Kept", "NotEnoughData"]
    assert evidence.reasons == ["guardrail time is not decided yet"]


def test_a_guardrail_that_is_broken_from_the_beginning(lake: Lake) -> None:
    found = traffic(6000, challenger_noise=0.0)
    half = np.arange(6000) % 2 == 0
    found.challenger[half & (found.challenger > 0.5)] = 0.499
    lake.labelled(lake.shadowed(found), found, SOON)
    rails = [{"name": "equal", "type": "SelectionRateRatio", "minimum": "0.8", "column": "region"}]
    evidence = told(lake, watched(promotion={"metric": {"type": "LogLoss"}, "guardrails": rails}))
    assert evidence.guardrails[0].state == "Broken"
    assert evidence.decision == "NotBetter"
    assert evidence.reasons == ["the metric is better, but guardrail equal is broken"]


def test_selective_labels_recommend_and_never_decide(lake: Lake) -> None:
    found = traffic(4000)
    lake.labelled(lake.shadowed(found), found, SOON)
    labels = {"horizonSeconds": HORIZON, "selective": "DecisionHidesOutcome"}
    assert told(lake, watched(monitoring={"labels": labels})).decision == "Recommended"


def test_a_worse_shadow_is_worse(lake: Lake) -> None:
    found = traffic(4000, champion_noise=0.3, challenger_noise=1.5)
    lake.labelled(lake.shadowed(found), found, SOON)
    assert told(lake, watched()).decision == "Worse"


def test_the_value_of_decisions_is_compared_by_an_expression(lake: Lake) -> None:
    found = traffic(4000)
    lake.labelled(lake.shadowed(found), found, SOON, outcomes=json.dumps({"paid": 30}))
    expression = "if(output.label = label, outcome.paid, -20) * if(input.region = 'north', 2, 1)"
    metric = {"type": "Value", "expression": expression}
    evidence = told(lake, watched(promotion={"metric": metric}))
    right = [(scores >= 0.5) == found.truth for scores in (found.champion, found.challenger)]
    values = [np.where(hit, 30, -20) * np.where(np.arange(4000) % 2 == 0, 2, 1) for hit in right]
    assert evidence.improvement == pytest.approx((values[1] - values[0]).mean())


def test_a_decision_whose_value_needs_no_label_counts_once_without_and_others_when_their_label_comes(lake: Lake) -> None:
    """As where a rejected loan has no outcome: it is worth 0, and the outcome of another makes no second unit of it."""
    found = traffic(1000)
    keys = lake.split(found, arms(1000))
    expression = "if(output.label = 'no', 0, outcome.paid)"
    one = watched(CANARY, promotion={"metric": {"type": "Value", "expression": expression}})
    before = told(lake, one)
    lake.labelled(keys, found, LATER, outcomes=json.dumps({"paid": 30}))
    after = told(lake, one, LATER + timedelta(hours=2))
    refused = int((np.where(arms(1000), found.challenger, found.champion).round(6) < 0.5).sum())
    assert (before.units, after.units) == (refused, 1000)
    assert same(recomputed(lake.store, one, after), after)


def test_an_expression_that_cannot_be_read_is_told(lake: Lake) -> None:
    evidence = told(lake, watched(promotion={"metric": {"type": "Value", "expression": "foo"}}))
    assert evidence.decision == "NotEnoughData"
    assert "promotion.metric.expression cannot be read: at character 1: foo is no column" in evidence.reasons[-1]


def test_without_the_description_of_a_version_nothing_counts_and_nothing_is_lost(tmp_path: Path) -> None:
    bare = Lake(tmp_path)
    found = traffic(1500)
    bare.labelled(bare.shadowed(found), found, SOON)
    assert "no pod has brought the description of version sha256:3" in told(bare, watched()).reasons[-1]
    bare.describe()
    assert told(bare, watched()).units == 1500


def test_a_metric_that_does_not_fit_the_package_is_told(lake: Lake) -> None:
    evidence = told(lake, watched(promotion={"metric": {"type": "SquaredError"}}))
    assert "SquaredError needs an output with a number; the package's is Binary" in evidence.reasons[-1]


def arms(count: int, share: float = 0.2) -> Any:
    return np.random.default_rng(9).random(count) < share


def test_canary_arms_are_compared_by_the_split(lake: Lake) -> None:
    found = traffic(9000, champion_noise=1.5, challenger_noise=0.1)
    given = arms(9000)
    lake.labelled(lake.split(found, given), found, SOON)
    evidence = told(lake, watched(CANARY))
    old, new = surprises(found.truth, found.champion)[~given].mean(), surprises(found.truth, found.challenger)[given].mean()
    assert evidence.decision == "Better"
    assert evidence.improvement == pytest.approx(old - new, abs=0.02)
    assert evidence.sample_ratio is not None
    assert evidence.sample_ratio.observed == {"champion": int((~given).sum()), "boosted": int(given.sum())}
    assert not evidence.sample_ratio.mismatch
    assert same(recomputed(lake.store, watched(CANARY), evidence), evidence)


def test_what_fell_back_counts_for_the_challenger(lake: Lake) -> None:
    found = traffic(3000)
    given = arms(3000)
    answered = np.where(given & (np.arange(3000) % 3 == 0), CHALLENGER, "")
    fallen = given & (np.arange(3000) % 3 != 0)
    lake.labelled(
        lake.split(
            found,
            given,
            digest=np.where(answered != "", CHALLENGER, "sha256:" + "3" * 64).tolist(),
            fallback=np.where(fallen, "Timeout", "").tolist(),
        ),
        found,
        SOON,
    )
    evidence = told(lake, watched(CANARY))
    assert evidence.sample_ratio is not None
    assert evidence.sample_ratio.observed["boosted"] == int(given.sum())
    assert evidence.data["failed_units"] == [int(fallen.sum()), int(given.sum())]


def test_a_split_that_is_not_the_planned_one_makes_the_evidence_invalid(lake: Lake) -> None:
    found = traffic(4000)
    lake.labelled(lake.split(found, arms(4000, 0.15)), found, SOON)
    evidence = told(lake, watched(CANARY))
    assert evidence.decision == "Invalid"
    assert "sample-ratio mismatch" in evidence.reasons[0]


def test_rows_that_do_not_say_by_which_split_do_not_count(lake: Lake) -> None:
    found, given = traffic(500), arms(500)
    lake.labelled(lake.split(found, given, split=None), found, SOON)
    evidence = told(lake, watched(CANARY))
    assert evidence.units == 0
    why = "they were assigned to the challenger and do not say by which split"
    assert f"{given.sum()} rows do not count: {why}" in evidence.reasons


def test_requests_that_name_a_version_are_no_units_of_a_canary_and_no_mismatch(lake: Lake) -> None:
    found, given = traffic(4000), arms(4000)
    pinned = np.random.default_rng(4).random(4000) < 0.5
    given &= ~pinned
    lake.labelled(lake.split(found, given, split=[None if one else SPLIT for one in pinned]), found, SOON)
    evidence = told(lake, watched(CANARY))
    assert evidence.units == int((~pinned).sum())
    assert evidence.sample_ratio is not None
    assert not evidence.sample_ratio.mismatch
    assert evidence.decision in ("Undecided", "Better")
    assert evidence.reasons == []


def test_a_lake_of_an_older_podium_has_no_splits_and_is_read(lake: Lake) -> None:
    found = traffic(300)
    keys = lake.shadowed(found)
    lake.labelled(keys, found, SOON)
    [path] = (lake.path / "predictions").rglob("*.parquet")
    older = pq.ParquetFile(path).read().drop_columns(["split", "unit_key", "sampled"])
    path.unlink()
    pq.write_table(older, path)
    assert told(lake, watched()).units == 300


@pytest.mark.parametrize("mode", [SHADOW, CANARY])
def test_what_a_rule_kept_beyond_the_sample_changes_no_figure(tmp_path: Path, mode: Any) -> None:
    """Rows that failed, of one group, slow, labelled, of one arm: none of them is in any part of the evidence."""
    rails = [
        {"name": "errors", "type": "ErrorRate", "maximumIncrease": "0.01"},
        {"name": "equal", "type": "SelectionRateRatio", "minimum": "0.8", "column": "region"},
        {"name": "time", "type": "P99", "maximumIncrease": "0.1"},
        {"name": "brier", "type": "Loss", "loss": "Brier", "maximumIncrease": "0.1"},
    ]
    one = watched(mode, promotion={"metric": {"type": "LogLoss"}, "guardrails": rails})

    def seen(lake: Lake, *, extra: bool) -> ChallengerEvidence:
        lake.describe()
        put = lake.shadowed if mode is SHADOW else lambda found, **changes: lake.split(found, arms(len(found)), **changes)
        found = traffic(2000)
        lake.labelled(put(found), found, SOON)
        if extra:
            more = traffic(400, 5, challenger_noise=4.0)
            ids = [f"beyond-{index:x}-0" for index in range(400)]
            beyond: Any = {"event_id": ids, "join_key": ids, "sampled": False, "fallback": "Timeout", "latency_seconds": 9.0}
            lake.labelled(put(more, **beyond), more, SOON)
        return told(lake, one)

    without = seen(Lake(tmp_path / "a"), extra=False)
    assert without.units == 2000
    assert same(seen(Lake(tmp_path / "b"), extra=True), without)


def test_labels_that_come_by_arm_make_the_evidence_invalid(lake: Lake) -> None:
    found = traffic(6000)
    given = arms(6000)
    keys = lake.split(found, given)
    chosen = np.random.default_rng(2).random(6000) < np.where(given, 0.95, 0.7)
    kept = Traffic(found.truth[chosen], found.champion[chosen], found.challenger[chosen])
    lake.labelled([key for key, one in zip(keys, chosen, strict=True) if one], kept, SOON)
    evidence = told(lake, watched(CANARY))
    assert evidence.decision == "Invalid"
    assert "label coverage of the arms differs" in evidence.reasons[0]


def test_times_of_canary_arms_are_compared(lake: Lake) -> None:
    found = traffic(8000)
    given = arms(8000, 0.2)
    latency = np.random.default_rng(3).exponential(np.where(given, 0.05, 0.01))
    lake.labelled(lake.split(found, given, latency_seconds=latency.tolist()), found, SOON)
    rails = [{"name": "time", "type": "P99", "maximumIncrease": "0.25"}]
    evidence = told(lake, watched(CANARY, promotion={"metric": {"type": "LogLoss"}, "guardrails": rails}))
    assert evidence.guardrails[0].state == "Broken"


def test_a_sticky_key_beside_the_join_key_is_the_unit(lake: Lake) -> None:
    """Joined by the request, split by a header: whoever comes twice is one unit, and without the header a request is one."""
    found = traffic(500)
    customers = [f"customer-{row // 2}" if row < 400 else None for row in range(500)]
    keys = lake.split(found, np.repeat(arms(250), 2), unit_key=customers)
    lake.labelled(keys, found, SOON)
    spec: Any = {"stickyBy": {"type": "Header", "header": "X-Customer"}, "capture": {"joinKey": {"type": "Request"}}}
    assert told(lake, watched(CANARY, **spec)).units == 300


def test_a_challenger_of_another_digest_is_another_trial_and_counts_its_own_rows_only(lake: Lake) -> None:
    found = traffic(500)
    lake.labelled(lake.shadowed(found), found, SOON)
    assert told(lake, watched()).units == 500
    other = watched({**SHADOW, "name": "renamed"})
    renamed = told(lake, other)
    assert (renamed.nth, renamed.units) == (2, 0)
    assert told(lake, watched()).nth == 1
