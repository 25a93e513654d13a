"""One writer per folder: a lock that dies with the process."""

import fcntl
import os
from pathlib import Path

_LOCK = ".lock"


class LakeInUse(Exception):
    """Another process writes to this lake: it alone knows which events are there already."""


class FolderLock:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._handle: int | None = None

    def acquire(self) -> None:
        """Has it afterwards, also if it had it before. Raises LakeInUse or OSError."""
        if self._handle is not None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(self._folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(handle)
            raise LakeInUse(f"another process writes to {self._folder}") from error
        except OSError:
            os.close(handle)
            raise
        self._handle = handle

    def release(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
