"""A folder as a store."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from podium_monitor.lake.opening import InvalidLake, LakeSettings, lake_settings, open_store
from podium_monitor.lake.store import FolderStore, Store
from store_promises import PROMISES


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
def test_a_folder_keeps_what_stores_promise(promise: Callable[[Store], None], tmp_path: Path) -> None:
    promise(FolderStore(tmp_path / "lake"))


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    (tmp_path / "a").write_bytes(b"a file where a folder should be")
    with pytest.raises(OSError, match="a"):
        store.create("a/b", b"x")
    assert list((tmp_path / ".incoming").iterdir()) == []


def test_what_a_crash_left_is_found_by_nobody_and_removed_when_nobody_can_be_writing_it(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    (tmp_path / ".incoming").mkdir()
    for name, age in [("old", 3600), ("of another process that writes", 1)]:
        (tmp_path / ".incoming" / name).write_bytes(b"PAR1 half")
        os.utime(tmp_path / ".incoming" / name, (time.time() - age,) * 2)
    assert list(store.list("")) == []
    store.clean()
    assert [path.name for path in (tmp_path / ".incoming").iterdir()] == ["of another process that writes"]


def test_the_environment_says_where_the_lake_is(tmp_path: Path) -> None:
    assert isinstance(open_store(lake_settings({"PODIUM_LAKE": str(tmp_path)})), FolderStore)
    environment = {
        "PODIUM_LAKE": "s3://lake/podium",
        "PODIUM_LAKE_S3_ENDPOINT": "http://127.0.0.1:1/",
        "PODIUM_LAKE_S3_REGION": "eu-central-1",
        "PODIUM_CACHE_DIR": str(tmp_path),
        "PODIUM_CACHE_MEBIBYTES": "2",
    }
    assert lake_settings(environment) == LakeSettings(
        "s3://lake/podium", "http://127.0.0.1:1", "eu-central-1", tmp_path, 2 * 1024**2
    )


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({}, "PODIUM_LAKE is not set"),
        ({"PODIUM_LAKE": "gs://lake"}, "PODIUM_LAKE is 'gs://lake', must be a folder's path or s3://"),
        ({"PODIUM_LAKE": "s3://Lake"}, "PODIUM_LAKE is 's3://Lake'"),
        ({"PODIUM_LAKE": "s3://lake", "PODIUM_LAKE_S3_ENDPOINT": "minio:9000"}, "must begin with http"),
        ({"PODIUM_LAKE": "/lake", "PODIUM_CACHE_MEBIBYTES": "-1"}, "must be a whole number"),
    ],
)
def test_what_is_no_lake_is_named(environment: dict[str, str], says: str) -> None:
    with pytest.raises(InvalidLake, match=says):
        lake_settings(environment)
