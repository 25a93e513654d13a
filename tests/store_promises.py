"""What every store of the monitor promises, as functions of a store that is empty: for a folder and for a bucket."""

import threading
from collections.abc import Callable

import pytest

from podium_monitor.lake.store import Store


def a_created_file_is_read_as_it_was_written(store: Store) -> None:
    store.create("predictions/namespace=shop/date=2026-11-21/f.parquet", b"rows")
    path = "predictions/namespace=shop/date=2026-11-21/f.parquet"
    assert store.read(path) == b"rows"
    assert store.local(path).read_bytes() == b"rows"
    with store.open(path) as file:
        assert (file.seek(2), file.read()) == (2, b"ws")


def what_is_there_is_never_overwritten_by_create(store: Store) -> None:
    store.create("a/b", b"first")
    with pytest.raises(FileExistsError):
        store.create("a/b", b"second")
    assert store.read("a/b") == b"first"


def of_many_who_create_one_file_one_wins(store: Store) -> None:
    outcomes: list[bytes] = []

    def create(content: bytes) -> None:
        try:
            store.create("a/one", content)
            outcomes.append(content)
        except FileExistsError:
            pass

    threads = [threading.Thread(target=create, args=(f"{number}".encode(),)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == [store.read("a/one")]


def a_document_is_replaced(store: Store) -> None:
    store.replace("a/b.json", b"one")
    store.replace("a/b.json", b"two")
    assert store.read("a/b.json") == b"two"


def files_are_listed_by_path_with_their_sizes(store: Store) -> None:
    for path in ("t/b/2", "t/a/1", "t/a/3", "tt/4"):
        store.create(path, path.encode())
    assert [(entry.path, entry.size) for entry in store.list("t")] == [("t/a/1", 5), ("t/a/3", 5), ("t/b/2", 5)]
    assert len(list(store.list(""))) == 4
    assert list(store.folders("t")) == ["a", "b"]
    assert list(store.folders("")) == ["t", "tt"]
    assert (list(store.list("nothing")), list(store.folders("nothing"))) == ([], [])


def what_is_deleted_is_gone_and_may_be_deleted_again(store: Store) -> None:
    store.create("t/a/1", b"")
    store.delete("t/a/1")
    store.delete("t/a/1")
    assert (list(store.list("t")), list(store.folders("t"))) == ([], [])
    store.create("t/a/1", b"again")
    assert store.read("t/a/1") == b"again"


def what_is_not_there_is_said_to_be_not_there(store: Store) -> None:
    for ask in (store.read, store.open, store.local):
        with pytest.raises(FileNotFoundError, match="a/none"):
            ask("a/none")


def a_path_that_could_leave_the_store_is_refused(store: Store) -> None:
    for path in ("/etc/passwd", "../x", "a/../../x", "a//b", "./a"):
        with pytest.raises(ValueError, match="relative path"):
            store.create(path, b"")


PROMISES: list[Callable[[Store], None]] = [
    a_created_file_is_read_as_it_was_written,
    what_is_there_is_never_overwritten_by_create,
    of_many_who_create_one_file_one_wins,
    a_document_is_replaced,
    files_are_listed_by_path_with_their_sizes,
    what_is_deleted_is_gone_and_may_be_deleted_again,
    what_is_not_there_is_said_to_be_not_there,
    a_path_that_could_leave_the_store_is_refused,
]
