"""A bucket that speaks S3, with conditional writes: a file is created once, whoever tries (`If-None-Match: *`).

An object is there whole or not at all, and durable once the server says so: that is S3's promise, not ours. A write whose
answer was lost is tried again; if the object is there by then with the same content, it was ours.
"""

import io
import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import IO, TypeVar

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import S3Store
from typing_extensions import Buffer

from podium_monitor.lake.store import Entry, checked

_TRIES = 3
_FIRST_PAUSE_SECONDS = 0.2
_REQUEST_TIMEOUT = timedelta(seconds=60)
_CONNECT_TIMEOUT = timedelta(seconds=5)
_RETRY_TIMEOUT = timedelta(seconds=20)
_UNUSED_SECONDS = 3600.0
"""A local copy that nobody used for so long goes, so that what was erased from the bucket stays nowhere."""
_SWEEP_SECONDS = 60.0
_IN_USE_SECONDS = 600.0
"""A copy that was used so recently may be open in a reader: it stays, even if the copies take more room than they may."""

_READ_AHEAD_BYTES = 256 * 1024

_T = TypeVar("_T")


@dataclass(frozen=True)
class Bucket:
    name: str
    prefix: str
    endpoint: str
    """Empty: AWS's own for the region. Credentials come from the environment (AWS_*), as obstore reads it."""
    region: str


class ObjectStore:
    def __init__(self, bucket: Bucket, cache: Path, cache_bytes: int) -> None:
        self._bucket = bucket
        self._cache = cache
        self._cache_bytes = cache_bytes
        self._swept_at = time.monotonic()
        self._s3 = S3Store(
            bucket.name,
            prefix=bucket.prefix or None,
            endpoint=bucket.endpoint or None,
            region=bucket.region,
            virtual_hosted_style_request=not bucket.endpoint,
            conditional_put="etag",
            client_options={
                "allow_http": bucket.endpoint.startswith("http://"),
                "timeout": _REQUEST_TIMEOUT,
                "connect_timeout": _CONNECT_TIMEOUT,
            },
            retry_config={"max_retries": _TRIES, "retry_timeout": _RETRY_TIMEOUT},
        )

    def create(self, path: str, content: bytes) -> None:
        checked(path)
        for attempt in range(_TRIES):
            try:
                obstore.put(self._s3, path, content, mode="create")
                return
            except AlreadyExistsError as error:
                if attempt and self.read(path) == content:
                    return
                raise FileExistsError(f"{self._name(path)} is there already") from error
            except (BaseError, OSError) as error:
                if attempt == _TRIES - 1:
                    raise _failure("write", self._name(path), error) from error
                time.sleep(_FIRST_PAUSE_SECONDS * 2**attempt)

    def replace(self, path: str, content: bytes) -> None:
        checked(path)
        self._asked("write", path, lambda: obstore.put(self._s3, path, content, use_multipart=False))

    def read(self, path: str) -> bytes:
        return self._asked("read", path, lambda: bytes(obstore.get(self._s3, checked(path)).bytes()))

    def open(self, path: str) -> IO[bytes]:
        size = self._asked("read", path, lambda: obstore.head(self._s3, checked(path))["size"])

        def between(start: int, end: int) -> bytes:
            return self._asked("read", path, lambda: bytes(obstore.get_range(self._s3, path, start=start, end=end)))

        return io.BufferedReader(_Ranges(size, between), _READ_AHEAD_BYTES)

    def list(self, prefix: str) -> Iterator[Entry]:
        """S3 lists by path."""
        pages = iter(obstore.list(self._s3, prefix or None))
        while page := self._asked("list", prefix, lambda: next(pages, None)):
            for found in page:
                yield Entry(found["path"], found["size"], found["last_modified"])

    def folders(self, prefix: str) -> Sequence[str]:
        found = self._asked("list", prefix, lambda: obstore.list_with_delimiter(self._s3, prefix or None))
        return sorted(path.rpartition("/")[2] for path in found["common_prefixes"])

    def delete(self, path: str) -> None:
        checked(path)
        try:
            self._asked("delete", path, lambda: obstore.delete(self._s3, path))
        except FileNotFoundError:
            return

    def local(self, path: str) -> Path:
        copy = self._cache / self._bucket.name / self._bucket.prefix / checked(path)
        self._sweep()
        try:
            os.utime(copy)  # it is used
            return copy
        except FileNotFoundError:
            pass
        content = self.read(path)
        copy.parent.mkdir(parents=True, exist_ok=True)
        incoming = copy.with_name(f".{secrets.token_hex(8)}")
        incoming.write_bytes(content)
        incoming.rename(copy)
        return copy

    def _sweep(self) -> None:
        """Removes copies that nobody used for long, and then the longest unused, until the rest fits."""
        now = time.monotonic()
        if now - self._swept_at < _SWEEP_SECONDS:
            return
        self._swept_at = now
        copies = sorted(_copies(self._cache))
        size = sum(size for _, size, _ in copies)
        for used, bytes_of_copy, path in copies:
            unused = time.time() - used
            if unused > _UNUSED_SECONDS or (size > self._cache_bytes and unused > _IN_USE_SECONDS):
                path.unlink(missing_ok=True)
                size -= bytes_of_copy

    def _asked(self, what: str, path: str, request: Callable[[], _T]) -> _T:
        try:
            return request()
        except FileNotFoundError as error:
            raise FileNotFoundError(f"cannot {what} {self._name(path)}: it is not there") from error
        except (BaseError, OSError) as error:
            raise _failure(what, self._name(path), error) from error

    def _name(self, path: str) -> str:
        return "/".join(["s3:/", *(part for part in (self._bucket.name, self._bucket.prefix, path) if part)])


class _Ranges(io.RawIOBase):
    """An object as a file: each read is a request for a range."""

    def __init__(self, size: int, between: Callable[[int, int], bytes]) -> None:
        self._size = size
        self._between = between
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Buffer) -> int:
        target = memoryview(buffer).cast("B")
        end = min(self._at + len(target), self._size)
        if end <= self._at:
            return 0
        content = self._between(self._at, end)
        target[: len(content)] = content
        self._at += len(content)
        return len(content)


def _failure(what: str, name: str, error: Exception) -> OSError:
    reason = str(error).partition("<?xml")[0].splitlines()
    return OSError(f"cannot {what} {name}: {reason[0].strip() if reason else type(error).__name__}")


def _copies(folder: Path) -> Iterator[tuple[float, int, Path]]:
    """(last used, bytes, path) of each."""
    for path in folder.rglob("*"):
        try:
            if path.is_file():
                found = path.stat()
                yield found.st_mtime, found.st_size, path
        except FileNotFoundError:
            continue
