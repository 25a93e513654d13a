"""Evaluations are kept in a bucket as in a folder, also by two evaluators at once, as while one takes another's place."""

from datetime import timedelta
from pathlib import Path

from evaluation_fixtures import HOUR, NAME, NAMESPACE, LakeFolder, rows, watched
from podium_evaluation.documents import DeploymentEvaluation
from podium_monitor.evaluations.evaluating import Evaluations
from podium_monitor.evaluations.reading import latest
from podium_monitor.lake.store import Store

SPEC = watched(segments=["region"])


def put(lake: LakeFolder, store: Store) -> None:
    lake.store = store  # type: ignore[assignment]  # it creates files, as every store does
    lake.put_reference(rows(1000, 1))
    for day in (0, 8):
        found = rows(200, day)
        at = HOUR + timedelta(days=day)
        lake.put_labels(lake.put_predictions(found, at, key=f"d{day}"), found.truth.tolist(), at)


def evaluated(store: Store, *times: timedelta) -> DeploymentEvaluation | None:
    """Whole, by two evaluators in turns."""
    both = [Evaluations(store, 90, threads=1, memory_bytes=64 * 1024 * 1024) for _ in range(2)]
    for number, time in enumerate(times):
        both[number % 2].evaluate(SPEC, HOUR + time)
    for one in both:
        one.close()
    return latest(store, NAMESPACE, NAME)


def test_a_bucket_holds_the_same_document_as_a_folder(store: Store, tmp_path: Path) -> None:
    in_bucket, in_folder = LakeFolder(tmp_path / "bucket"), LakeFolder(tmp_path / "folder")
    folder = in_folder.store
    documents = []
    for lake, where in ((in_bucket, store), (in_folder, folder)):
        put(lake, where)
        first = evaluated(where, timedelta(days=8, hours=1), timedelta(days=8, hours=1, minutes=1))
        assert first is not None
        found = rows(150, 3)
        keys = lake.put_predictions(found, HOUR + timedelta(days=8, hours=1), key="more")
        lake.put_labels(keys, found.truth.tolist(), HOUR + timedelta(days=8, hours=2))
        documents.append(evaluated(where, *(timedelta(days=8, hours=3, minutes=number) for number in range(3))))
    bucket, same = documents
    assert bucket is not None
    assert same is not None
    assert [day.rows for day in bucket.arms[0].days] == [200, 350]
    assert [day.labelled for day in bucket.arms[0].days] == [200, 350]
    assert {one.column for one in bucket.arms[0].days[0].segments} == {"region"}
    assert [arm.days for arm in bucket.arms] == [arm.days for arm in same.arms]
    assert list(bucket.parts) == ["2026-W47", "2026-W48"]
