"""An hour more touches what it is about, however long the history; a process that is killed at any write loses nothing."""

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import IO

import pytest

from evaluation_fixtures import HOUR, NAME, NAMESPACE, LakeFolder, evaluations_of, rows, watched
from podium_evaluation.documents import DeploymentEvaluation, days_folder, evaluation_path
from podium_monitor.evaluations.evaluating import Evaluations
from podium_monitor.evaluations.keeping import Keeper, folder
from podium_monitor.evaluations.reading import latest, outlined
from podium_monitor.evaluations.states import States
from podium_monitor.lake.replacing import replace_files
from podium_monitor.lake.store import Entry, FolderStore
from podium_monitor.lake.tables import new_name

ROWS = rows(120, 4)
SPEC = watched(segments=["region"])
FIRST = "2026-11-21"


class Killed(BaseException):
    """In the place of SIGKILL: nothing of the evaluator runs after it."""


class Watching(FolderStore):
    """Notes what is read and written; is killed before the write that it is told."""

    def __init__(self, path: Path, killed_at: int | None = None) -> None:
        super().__init__(path)
        self.read_paths: list[str] = []
        self.written: list[str] = []
        self.killed_at = killed_at

    def _note(self, path: str) -> None:
        if len(self.written) == self.killed_at:
            raise Killed
        self.written.append(path)

    def create(self, path: str, content: bytes) -> None:
        self._note(path)
        super().create(path, content)

    def replace(self, path: str, content: bytes) -> None:
        self._note(path)
        super().replace(path, content)

    def delete(self, path: str) -> None:
        self._note(path)
        super().delete(path)

    def read(self, path: str) -> bytes:
        self.read_paths.append(path)
        return super().read(path)

    def local(self, path: str) -> Path:
        self.read_paths.append(path)
        return super().local(path)

    def open(self, path: str) -> IO[bytes]:
        self.read_paths.append(path)
        return super().open(path)

    def list(self, prefix: str) -> Iterator[Entry]:
        self.read_paths.append(f"{prefix}/")
        return super().list(prefix)


@pytest.fixture
def lake(tmp_path: Path) -> LakeFolder:
    made = LakeFolder(tmp_path)
    made.put_reference(rows(2000, 1))
    return made


def put_day(lake: LakeFolder, day: int, labelled: bool = True) -> list[str]:
    at = HOUR + timedelta(days=day)
    keys = lake.put_predictions(ROWS, at, key=f"d{day}")
    if labelled:
        lake.put_labels(keys, ROWS.truth.tolist(), at + timedelta(minutes=30))
    return keys


def days_of(document: DeploymentEvaluation | None) -> list[tuple[str, int, int]]:
    assert document is not None
    return [(f"{day.start:%Y-%m-%d}", day.rows, day.labelled) for arm in document.arms for day in arm.days]


def evaluate_with(store: FolderStore, day: float, times: int = 1) -> None:
    evaluations = Evaluations(store, 90, threads=1, memory_bytes=256 * 1024 * 1024)
    try:
        for more in range(times):
            evaluations.evaluate(SPEC, HOUR + timedelta(days=day, hours=2 * more))
    finally:
        evaluations.close()


def test_an_hour_more_reads_and_writes_nothing_of_the_days_before(lake: LakeFolder) -> None:
    for day in range(20):
        put_day(lake, day)
    store = Watching(lake.path)
    evaluations = Evaluations(store, 90, threads=1, memory_bytes=256 * 1024 * 1024)
    evaluations.evaluate(SPEC, HOUR + timedelta(days=19, hours=2))
    lake.put_predictions(ROWS, HOUR + timedelta(days=19, hours=1), key="more")
    store.written.clear()
    store.read_paths.clear()
    evaluations.evaluate(SPEC, HOUR + timedelta(days=19, hours=2, minutes=30))
    evaluations.close()
    touched = {
        path for path in (*store.read_paths, *store.written) if any(f"date=2026-11-{day}" in path for day in (21, 25))
    }
    assert not touched
    assert [path for path in store.written if "/days/" in path] == [path for path in store.written if "/2026-W50-" in path]
    assert days_of(latest(lake.store, NAMESPACE, NAME))[-1] == ("2026-12-10", 240, 120)
    assert days_of(latest(lake.store, NAMESPACE, NAME))[0] == (FIRST, 120, 120)


