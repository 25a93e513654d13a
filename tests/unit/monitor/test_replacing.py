"""One file takes the place of others, whenever a crash comes."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from podium_monitor.lake.reading import files
from podium_monitor.lake.replacing import Replaced, finish, replace_files
from podium_monitor.lake.store import FolderStore

NOW = datetime(2026, 11, 21, 15, tzinfo=UTC)
FOLDER = "predictions/namespace=shop/deployment=churn/date=2026-11-21/hour=13"
READERS = timedelta(minutes=5)
LATER = NOW + READERS + timedelta(seconds=1)


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    store = FolderStore(tmp_path)
    for name in ("1.parquet", "2.parquet", "3.parquet"):
        store.create(f"{FOLDER}/{name}", name.encode())
    return store


def seen(store: FolderStore) -> list[str]:
    """By readers."""
    hour = datetime(2026, 11, 21, 13, tzinfo=UTC)
    found = files(store, "predictions", "shop", "churn", hour, hour + timedelta(hours=1))
    return [path.rpartition("/")[2] for path in found]


def there(store: FolderStore) -> list[str]:
    return [entry.path.rpartition("/")[2] for entry in store.list("predictions")]


def old(*names: str) -> list[str]:
    return [f"{FOLDER}/{name}" for name in names]


def test_readers_see_the_new_file_at_once_and_those_who_read_the_old_ones_finish(store: FolderStore) -> None:
    replace_files(store, FOLDER, "new.parquet", b"12", old("1.parquet", "2.parquet"), NOW)
    assert seen(store) == ["3.parquet", "new.parquet"]
    assert finish(store, NOW, READERS) == Replaced(deleted=0, waiting=2)
    assert there(store) == ["1.parquet", "2.parquet", "3.parquet", "new.parquet"]
    assert finish(store, LATER, READERS) == Replaced(deleted=2, waiting=0)
    assert there(store) == seen(store) == ["3.parquet", "new.parquet"]
    assert list(store.list(".podium")) == []


class CrashingStore(FolderStore):
    """Its process dies before write or deletion number `left`."""

    left = 0

    def create(self, path: str, content: bytes) -> None:
        self._step()
        super().create(path, content)

    def delete(self, path: str) -> None:
        self._step()
        super().delete(path)

    def _step(self) -> None:
        if self.left == 0:
            raise SystemExit
        self.left -= 1


@pytest.mark.parametrize("steps", range(6))
def test_a_crash_at_any_instant_neither_loses_a_row_nor_shows_it_twice(store: FolderStore, steps: int) -> None:
    crashing = CrashingStore(store.folder)
    crashing.left = steps
    try:
        replace_files(crashing, FOLDER, "new.parquet", b"12", old("1.parquet", "2.parquet"), NOW)
        finish(crashing, LATER, READERS)
    except SystemExit:
        pass
    old_ones, new_one = ["1.parquet", "2.parquet", "3.parquet"], ["3.parquet", "new.parquet"]
    assert seen(store) == (old_ones if steps < 2 else new_one)
    finish(store, NOW + timedelta(hours=1), READERS)
    assert there(store) == seen(store) == (old_ones if steps < 2 else new_one)
    assert list(store.list(".podium")) == []


def test_files_whose_rows_all_go_are_replaced_by_nothing(store: FolderStore) -> None:
    replace_files(store, FOLDER, "nothing.parquet", None, old("1.parquet"), NOW)
    assert seen(store) == ["2.parquet", "3.parquet"]
    finish(store, LATER, READERS)
    assert there(store) == ["2.parquet", "3.parquet"]


def test_a_file_that_replaced_others_may_be_replaced_before_they_are_gone(store: FolderStore) -> None:
    replace_files(store, FOLDER, "new.parquet", b"12", old("1.parquet", "2.parquet"), NOW)
    replace_files(store, FOLDER, "newer.parquet", b"123", old("new.parquet", "3.parquet"), NOW + timedelta(seconds=1))
    assert seen(store) == ["newer.parquet"]
    failing = CrashingStore(store.folder)
    failing.left = 1
    with pytest.raises(SystemExit):
        finish(failing, LATER + timedelta(hours=1), READERS)
    finish(store, LATER + timedelta(hours=1), READERS)
    assert there(store) == seen(store) == ["newer.parquet"]
    assert list(store.list(".podium")) == []
