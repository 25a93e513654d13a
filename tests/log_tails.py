"""The last lines of the logs that a test's processes wrote: of a failure elsewhere nobody sees the folder they lie in."""

from collections.abc import Iterator
from pathlib import Path

MOST_FILES = 8
MOST_LINES = 30
_MOST_BYTES = 32 * 1024


def log_tails(folder: Path) -> Iterator[tuple[str, str]]:
    """(path, last lines) of each file called `log` or `*.log` that is not empty, the newest first."""
    found = [path for path in folder.rglob("*") if (path.name == "log" or path.suffix == ".log") and _size(path)]
    for path in sorted(found, key=_changed, reverse=True)[:MOST_FILES]:
        yield str(path.relative_to(folder)), "\n".join(_end(path).splitlines()[-MOST_LINES:])


def _end(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, _size(path) - _MOST_BYTES))
            return file.read().decode(errors="replace")
    except OSError as error:
        return str(error)


def _size(path: Path) -> int:
    """0, too, of what is no file or is gone: processes may still be at work."""
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:
        return 0


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
