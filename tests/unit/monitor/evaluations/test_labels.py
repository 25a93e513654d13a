"""Labels come late, again, and in conflict; hours are read again exactly where that changes something."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from evaluation_fixtures import HOUR, NAME, NAMESPACE, LakeFolder, evaluations_of, rows, watched
from podium_evaluation.documents import DeploymentEvaluation, Window
from podium_monitor.evaluations.keeping import Keeper, folder
from podium_monitor.evaluations.states import States

ROWS = rows(300, 4)


@pytest.fixture
def lake(tmp_path: Path) -> LakeFolder:
    made = LakeFolder(tmp_path)
    made.put_reference(rows(2000, 1))
    return made


def reads(lake: LakeFolder) -> dict[str, float]:
    """When each hour was read."""
    states = States(lake.store, folder(NAMESPACE, NAME))
    return {hour: states.hour(hour).read_at for hour in states.summarized()}


def hour_of(document: DeploymentEvaluation | None, at: datetime = HOUR) -> Window:
    assert document is not None
    [found] = [window for window in document.arms[0].hours if window.start == at]
    return found


def truths() -> list[bool]:
    return [bool(one) for one in ROWS.truth]


def test_a_label_that_comes_late_reads_its_hour_again_and_no_other(lake: LakeFolder) -> None:
    lake.put_predictions(ROWS, HOUR, key="a")
    keys = lake.put_predictions(ROWS, HOUR + timedelta(hours=1), key="b")
    with evaluations_of(lake) as evaluate:
        assert hour_of(evaluate(watched())).labelled == 0
        assert evaluate(watched(), HOUR + timedelta(hours=27)) is not None
        before = reads(lake)
        lake.put_labels(keys, truths(), HOUR + timedelta(days=1, hours=2))
        document = evaluate(watched(), HOUR + timedelta(hours=28))
    after = reads(lake)
    assert [hour for hour in after if after[hour] != before[hour]] == ["2026-11-21T14"]
    assert hour_of(document).labelled == 0
    assert hour_of(document, HOUR + timedelta(hours=1)).labelled == 300
    assert document is not None
    assert document.arms[0].days[0].labelled == 300
    assert document.label_delay_p50_seconds == pytest.approx(24.5 * 3600, rel=0.1)


def test_a_label_that_is_months_late_is_found(lake: LakeFolder) -> None:
    keys = lake.put_predictions(ROWS)
    with evaluations_of(lake) as evaluate:
        evaluate(watched())
        lake.put_labels(keys, truths(), HOUR + timedelta(days=70))
        later = evaluate(watched(), HOUR + timedelta(days=70, hours=1))
    assert hour_of(later).labelled == 300


def test_labels_that_were_there_before_their_predictions_were_read(lake: LakeFolder) -> None:
    keys = lake.put_predictions(ROWS, key="a")
    lake.put_labels(keys, truths(), HOUR + timedelta(minutes=5))
    with evaluations_of(lake) as evaluate:
        evaluate(watched())
        more = lake.put_predictions(ROWS, key="late")  # rows of the hour that came after it was read
        assert hour_of(evaluate(watched(), HOUR + timedelta(hours=27))).rows == 600
        lake.put_labels(more, truths(), HOUR + timedelta(minutes=10))
        assert hour_of(evaluate(watched(), HOUR + timedelta(hours=29))).labelled == 600


def test_the_newest_label_of_a_key_counts_whatever_came_first(lake: LakeFolder) -> None:
    keys = lake.put_predictions(ROWS)
    wrong = [not one for one in truths()]
    with evaluations_of(lake) as evaluate:
        lake.put_labels(keys, truths(), HOUR + timedelta(hours=2))
        right = hour_of(evaluate(watched())).performance["accuracy"].value
        before = reads(lake)
        lake.put_labels(keys, wrong, HOUR + timedelta(hours=1))  # older, though it came later
        assert hour_of(evaluate(watched(), HOUR + timedelta(hours=28))).performance["accuracy"].value == right
        assert reads(lake) == before
        lake.put_labels(keys, wrong, HOUR + timedelta(hours=3))
        corrected = hour_of(evaluate(watched(), HOUR + timedelta(hours=30)))
        assert corrected.performance["accuracy"].value == pytest.approx(1 - (right or 0))
        lake.put_labels(keys, [None] * len(keys), HOUR + timedelta(hours=4))
        withdrawn = hour_of(evaluate(watched(), HOUR + timedelta(hours=32)))
    assert (withdrawn.labelled, withdrawn.performance) == (0, {})


def test_conflicting_labels_of_one_instant_count_once_and_the_same_in_any_order(tmp_path: Path) -> None:
    found = []
    for turn in (1, -1):
        lake = LakeFolder(tmp_path / str(turn))
        lake.put_reference(rows(2000, 1))
        keys = lake.put_predictions(ROWS)
        both = [(truths(), "x"), ([not one for one in truths()], "y")][::turn]
        for labels, name in both:
            ids = [f"{name}-{index}" for index in range(len(keys))]
            lake.put_labels(keys, labels, HOUR, event_id=ids)
        with evaluations_of(lake) as evaluate:
            found.append(hour_of(evaluate(watched())))
    assert found[0].labelled == 300
    assert found[0].performance == found[1].performance


def test_labels_of_keys_that_nobody_predicted_change_nothing(lake: LakeFolder) -> None:
    lake.put_predictions(ROWS)
    with evaluations_of(lake) as evaluate:
        evaluate(watched())
        before = reads(lake)
        lake.put_labels(["stranger"], [True], HOUR)
        assert hour_of(evaluate(watched(), HOUR + timedelta(hours=27))).labelled == 0
    assert reads(lake) == before


def test_labels_as_people_write_them(lake: LakeFolder) -> None:
    written = ["yes", "no", True, False, 1, 0, 1.0, "1", "maybe", 7]
    keys = lake.put_predictions(rows(len(written), 5))
    lake.put_labels(keys, written, HOUR)
    with evaluations_of(lake) as evaluate:
        assert hour_of(evaluate(watched())).labelled == 8


def test_outcomes_are_worth_what_the_expression_says(lake: LakeFolder) -> None:
    keys = lake.put_predictions(ROWS)
    outcomes = ['{"amount": 5}' if index % 2 else "{}" for index in range(len(keys))]
    lake.put_labels(keys, truths(), HOUR, outcomes=outcomes)
    kpis = [
        {"name": "amount", "expression": "outcome.amount * 2", "minimum": "20"},
        {"name": "broken", "expression": "1 +"},
        {"name": "right", "expression": "if(prediction = label, 1, 0)"},
    ]
    with evaluations_of(lake) as evaluate:
        hour = hour_of(evaluate(watched(business=kpis)))
    assert hour.business["amount"].value == 10
    assert hour.totals["amount"] == 1500
    assert set(hour.business) == {"amount", "right"}


def test_rows_that_were_erased_leave_nothing_behind(lake: LakeFolder) -> None:
    keys = lake.put_predictions(ROWS)
    lake.put_labels(keys, truths(), HOUR)
    with evaluations_of(lake) as evaluate:
        evaluate(watched())
        [old] = [entry.path for entry in lake.store.list("predictions")]
        lake.put_predictions(rows(10, 9), key="kept")
        lake.store.delete(old)
        hour = hour_of(evaluate(watched(), HOUR + timedelta(hours=28)))
    keeper = Keeper(lake.store, NAMESPACE, NAME)
    assert (hour.rows, hour.labelled) == (10, 0)
    assert len(keeper.labels("2026-11-21T13")) == 0
    [arm] = keeper.summary("2026-11-21T13")
    assert arm.sample is not None
    assert arm.sample.num_rows == 10
