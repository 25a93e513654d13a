"""A bucket as a store, on a real S3 server."""

from collections.abc import Callable
from pathlib import Path

import pytest

from podium_monitor.lake.opening import LakeSettings, open_store
from podium_monitor.lake.store import Store
from s3_server import S3Server
from store_promises import PROMISES


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
def test_a_bucket_keeps_what_stores_promise(promise: Callable[[Store], None], store: Store) -> None:
    promise(store)


def test_a_failure_names_the_object_and_the_reason(store: Store, s3: S3Server, tmp_path: Path) -> None:
    elsewhere = open_store(LakeSettings("s3://other/podium", s3.endpoint, cache=tmp_path / "cache"))
    with pytest.raises(OSError, match=r"cannot write s3://other/podium/a/b: .*not found"):
        elsewhere.create("a/b", b"x")
    s3.kill()
    with pytest.raises(OSError, match="cannot read s3://lake/podium/a/b: "):
        store.read("a/b")
