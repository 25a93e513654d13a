"""The cache believes nothing that it did not hash, and leaves nothing half-written under a final name."""

import os
from pathlib import Path

import pytest

from podium_crds.package import FileEntry, sha256_digest
from podium_serving.fetch.cache import Cache
from podium_serving.fetch.contents import Contents, read_contents
from podium_serving.fetch.errors import DigestMismatch, FetchFailed, InvalidPackage
from serving_fixtures import make_package


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def entry(content: bytes, size: int | None = None) -> FileEntry:
    return FileEntry(name="model.onnx", digest=sha256_digest(content), size=len(content) if size is None else size)


def fill(cache: Cache, folder: Path, **more: object) -> Contents:
    digest = make_package(folder, **more)  # type: ignore[arg-type]  # passed on as they are
    manifest = (folder / "manifest.json").read_bytes()
    contents = read_contents(digest, manifest)
    cache.write(digest, manifest)
    for file in contents.files:
        cache.write(file.digest, (folder / file.name).read_bytes())
    return contents


def test_a_received_file_is_there_with_its_content(cache: Cache) -> None:
    cache.write(entry(b"weights").digest, b"weights")
    assert cache.holds(entry(b"weights"))
    assert cache.read(entry(b"weights").digest, 7) == b"weights"
    assert cache.read(entry(b"weights").digest, 6) is None, "larger than the reader takes"


@pytest.mark.parametrize(
    ("content", "size", "error"),
    [(b"weight", 7, FetchFailed), (b"weightz", 7, DigestMismatch), (b"weights and more", 7, DigestMismatch)],
    ids=["short", "other", "long"],
)
def test_wrong_bytes_leave_nothing_behind(
    cache: Cache, tmp_path: Path, content: bytes, size: int, error: type[Exception]
) -> None:
    with pytest.raises(error), cache.receive(entry(b"weights").digest, size) as arriving:
        arriving.write(content)
    assert not cache.holds(entry(b"weights"))
    assert os.listdir(tmp_path / "cache" / "blobs") == []


def test_a_file_that_the_disk_changed_is_removed(cache: Cache) -> None:
    cache.write(entry(b"weights").digest, b"weights")
    path = cache.blob(entry(b"weights").digest)
    path.chmod(0o644)
    path.write_bytes(b"weightz")
    assert not cache.holds(entry(b"weights"))
    assert not path.exists()


def test_a_package_is_linked_with_its_own_names(cache: Cache, tmp_path: Path) -> None:
    contents = fill(cache, tmp_path / "p")
    folder = cache.link(contents)
    assert {path.name for path in folder.iterdir()} == {path.name for path in (tmp_path / "p").iterdir()}
    assert (folder / "model.onnx").samefile(cache.blob(contents.entry("model.onnx").digest))
    assert cache.link(contents) == folder, "a second time changes nothing"


def test_a_package_with_a_replaced_file_is_linked_anew(cache: Cache, tmp_path: Path) -> None:
    contents = fill(cache, tmp_path / "p")
    folder = cache.link(contents)
    (folder / "model.onnx").unlink()
    (folder / "model.onnx").write_bytes(b"other")
    cache.link(contents)
    assert (folder / "model.onnx").samefile(cache.blob(contents.entry("model.onnx").digest))


def test_pruning_keeps_what_is_named_and_what_it_shares(cache: Cache, tmp_path: Path) -> None:
    first, second = fill(cache, tmp_path / "p1"), fill(cache, tmp_path / "p2", weights=[2, 2])
    cache.link(first)
    kept = cache.link(second)
    cache.prune([second.digest])
    assert [folder.name for folder in (tmp_path / "cache" / "packages").iterdir()] == [kept.name]
    assert all(cache.holds(file) for file in second.files)
    assert not cache.holds(first.entry("model.onnx"))


def test_leftovers_of_a_killed_process_are_cleared(cache: Cache, tmp_path: Path) -> None:
    (tmp_path / "cache" / "blobs" / ".partial-1").write_bytes(b"half")
    (tmp_path / "cache" / "packages" / ".partial-2").mkdir()
    cache.clear_partial()
    assert [list((tmp_path / "cache" / kind).iterdir()) for kind in ("blobs", "packages")] == [[], []]


MANIFEST = b'{"config":{"digest":"sha256:%s","size":2},"layers":[%s]}'
LAYER = b'{"digest":"%s","size":%s,"annotations":{"org.cncf.model.filepath":"%s"}}'
GOOD = b"sha256:" + b"a" * 64


@pytest.mark.parametrize(
    ("manifest", "text"),
    [
        (b"[]", "not a model package manifest"),
        (MANIFEST % (b"b" * 64, LAYER % (GOOD, b"1", b"../../etc/passwd")), "which no model package holds"),
        (MANIFEST % (b"b" * 64, LAYER % (b"sha256:../..", b"1", b"model.onnx")), "has no podium.yaml"),
        (
            MANIFEST
            % (b"b" * 64, b",".join([LAYER % (GOOD, b"1", b"podium.yaml"), LAYER % (b"../x", b"1", b"model.onnx")])),
            "is not a digest",
        ),
        (
            MANIFEST % (b"b" * 64, b",".join([LAYER % (GOOD, b"1", b"podium.yaml"), LAYER % (GOOD, b"-1", b"model.onnx")])),
            "has the size -1",
        ),
        (MANIFEST % (b"b" * 64, b",".join([LAYER % (GOOD, b"1", b"podium.yaml")] * 2)), "lists a file twice"),
        (b'{"layers":[%s]}' % (LAYER % (GOOD, b"1", b"podium.yaml")), "config"),
    ],
    ids=["no-manifest", "foreign-name", "no-descriptor", "foreign-digest", "negative-size", "twice", "no-config"],
)
def test_a_manifest_is_not_trusted(manifest: bytes, text: str) -> None:
    with pytest.raises(InvalidPackage, match=text):
        read_contents(sha256_digest(manifest), manifest)


def test_a_manifest_must_have_the_wanted_digest() -> None:
    with pytest.raises(DigestMismatch, match=r"the manifest's digest is sha256:.*, wanted sha256:aaaa"):
        read_contents("sha256:" + "a" * 64, b"{}")