def test_days_are_whole_for_readers_and_outlines_in_the_head(lake: LakeFolder) -> None:
    for day in range(9):
        put_day(lake, day)
    evaluate_with(lake.store, 9)
    head, whole = outlined(lake.store, NAMESPACE, NAME), latest(lake.store, NAMESPACE, NAME)
    assert head is not None
    assert whole is not None
    assert list(head.parts) == ["2026-W47", "2026-W48"]
    assert days_of(head) == days_of(whole)
    first, same = head.arms[0].days[0], whole.arms[0].days[0]
    assert (first.segments, first.quality) == ([], {})
    assert {one.column for one in same.segments} == {"region"}
    assert set(same.quality) == set(same.drift) == {"tenure", "charge", "region"}
    assert (first.performance, first.diagnosis) == (same.performance, same.diagnosis)
    assert head.arms[0].days[-1] == whole.arms[0].days[-1]


def test_a_process_killed_before_any_of_its_writes_leaves_what_the_next_one_completes(tmp_path: Path) -> None:
    """Two days are known; then an old day's labels come and an hour more. Killed before each write in turn, the next
    process comes to the same document as one that was never killed."""

    before = LakeFolder(tmp_path / "before")
    before.put_reference(rows(1000, 1))
    keys = put_day(before, 0, labelled=False)
    put_day(before, 6)
    evaluate_with(before.store, 6.5)
    before.put_labels(keys, ROWS.truth.tolist(), HOUR + timedelta(days=6, hours=1))
    before.put_predictions(ROWS, HOUR + timedelta(days=6, hours=1), key="more")

    def made(name: str) -> LakeFolder:
        return LakeFolder(Path(shutil.copytree(before.path, tmp_path / name)))

    calm = made("calm")
    whole = Watching(calm.path)
    evaluate_with(whole, 7, times=2)
    right = latest(calm.store, NAMESPACE, NAME)
    assert days_of(right) == [(FIRST, 120, 120), ("2026-11-27", 240, 120)]
    for write in range(len(whole.written)):
        lake = made(f"killed-{write}")
        with pytest.raises(Killed):
            evaluate_with(Watching(lake.path, killed_at=write), 7, times=2)
        assert latest(lake.store, NAMESPACE, NAME) is not None, f"readers have a document, killed before write {write}"
        evaluate_with(lake.store, 7, times=2)
        found = latest(lake.store, NAMESPACE, NAME)
        assert days_of(found) == days_of(right), f"killed before write {write}: {whole.written[write]}"
        assert found is not None
        assert right is not None
        assert found.arms == right.arms


def test_the_state_of_another_release_is_not_misread_but_made_anew(lake: LakeFolder) -> None:
    put_day(lake, 0)
    evaluate_with(lake.store, 1)
    before = latest(lake.store, NAMESPACE, NAME)
    lake.store.replace(f"{folder(NAMESPACE, NAME)}/state", b"x\x9c\x03\x00\x00\x00\x00\x01")
    lake.store.replace(evaluation_path(NAMESPACE, NAME), b'{"namespace":"shop","deployment":"churn","uid":"uid-1",'
                       b'"evaluated_at":"2026-11-21T00:00:00Z","arms":[]}')  # fmt: skip
    assert latest(lake.store, NAMESPACE, NAME) is None
    evaluate_with(lake.store, 1)
    after = latest(lake.store, NAMESPACE, NAME)
    assert before is not None
    assert after is not None
    assert after.arms == before.arms


def test_a_part_that_is_gone_is_made_anew(lake: LakeFolder) -> None:
    for day in range(9):
        put_day(lake, day)
    evaluate_with(lake.store, 9)
    before = latest(lake.store, NAMESPACE, NAME)
    for entry in list(lake.store.list(days_folder(NAMESPACE, NAME))):
        lake.store.delete(entry.path)
    assert latest(lake.store, NAMESPACE, NAME) is None
    put_day(lake, 9)
    evaluate_with(lake.store, 10)
    after = latest(lake.store, NAMESPACE, NAME)
    assert before is not None
    assert after is not None
    assert after.arms[0].days[:9] == before.arms[0].days


def test_rows_erased_from_an_old_day_are_seen_while_their_file_is_being_replaced(lake: LakeFolder) -> None:
    for day in (0, 20):
        put_day(lake, day)
    now = HOUR + timedelta(days=20, hours=2)
    with evaluations_of(lake) as evaluate:
        evaluate(SPEC, now)
        old = next(entry.path for entry in lake.store.list("predictions") if f"date={FIRST}" in entry.path)
        other = LakeFolder(lake.path / "other")
        other.put_predictions(rows(10, 9), HOUR, key="kept")
        content = next((other.path / "predictions").rglob("*.parquet")).read_bytes()
        replace_files(lake.store, old.rpartition("/")[0], new_name(HOUR, merged=True), content, [old], now)
        document = evaluate(SPEC, now + timedelta(seconds=30))
    assert days_of(document)[0] == (FIRST, 10, 0)
    [arm] = Keeper(lake.store, NAMESPACE, NAME).summary(f"{FIRST}T13")
    assert arm.sample is not None
    assert arm.sample.num_rows == 10


