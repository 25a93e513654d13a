"""Pods bring what their version was trained on; evaluators read it once it is whole."""

import io
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from monitor_fixtures import CollectorProcess, headers, running
from podium_monitor.lake.store import FolderStore
from podium_monitor.references import InvalidReference, check, folder_of_reference, keep, reference_of

pytestmark = pytest.mark.process

DIGEST = "sha256:" + "ab" * 32
FOLDER = folder_of_reference("shop", "churn", DIGEST)


def descriptor(**changes: Any) -> bytes:
    tensor = {"name": "tenure", "datatype": "FP64", "shape": [-1, 1]}
    output = {"name": "label", "datatype": "BYTES", "shape": [-1, 1], "kind": "Label"}
    described = {"name": "churn", "version": "3", "inputs": [tensor], "outputs": [output], **changes}
    return yaml.safe_dump(described).encode()


def profile(**changes: Any) -> bytes:
    numeric = {"type": "Numeric", "edges": [1.0, 2.0], "counts": [3, 4, 5], **changes}
    return json.dumps({"rows": 12, "inputs": {"tenure": numeric}, "outputs": {}}).encode()


def table(rows: int = 3) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"tenure": [float(row) for row in range(rows)]}), sink)
    return sink.getvalue()


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "lake")


def test_a_reference_is_whole_with_its_descriptor(store: FolderStore) -> None:
    assert reference_of(store, "shop", "churn", DIGEST) is None
    keep(store, FOLDER, "profile.json", profile())
    keep(store, FOLDER, "reference.parquet", table())
    assert reference_of(store, "shop", "churn", DIGEST) is None
    keep(store, FOLDER, "podium.yaml", descriptor())
    found = reference_of(store, "shop", "churn", DIGEST)
    assert found is not None
    assert found.descriptor.name == "churn"
    assert found.profile is not None
    assert found.profile.rows == 12
    assert found.table is not None
    assert pq.read_metadata(found.table).num_rows == 3
    assert reference_of(store, "shop", "other", DIGEST) is None


def test_a_package_without_profile_and_sample_has_a_reference_too(store: FolderStore) -> None:
    keep(store, FOLDER, "podium.yaml", descriptor())
    found = reference_of(store, "shop", "churn", DIGEST)
    assert found is not None
    assert (found.profile, found.table) == (None, None)


def test_fields_of_a_newer_release_are_passed_over(store: FolderStore) -> None:
    keep(store, FOLDER, "profile.json", profile(skewness=3.0))
    keep(store, FOLDER, "podium.yaml", descriptor(mood="good"))
    found = reference_of(store, "shop", "churn", DIGEST)
    assert found is not None
    assert found.profile is not None
    assert found.profile.inputs["tenure"].counts == [3, 4, 5]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("podium.yaml", b"a: [", "podium.yaml is not YAML"),
        ("podium.yaml", b"\xff\x00", "podium.yaml is not YAML"),
        ("podium.yaml", b"!!python/object/apply:os.getpid []", "podium.yaml is not YAML"),
        ("podium.yaml", descriptor(inputs=[]), "podium.yaml: inputs"),
        ("podium.yaml", b"", "podium.yaml: it"),
        ("podium.yaml", b"name: 2001-02-30", "podium.yaml is not YAML"),
        ("podium.yaml", b'name: !!int ""', "podium.yaml is not YAML"),
        ("podium.yaml", b"[" * 1_000_000, "more than 50 levels deep"),
        ("podium.yaml", b"name: 1" + b":59" * 1_000_000, "a long number"),
        ("podium.yaml", b"a: &a {x: 1}\nb: {<<: [*a, *a]}", "a merge key"),
        ("profile.json", b"{", "profile.json: "),
        ("profile.json", b"\xff", "profile.json: "),
        ("profile.json", profile(type="Magic"), "profile.json: inputs.tenure"),
        ("reference.parquet", b"PAR1", "reference.parquet is not Parquet"),
        ("reference.parquet", table(100_001), "100001 rows of 1 columns, may have 100000"),
    ],
)
def test_a_file_that_is_not_what_its_name_says_is_refused(name: str, content: bytes, says: str) -> None:
    with pytest.raises(InvalidReference, match=says):
        check(name, content)


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[CollectorProcess]:
    yield from running(tmp_path)


@asynccontextmanager
async def pod(collector: CollectorProcess, source: str = "shop/churn/uid-1") -> AsyncIterator[aiohttp.ClientSession]:
    await collector.ready()
    async with aiohttp.ClientSession(collector.url, headers=headers(source)) as session:
        yield session


async def put(session: aiohttp.ClientSession, path: str, content: bytes, **changes: str) -> tuple[int, str]:
    async with session.put(path, data=io.BytesIO(content), headers=changes) as response:
        return response.status, await response.text()


async def test_the_first_to_bring_a_file_is_told_so_the_same_again_is_fine_and_another_is_not(
    collector: CollectorProcess,
) -> None:
    async with pod(collector) as session:
        async with session.head(f"/v1/references/{DIGEST}/podium.yaml") as response:
            assert response.status == 404
        assert (await put(session, f"/v1/references/{DIGEST}/profile.json", profile()))[0] == 201
        assert (await put(session, f"/v1/references/{DIGEST}/podium.yaml", descriptor()))[0] == 201
        assert (await put(session, f"/v1/references/{DIGEST}/podium.yaml", descriptor()))[0] == 200
        status, says = await put(session, f"/v1/references/{DIGEST}/podium.yaml", descriptor(version="4"))
        assert (status, "another podium.yaml" in says) == (409, True)
        status, says = await put(session, f"/v1/references/{DIGEST}/reference.parquet", table())
        assert (status, "whole without reference.parquet" in says) == (409, True)
        async with session.head(f"/v1/references/{DIGEST}/podium.yaml") as response:
            assert response.status == 200
    async with pod(collector, "shop/fraud/uid-9") as other, other.head(f"/v1/references/{DIGEST}/podium.yaml") as response:
        assert response.status == 404
    found = reference_of(FolderStore(collector.lake), "shop", "churn", DIGEST)
    assert found is not None
    assert found.descriptor.version == "3"


async def test_what_is_no_reference_of_the_sender_is_refused(collector: CollectorProcess) -> None:
    async with pod(collector) as session:
        assert (await put(session, f"/v1/references/{DIGEST}/podium.yaml", descriptor(), Authorization="Bearer x"))[0] == 401
        assert (await put(session, f"/v1/references/{DIGEST}/model.onnx", b"x"))[0] == 404
        assert (await put(session, "/v1/references/sha256:ab/podium.yaml", descriptor()))[0] == 404
        assert (await put(session, "/v1/references/sha256:%2e%2e%2f%2e%2e/podium.yaml", descriptor()))[0] == 404
        status, says = await put(session, f"/v1/references/{DIGEST}/profile.json", b"[]")
        assert (status, "profile.json" in says) == (400, True)
    assert not list((collector.lake / "references").rglob("*.*"))
