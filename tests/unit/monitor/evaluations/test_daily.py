"""Each day keeps what it said by itself: computed when its rows or labels change, and never of other days."""

from datetime import timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest

from evaluation_fixtures import HOUR, LakeFolder, Rows, evaluations_of, rows, watched
from podium_evaluation.documents import DeploymentEvaluation, Window, days_folder
from podium_monitor.evaluations.reading import latest, outlined, part

SPEC = watched(segments=["region"])


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> list[Window]:
    """A usual one, one in other units, one whose score follows other inputs, a usual one."""
    lake = LakeFolder(tmp_path_factory.mktemp("lake"))
    lake.put_reference(rows(4000, 1))
    for day, found in enumerate([rows(1500, 10), rows(1500, 11, unit=60.0), by_region(rows(1500, 12)), rows(1500, 13)]):
        at = HOUR + timedelta(days=day)
        keys = lake.put_predictions(found, at, key=f"d{day}")
        lake.put_labels(keys, found.truth.tolist(), at + timedelta(minutes=50))
    with evaluations_of(lake) as evaluate:
        document = evaluate(SPEC, HOUR + timedelta(days=5))
    assert document is not None
    return document.arms[0].days


def by_region(found: Rows) -> Rows:
    """In the reference the score goes with tenure, then charge, then region."""
    region = found.frame["region"].map({"north": 0.1, "south": 0.5, "west": 0.9}).to_numpy()
    return Rows(found.frame, region + found.frame["charge"].to_numpy() / 2000, found.truth)


def test_a_day_in_other_units_says_so_after_later_days_were_well(days: list[Window]) -> None:
    assert [bool(day.diagnosis) for day in days] == [False, True, True, False]
    assert any(one.startswith("tenure drifted (PSI ") and "60 times" in one for one in days[1].diagnosis)
    assert any(one.startswith("accuracy is 0.") and "outside of its bounds" in one for one in days[1].diagnosis)
    assert not any("since" in one for one in days[1].diagnosis), "a day knows no other"
    assert not any("tenure" in one for one in days[2].diagnosis if "drifted" in one)


def test_importance_has_its_own_course(days: list[Window]) -> None:
    shifts = [day.importance_shift for day in days]
    assert shifts[0] == shifts[3] == pytest.approx(0)
    assert shifts[2] is not None
    assert shifts[2] > 0.4


def test_a_closed_day_is_explained_once_and_again_when_labels_come(tmp_path: Path) -> None:
    lake = LakeFolder(tmp_path)
    lake.put_reference(rows(2000, 1))
    found = rows(1000, 10, unit=60.0)
    keys = lake.put_predictions(found, HOUR, key="first")
    lake.put_predictions(rows(500, 11), HOUR + timedelta(days=1), key="second")
    with evaluations_of(lake) as evaluate:
        evaluate(SPEC, HOUR + timedelta(days=2))
        assert read(lake).arms[0].days[0].diagnosis
        write_over_first_day(lake, ["as it was written"])
        lake.put_predictions(rows(500, 12), HOUR + timedelta(days=1, hours=1), key="third")
        evaluate(SPEC, HOUR + timedelta(days=2, minutes=1))
        assert read(lake).arms[0].days[0].diagnosis == ["as it was written"]
        assert read(lake).arms[0].days[1].rows == 1000
        lake.put_labels(keys, np.asarray(found.truth).tolist(), HOUR + timedelta(days=2))
        evaluate(SPEC, HOUR + timedelta(days=2, hours=2))
    [first, _] = read(lake).arms[0].days
    assert any(one.startswith("accuracy is ") for one in first.diagnosis)
    assert any(one.startswith("tenure drifted") for one in first.diagnosis)


def test_the_timeline_tells_what_happened_where_drift_began(tmp_path: Path) -> None:
    lake = LakeFolder(tmp_path)
    lake.put_reference(rows(2000, 1))
    lake.put_predictions(rows(1000, 10, unit=60.0))
    with evaluations_of(lake) as evaluate:
        document = evaluate(SPEC)
    assert document is not None
    [began] = [one for one in document.timeline if one.kind == "Drift"]
    assert "; tenure: " in began.text
    assert "60 times" in began.text
    assert any(f"since {HOUR:%Y-%m-%d}: " in one and "60 times" in one for one in document.diagnosis)


def read(lake: LakeFolder) -> DeploymentEvaluation:
    document = latest(lake.store, "shop", "churn")
    assert document is not None
    return document


def write_over_first_day(lake: LakeFolder, diagnosis: list[str]) -> None:
    """As no evaluation would: so it is seen whether it is computed again."""
    document = outlined(lake.store, "shop", "churn")
    assert document is not None
    [week] = document.parts
    days = part(lake.store, document, week)
    days["2026-11-21"][0].window.diagnosis = diagnosis
    lake.store.replace(f"{days_folder('shop', 'churn')}/{document.parts[week]}", msgspec.json.encode(days))