def test_a_day_whose_rows_are_gone_leaves_nothing(lake: LakeFolder) -> None:
    for day in range(9):
        put_day(lake, day)
    with evaluations_of(lake) as evaluate:
        evaluate(SPEC, HOUR + timedelta(days=9))
        for table in ("predictions", "labels"):
            for entry in list(lake.store.list(table)):
                if f"date={FIRST}" in entry.path:
                    lake.store.delete(entry.path)
        document = evaluate(SPEC, HOUR + timedelta(days=9, hours=2))
    assert days_of(document)[0][0] == "2026-11-22"
    assert not list(lake.store.list(f"{folder(NAMESPACE, NAME)}/date={FIRST}"))
    parts = {name for entry in lake.store.list(days_folder(NAMESPACE, NAME)) if (name := entry.path.rpartition("/")[2])}
    assert document is not None
    assert all(FIRST not in lake.store.read(f"{days_folder(NAMESPACE, NAME)}/{one}").decode()[:20]
               for one in parts & set(document.parts.values()))  # fmt: skip


def test_the_newest_day_is_whole_in_the_head_also_when_a_newer_one_is_gone(lake: LakeFolder) -> None:
    for day in range(9):
        put_day(lake, day)
    evaluate_with(lake.store, 9)
    for entry in list(lake.store.list("predictions")):
        if "date=2026-11-29" in entry.path:
            lake.store.delete(entry.path)
    evaluate_with(lake.store, 9.5)
    head, whole = outlined(lake.store, NAMESPACE, NAME), latest(lake.store, NAMESPACE, NAME)
    assert head is not None
    assert whole is not None
    assert days_of(head)[-1][0] == "2026-11-28"
    assert head.arms[0].days[-1] == whole.arms[0].days[-1]
    assert set(head.arms[0].days[-1].quality) == {"tenure", "charge", "region"}


def test_changed_wishes_reach_the_oldest_day_at_once(lake: LakeFolder) -> None:
    for day in (0, 20):
        put_day(lake, day)
    with evaluations_of(lake) as evaluate:
        evaluate(SPEC, HOUR + timedelta(days=21))
        document = evaluate(watched(segments=["charge"]), HOUR + timedelta(days=21, minutes=1))
    assert document is not None
    assert [{one.column for one in day.segments} for day in document.arms[0].days] == [{"charge"}, {"charge"}]


def test_keys_of_past_weeks_lie_together_until_one_of_their_hours_has_others(lake: LakeFolder) -> None:
    keys = {day: put_day(lake, day, labelled=False) for day in (0, 1, 20)}
    now = HOUR + timedelta(days=20, hours=2)
    joined = f"{folder(NAMESPACE, NAME)}/keys"
    with evaluations_of(lake) as evaluate:
        evaluate(SPEC, now)
        lake.put_labels(keys[0], ROWS.truth.tolist(), now)
        document = evaluate(SPEC, now + timedelta(hours=2))
        assert [labelled for _, _, labelled in days_of(document)] == [120, 0, 0]
        assert [entry.path for entry in lake.store.list(joined)] == [f"{joined}/2026-W47"]
        later = lake.put_predictions(rows(10, 9), HOUR, key="late")
        evaluate(SPEC, now + timedelta(hours=4))  # one of the older dates in turn
        lake.put_labels([*later, *keys[1]], [True] * 130, now + timedelta(hours=4))
        document = evaluate(SPEC, now + timedelta(hours=6))
    assert days_of(document)[:2] == [(FIRST, 130, 130), ("2026-11-22", 120, 120)]


def test_dates_of_former_lives_do_not_count(lake: LakeFolder) -> None:
    first = States(lake.store, "there")
    first.hour(f"{FIRST}T13").files = "known"
    first.put_summary(f"{FIRST}T13", 7)
    first.keep()
    assert States(lake.store, "there").hour(f"{FIRST}T13").files == "known"
    lake.store.delete("there/state")
    assert States(lake.store, "there").hour(f"{FIRST}T13").files == ""
