"""What is remembered stays within its bytes, and nothing that is needed is wrong for being forgotten."""

from pathlib import Path

import pytest

from evaluation_fixtures import DIGEST, NAME, NAMESPACE, LakeFolder, rows, watched
from podium_monitor import references
from podium_monitor.budgeted import Budgeted
from podium_monitor.evaluations.measuring import Measuring, bytes_of
from podium_monitor.lake.store import FolderStore


def test_what_nobody_asked_for_longest_is_forgotten_first() -> None:
    found: Budgeted[str, int] = Budgeted(10)
    for number, name in enumerate("abc"):
        found.put(name, number, 4)
    assert (found.get("a"), found.get("b"), found.get("c"), found.bytes) == (None, 1, 2, 8)
    found.get("b")
    found.put("d", 3, 4)
    assert (found.get("b"), found.get("c"), found.get("d")) == (1, None, 3)


def test_what_is_put_again_counts_once_and_what_is_too_large_not_at_all() -> None:
    found: Budgeted[str, int] = Budgeted(10)
    for size in (9, 3, 5):
        found.put("a", size, size)
    assert (found.get("a"), found.bytes) == (5, 5)
    found.put("a", 11, 11)
    assert (found.get("a"), found.bytes) == (None, 0)
    found.put("b", 1, 8)
    found.limit(7)
    assert (found.get("b"), found.bytes) == (None, 0)


class Counting(FolderStore):
    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.read_names: list[str] = []

    def read(self, path: str) -> bytes:
        self.read_names.append(path.rpartition("/")[2])
        return super().read(path)


@pytest.fixture
def digests(tmp_path: Path) -> list[str]:
    lake, found = LakeFolder(tmp_path), [DIGEST[:-1] + last for last in "0123"]
    for digest in found:
        lake.put_reference(rows(1000, 1), digest)
    return found


def test_references_that_do_not_fit_are_read_again_and_are_the_same(
    tmp_path: Path, digests: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(references, "_REMEMBERED", Budgeted(1 << 20))
    store = Counting(tmp_path)
    first = [references.reference_of(store, NAMESPACE, NAME, digest) for digest in digests]
    assert [references.reference_of(store, NAMESPACE, NAME, digest) for digest in digests] == first
    assert store.read_names == ["podium.yaml", "profile.json"] * 4
    references.remember_at_most(1000)
    again = [references.reference_of(store, NAMESPACE, NAME, digest) for digest in digests]
    assert again == first
    assert store.read_names == ["podium.yaml", "profile.json"] * 8


def test_what_is_measured_is_remembered_within_its_bytes(tmp_path: Path, digests: list[str]) -> None:
    store, one = FolderStore(tmp_path), watched()
    size = bytes_of(Measuring(store, 1 << 30).of(one, digests[0]).subject)
    assert 40_000 < size < 200_000, "two columns of numbers and a probability"
    measuring = Measuring(store, 3 * size)
    found = {digest: measuring.of(one, digest) for digest in digests}
    assert measuring.of(one, digests[3]) is found[digests[3]]
    other = measuring.of(one, digests[0])
    assert other is not found[digests[0]]
    assert other.subject.identity == found[digests[0]].subject.identity
