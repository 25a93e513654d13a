"""Where files are kept: whole, durable, under relative paths. A folder here; a bucket in object_store.

Paths are relative, with slashes. Files of the tables are made with `create` and never changed, so a copy of one stays
true; documents are overwritten with `replace`. Everything blocks: call it from a thread.
"""

import os
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import IO, Protocol

_INCOMING = ".incoming"
_LEFT_BEHIND_SECONDS = 600.0
"""A file under `.incoming` that was not touched for so long was left by a crash: no write of a file takes that long."""
_MOST_SYNCED = 10_000


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a store."""

    path: str
    size: int
    """Bytes."""
    modified: datetime
    """UTC, by the clock of the store."""


class Store(Protocol):
    """Files by relative path. Whoever reads sees a file whole or not at all. Every method may raise OSError."""

    def create(self, path: str, content: bytes) -> None:
        """Durable when it returns. Raises FileExistsError if there is one: that one stays as it was."""

    def replace(self, path: str, content: bytes) -> None:
        """Durable when it returns; a reader sees the old content or the new. For documents, never for a table's file."""

    def read(self, path: str) -> bytes:
        """Raises FileNotFoundError."""

    def open(self, path: str) -> IO[bytes]:
        """The file for reading here and there, without fetching all of it. Raises FileNotFoundError."""

    def list(self, prefix: str) -> Iterator[Entry]:
        """All files below the folder `prefix` ("": all), by path. Nothing if there is no such folder."""

    def folders(self, prefix: str) -> Sequence[str]:
        """Names of the folders right below the folder `prefix`, sorted. Empty if there is no such folder."""

    def delete(self, path: str) -> None:
        """Durable when it returns. Deleting what is not there is done already."""

    def local(self, path: str) -> Path:
        """The file on this machine: the folder's own, or a copy. For files that never change. Raises FileNotFoundError."""


class FolderStore:
    """A folder on a POSIX file system with hard links.

    A file is written under `.incoming`, synced, linked to its place, and its folder is synced: so a crash at any instant
    leaves nothing half-written that a reader could find. Several processes may use one folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._synced: set[Path] = set()

    def create(self, path: str, content: bytes) -> None:
        target = self._at(path)
        with self._incoming(content) as incoming:
            self._make_folder(target.parent)
            try:
                os.link(incoming, target)
            except FileNotFoundError:  # the folder became empty and was removed a moment ago
                self._synced.discard(target.parent)
                self._make_folder(target.parent)
                os.link(incoming, target)
            try:
                _sync_folder(target.parent)
            except OSError:
                target.unlink(missing_ok=True)  # whoever wrote it will write it again
                raise

    def replace(self, path: str, content: bytes) -> None:
        target = self._at(path)
        with self._incoming(content) as incoming:
            self._make_folder(target.parent)
            os.rename(incoming, target)
            _sync_folder(target.parent)

    def read(self, path: str) -> bytes:
        return self._at(path).read_bytes()

    def open(self, path: str) -> IO[bytes]:
        return self._at(path).open("rb")

    def list(self, prefix: str) -> Iterator[Entry]:
        yield from _below(self._at(prefix) if prefix else self.folder, f"{prefix}/" if prefix else "")

    def folders(self, prefix: str) -> Sequence[str]:
        folder = self._at(prefix) if prefix else self.folder
        return [entry.name for entry in _entries(folder) if entry.is_dir(follow_symlinks=False) and entry.name != _INCOMING]

    def delete(self, path: str) -> None:
        """Empty folders go with their last file, up to the table's."""
        target = self._at(path)
        target.unlink(missing_ok=True)
        if target.parent.is_dir():
            _sync_folder(target.parent)
        for folder in [*target.relative_to(self.folder).parents][:-2]:
            try:
                (self.folder / folder).rmdir()
            except OSError:
                return  # not empty, or gone already
            self._synced.discard(self.folder / folder)

    def local(self, path: str) -> Path:
        target = self._at(path)
        if not target.is_file():
            raise FileNotFoundError(f"the lake has no file {path}")
        return target

    def clean(self) -> None:
        """Removes what a crash left half-written."""
        for left in _entries(self.folder / _INCOMING):
            found = _stat(left)
            if found is not None and time.time() - found.st_mtime > _LEFT_BEHIND_SECONDS:
                Path(left.path).unlink(missing_ok=True)

    @contextmanager
    def _incoming(self, content: bytes) -> Iterator[Path]:
        (self.folder / _INCOMING).mkdir(parents=True, exist_ok=True)
        incoming = self.folder / _INCOMING / secrets.token_hex(12)
        try:
            with incoming.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            yield incoming
        finally:
            incoming.unlink(missing_ok=True)

    def _at(self, path: str) -> Path:
        checked(path)
        return self.folder / path

    def _make_folder(self, folder: Path) -> None:
        """Makes it so that it survives a power failure: the parents are synced, even if an earlier process made them."""
        if folder in self._synced:
            return
        folder.mkdir(parents=True, exist_ok=True)
        for parent in folder.parents:
            _sync_folder(parent)
            if parent == self.folder:
                break
        if len(self._synced) > _MOST_SYNCED:
            self._synced.clear()
        self._synced.add(folder)


def checked(path: str) -> str:
    """The path. Raises ValueError for one that could leave the store: a defect of the caller."""
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "/".join(parts) != path:
        raise ValueError(f"{path!r} must be a relative path without '.' and '..'")
    return path


def _below(folder: Path | str, prefix: str) -> Iterator[Entry]:
    """`prefix`: the folder's own path in the store, with a slash. Text alone: many files are listed each round."""
    for entry in _entries(folder):
        if entry.is_dir(follow_symlinks=False):
            if entry.name != _INCOMING:
                yield from _below(entry.path, f"{prefix}{entry.name}/")
        elif (found := _stat(entry)) is not None:
            yield Entry(f"{prefix}{entry.name}", found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))


def _entries(folder: Path | str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _stat(entry: os.DirEntry[str]) -> os.stat_result | None:
    """None: another process removed it meanwhile."""
    try:
        return entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
