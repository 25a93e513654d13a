"""A mounted Secret that is read again when it changes, without a restart.

Polled, not watched: the kubelet exchanges one symlink (`..data`), other mounts write files in place, and both show in the
files' inode, size and time. All file access is in a thread: a mount that hangs must not hold requests up.
"""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from stat import S_ISREG
from typing import Generic, NoReturn, TypeVar

logger = logging.getLogger(__name__)

POLL_SECONDS = 2.0
_DATA = "..data"

Read = TypeVar("Read")
Found = TypeVar("Found")


class InvalidContent(ValueError):
    """What the folder holds cannot be used. The text says which entry, and what would be right; never its content."""


class Folder(Generic[Read]):
    """`read` gets the folder whose files belong together, in a thread, and raises OSError or InvalidContent; `take` gets
    what it returned, in the event loop. What cannot be read changes nothing: the last good content stays in use."""

    def __init__(self, path: Path, read: Callable[[Path], Read], take: Callable[[Read], None], title: str) -> None:
        self._path = path
        self._read = read
        self._take = take
        self._title = title
        self._mark: object = None
        self._complaint = ""

    def load(self) -> None:
        """The first time, at start. Raises OSError and InvalidContent."""
        mark, content = self._read_now()
        self._mark = mark
        self._take(content)

    async def watch(self) -> NoReturn:
        """Takes every change. Until cancelled."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                changed = await asyncio.to_thread(self._changed)
            except (OSError, InvalidContent) as error:
                # Said once, tried again at every poll: between two reads a mount may be half exchanged.
                if str(error) != self._complaint:
                    logger.error("%s in %s: %s; what was read before stays in use", self._title, self._path, error)
                self._complaint = str(error)
                continue
            self._complaint = ""
            if changed is not None:
                self._mark, content = changed
                self._take(content)
                logger.info("%s in %s changed and were read again", self._title, self._path)

    def _changed(self) -> tuple[object, Read] | None:
        return self._of_one_moment(lambda folder: None if marks(folder) == self._mark else self._content(folder))

    def _read_now(self) -> tuple[object, Read]:
        return self._of_one_moment(self._content)

    def _content(self, folder: Path) -> tuple[object, Read]:
        # The mark first: a change while reading shows at the next poll.
        return marks(folder), self._read(folder)

    def _of_one_moment(self, look: Callable[[Path], Found]) -> Found:
        """The kubelet takes the old folder away once `..data` leads to the new one: who was reading it looks again."""
        while True:
            folder = resolved(self._path)
            try:
                return look(folder)
            except FileNotFoundError:
                if resolved(self._path) == folder:
                    raise


def resolved(path: Path) -> Path:
    """Where the files of one moment lie. The kubelet never changes a file: it makes a folder and points `..data` at it."""
    data = path / _DATA
    return data.resolve(strict=True) if data.is_symlink() else path


def marks(folder: Path) -> object:
    """Equal as long as nothing changed."""
    found = []
    for path in sorted(files_of(folder)):
        stat = path.stat()
        found.append((path.name, stat.st_ino, stat.st_size, stat.st_mtime_ns))
    return str(folder), tuple(found)


def files_of(folder: Path) -> list[Path]:
    """The entries; the mount's own (`..data`) are none. Raises OSError when one leads nowhere: an entry that is gone
    while it is still listed was not taken away on purpose."""
    entries = [path for path in folder.iterdir() if not path.name.startswith(".")]
    return [path for path in entries if S_ISREG(path.stat().st_mode)]
