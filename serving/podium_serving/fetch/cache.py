"""The package cache on disk: files by content, packages as hard links with the files' own names.

    blobs/sha256-<hex>           written under another name first, renamed when its content is known to be right
    packages/<hex>/<file name>   linked under another name first, renamed when complete

So whatever is found under these names was complete once; it is hashed again before use, for a disk may lie. All methods
block: the caller runs those that hash or walk in a thread.
"""

import contextlib
import hashlib
import os
import shutil
import uuid
from collections.abc import Collection
from pathlib import Path
from types import TracebackType
from typing import Self

from podium_crds.package import MANIFEST_FILE, FileEntry
from podium_serving.fetch.contents import Contents
from podium_serving.fetch.errors import DigestMismatch, FetchFailed
from podium_serving.fetch.references import hex_of

_PARTIAL = ".partial-"
_HASH_CHUNK = 1024 * 1024


class Cache:
    """Raises OSError where the disk fails or is full."""

    def __init__(self, root: Path) -> None:
        self._blobs = root / "blobs"
        self._packages = root / "packages"
        self._blobs.mkdir(parents=True, exist_ok=True)
        self._packages.mkdir(parents=True, exist_ok=True)

    def blob(self, digest: str) -> Path:
        return self._blobs / f"sha256-{hex_of(digest)}"

    def package(self, digest: str) -> Path:
        return self._packages / hex_of(digest)

    def holds(self, entry: FileEntry) -> bool:
        """Whether the file is here with the right content. A wrong one is removed."""
        path = self.blob(entry.digest)
        try:
            if path.stat().st_size == entry.size and _sha256(path) == entry.digest:
                return True
        except FileNotFoundError:
            return False
        path.unlink(missing_ok=True)
        return False

    def read(self, digest: str, limit: int) -> bytes | None:
        """The content of a small file, None if it is absent, too large or wrong."""
        try:
            with self.blob(digest).open("rb") as stream:
                content = stream.read(limit + 1)
        except FileNotFoundError:
            return None
        right = len(content) <= limit and "sha256:" + hashlib.sha256(content).hexdigest() == digest
        return content if right else None

    def write(self, digest: str, content: bytes) -> None:
        with self.receive(digest, len(content)) as arriving:
            arriving.write(content)

    def receive(self, digest: str, size: int) -> "Arriving":
        return Arriving(self._blobs / f"{_PARTIAL}{uuid.uuid4().hex}", self.blob(digest), digest, size)

    def link(self, contents: Contents) -> Path:
        """The package's folder, with all its files. Every blob must be here. Links that are there but wrong are replaced."""
        folder = self.package(contents.digest)
        blobs = {entry.name: self.blob(entry.digest) for entry in contents.files}
        blobs[MANIFEST_FILE] = self.blob(contents.digest)
        if _is_linked(folder, blobs):
            return folder
        shutil.rmtree(folder, ignore_errors=True)
        partial = self._packages / f"{_PARTIAL}{uuid.uuid4().hex}"
        partial.mkdir()
        try:
            for name, blob in blobs.items():
                os.link(blob, partial / name)
            os.replace(partial, folder)
        except OSError:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        return folder

    def prune(self, keep: Collection[str]) -> None:
        """Removes all packages but `keep` (digests), and the files that no package links to."""
        kept = {hex_of(digest) for digest in keep}
        for folder in self._packages.iterdir():
            if folder.name not in kept:
                shutil.rmtree(folder, ignore_errors=True)
        for blob in self._blobs.iterdir():
            # A file may vanish or be renamed meanwhile: another fetch runs beside this.
            with contextlib.suppress(FileNotFoundError):
                if not blob.name.startswith(_PARTIAL) and blob.stat().st_nlink == 1:
                    blob.unlink()

    def clear_partial(self) -> None:
        """Removes what a killed process left half-written. Only before the first fetch."""
        for leftover in (*self._blobs.glob(f"{_PARTIAL}*"), *self._packages.glob(f"{_PARTIAL}*")):
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()


class Arriving:
    """A file that is being received. Leaving the context without an error checks it and gives it its name.

    Raises FetchFailed when bytes are missing, DigestMismatch when they are others. An error leaves nothing behind.
    """

    def __init__(self, partial: Path, final: Path, digest: str, size: int) -> None:
        self._partial, self._final, self._digest, self._size = partial, final, digest, size
        self._sha256 = hashlib.sha256()
        self._received = 0

    def __enter__(self) -> Self:
        self._stream = self._partial.open("xb")
        return self

    def write(self, chunk: bytes) -> None:
        self._received += len(chunk)
        if self._received > self._size:
            raise DigestMismatch(f"{self._digest} is longer than the {self._size} bytes that the manifest says")
        self._sha256.update(chunk)
        self._stream.write(chunk)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self._stream.close()
            if error is None:
                self._check()
                self._partial.chmod(0o444)
                os.replace(self._partial, self._final)
        finally:
            self._partial.unlink(missing_ok=True)

    def _check(self) -> None:
        if self._received < self._size:
            raise FetchFailed(f"{self._digest}: the transfer ended after {self._received} of {self._size} bytes")
        if (got := "sha256:" + self._sha256.hexdigest()) != self._digest:
            raise DigestMismatch(f"the content's digest is {got}, wanted {self._digest}")


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return "sha256:" + hashlib.file_digest(stream, "sha256", _bufsize=_HASH_CHUNK).hexdigest()


def _is_linked(folder: Path, blobs: dict[str, Path]) -> bool:
    try:
        return set(os.listdir(folder)) == set(blobs) and all((folder / name).samefile(blob) for name, blob in blobs.items())
    except FileNotFoundError:
        return False
