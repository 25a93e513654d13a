"""Windows in which something is missing, constant, infinite, single or strange: figures that can be said, and no others."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluation_fixtures import DIGEST, HOUR, LakeFolder, Rows, evaluations_of, rows, watched
from podium_evaluation.documents import Arm, Window


@pytest.fixture
def lake(tmp_path: Path) -> LakeFolder:
    made = LakeFolder(tmp_path)
    made.put_reference(rows(2000, 1))
    return made


def hour(lake: LakeFolder, **monitoring: Any) -> Window:
    return arms(lake, **monitoring)[0].hours[-1]


def arms(lake: LakeFolder, **monitoring: Any) -> list[Arm]:
    with evaluations_of(lake) as evaluate:
        document = evaluate(watched(**monitoring))
    assert document is not None
    return document.arms


def test_a_column_that_is_missing_everywhere(lake: LakeFolder) -> None:
    found = rows(500, 2)
    found.frame["tenure"] = np.nan
    lake.put_predictions(found)
    one = hour(lake)
    assert one.quality["tenure"].missing == 1.0
    assert one.drift["tenure"].severity == "Critical"
    assert one.drift["tenure"].alert
    assert one.drift["tenure"].wasserstein is None


def test_a_column_that_is_not_captured_at_all(lake: LakeFolder) -> None:
    found = rows(300, 2)
    lake.put_captured(['{"charge": 50.0}'] * 300, [json.dumps(one) for one in found.outputs])
    assert hour(lake).quality["tenure"].missing == 1.0


def test_a_constant_column_and_infinities(lake: LakeFolder) -> None:
    found = rows(300, 2)
    inputs = ['{"tenure": 1e999, "charge": 50.0, "region": "west"}'] * 300
    lake.put_captured(inputs, [json.dumps(one) for one in found.outputs])
    one = hour(lake)
    assert one.quality["tenure"].out_of_range == 1.0
    assert one.drift["tenure"].statistic == 1.0
    assert one.drift["charge"].alert


def test_text_in_a_column_of_numbers(lake: LakeFolder) -> None:
    found = rows(300, 2)
    inputs = [json.dumps({"tenure": "n/a" if index % 3 == 0 else 3.5, "charge": 50.0}) for index in range(300)]
    lake.put_captured(inputs, [json.dumps(one) for one in found.outputs])
    one = hour(lake)
    assert one.quality["tenure"].wrong_type == pytest.approx(1 / 3)
    assert one.quality["tenure"].missing == 0.0


def test_one_class_alone_has_no_auc(lake: LakeFolder) -> None:
    found = rows(300, 2)
    lake.put_labels(lake.put_predictions(found), ["no"] * 300, HOUR)
    one = hour(lake)
    assert one.labelled == 300
    assert "accuracy" in one.performance
    assert not {"auc", "gini", "balanced_accuracy"} & set(one.performance)


@pytest.mark.parametrize("count", [1, 2, 29])
def test_a_tiny_window_has_rows_and_no_performance(lake: LakeFolder, count: int) -> None:
    found = rows(count, 2)
    lake.put_labels(lake.put_predictions(found), found.truth.tolist(), HOUR)
    one = hour(lake, segments=["region"], fairness={"protected": ["region"]})
    assert (one.rows, one.labelled, one.performance, one.fairness) == (count, count, {}, [])


def test_a_million_categories_are_counted_and_not_kept(lake: LakeFolder) -> None:
    found = rows(1000, 2)
    inputs = [json.dumps({"tenure": 1.0, "charge": 50.0, "region": f"r{index}"}) for index in range(200_000)]
    outputs = [json.dumps(one) for one in found.outputs] * 200
    lake.put_captured(inputs, outputs)
    one = hour(lake, segments=["region"])
    assert one.quality["region"].unseen == 1.0
    assert len(one.segments) <= 50
    summary = sum(entry.size for entry in lake.store.list("evaluations") if entry.path.endswith("summary"))
    assert summary < 2_000_000


def test_rows_of_a_version_without_a_reference_are_judged_by_nothing_but_counted(lake: LakeFolder) -> None:
    found = rows(300, 2)
    other = "sha256:" + "9" * 64
    lake.put_labels(lake.put_predictions(found, version="churn-9", digest=other), found.truth.tolist(), HOUR)
    [arm] = arms(lake)
    assert (arm.version, arm.hours[0].rows, arm.hours[0].drift) == ("churn-9", 300, {})
    lake.put_reference(rows(2000, 1), other)  # its pods bring it later: the hour is read again
    with evaluations_of(lake) as evaluate:
        document = evaluate(watched(), HOUR + timedelta(hours=28))
    assert document is not None
    assert document.arms[0].hours[0].labelled == 300
    assert set(document.arms[0].hours[0].drift) == {"tenure", "charge", "region"}


def test_shadows_are_an_arm_of_their_own_with_the_inputs_and_labels_of_their_predictions(lake: LakeFolder) -> None:
    found = rows(300, 2)
    keys = lake.put_predictions(found)
    lake.put_labels(keys, found.truth.tolist(), HOUR)
    better = Rows(found.frame, np.where(found.truth, 0.9, 0.1), found.truth)
    lake.put_shadows(better, [f"k-{HOUR:%d%H}-{index}" for index in range(300)])
    champion, shadow = arms(lake)
    assert (champion.role, shadow.role, shadow.version) == ("Champion", "Shadow", "churn-4")
    assert shadow.hours[0].performance["accuracy"].value == 1.0
    assert shadow.hours[0].drift["tenure"] == champion.hours[0].drift["tenure"]
    assert shadow.hours[0].latency_p50_seconds is None


def test_canaries_and_fallbacks_go_to_whoever_answered(lake: LakeFolder) -> None:
    lake.put_predictions(rows(200, 2), key="a")
    lake.put_predictions(rows(100, 3), key="b", arm_assigned="young", arm_answered="young", version="churn-4")
    lake.put_predictions(rows(50, 4), key="c", arm_assigned="young", fallback="Timeout")
    found = {arm.role: arm.hours[0] for arm in arms(lake)}
    assert (found["Champion"].rows, found["Champion"].fallbacks) == (250, 50)
    assert found["Canary"].rows == 100
    assert found["Champion"].latency_p50_seconds == pytest.approx(0.01, rel=0.03)


def test_redacted_and_hashed_inputs_have_no_distribution(lake: LakeFolder) -> None:
    lake.put_predictions(rows(200, 2))
    one = watched()
    spec = one.spec.model_copy(update={"capture": one.spec.capture.model_copy(update={"redact": ["tenure"]})})
    with evaluations_of(lake) as evaluate:
        document = evaluate(type(one)(one.namespace, one.name, one.uid, one.created_at, spec))
    assert document is not None
    assert set(document.arms[0].hours[0].drift) == {"charge", "region"}


def test_two_versions_in_one_hour_are_measured_by_their_own_references(lake: LakeFolder) -> None:
    other = "sha256:" + "9" * 64
    lake.put_reference(rows(2000, 1, unit=60.0), other)
    lake.put_predictions(rows(400, 2), key="a")
    lake.put_predictions(rows(400, 3, unit=60.0), key="b", version="churn-9", digest=other)
    found = arms(lake)
    assert [arm.digest for arm in found] == [DIGEST, other]
    assert not any(arm.hours[0].drift["tenure"].alert for arm in found)


def test_an_hour_that_cannot_be_read_keeps_no_other_from_being_read(lake: LakeFolder) -> None:
    found = rows(300, 2)
    lake.put_predictions(found, HOUR, key="a")
    lake.put_predictions(found, HOUR + timedelta(hours=1), key="b")
    [broken] = [entry.path for entry in lake.store.list("predictions") if "hour=14" in entry.path]
    lake.store.replace(broken, b"PAR1 and no more")
    with evaluations_of(lake) as evaluate:
        document = evaluate(watched())
    assert document is not None
    assert [window.rows for window in document.arms[0].hours] == [300]
    assert "the rows of 2026-11-21T14:00 UTC cannot be read" in document.diagnosis[0]
