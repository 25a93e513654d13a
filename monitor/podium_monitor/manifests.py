"""The world from a folder of manifests: for tests, for laptops, and for a monitor that may not ask the API server.

ModelDeployments and ModelVersions in any .yaml, .yml or .json file of the folder, those of folders in it too; several to a
file, or in a List; a status may be in them. Other kinds are passed over. The namespace is `default` and the uid is the name
where the metadata say nothing else.
"""

import asyncio
import logging
import stat
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from podium_monitor.objects import KINDS, Catalogued

log = logging.getLogger(__name__)

_SUFFIXES = (".yaml", ".yml", ".json")
_LOOK_SECONDS = 2.0

_Stamp = tuple[Path, int, int]


class Manifests(Catalogued):
    """A World. What is in the folder now is known at once; `run` follows its changes."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._stamps: list[_Stamp] | None = None
        self._why_not_ready = ""
        self._looked_at: float | None = None
        self.look()

    @property
    def why_not_ready(self) -> str:
        return self._why_not_ready

    @property
    def age_seconds(self) -> float:
        return float("inf") if self._looked_at is None else time.monotonic() - self._looked_at

    async def run(self) -> None:
        """Looks for changed files until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            await asyncio.to_thread(self.look)

    def look(self) -> None:
        """Reads all files again if one has changed. A file that cannot be read hides no other."""
        if not self._folder.is_dir():
            self._why_not_ready = f"there is no folder {self._folder}"
            return
        stamps = sorted(_stamps(self._folder))
        if stamps != self._stamps:
            self._catalogue.replace((found for path, _, _ in stamps for found in _read(path)), KINDS, None)
            self._stamps = stamps
        self._why_not_ready, self._looked_at = "", time.monotonic()


def _stamps(folder: Path) -> Iterator[_Stamp]:
    for path in folder.rglob("*"):
        if path.suffix not in _SUFFIXES:
            continue
        try:
            found = path.stat()
        except FileNotFoundError:
            continue  # removed a moment ago
        if stat.S_ISREG(found.st_mode):
            yield path, found.st_mtime_ns, found.st_size


def _read(path: Path) -> Iterator[Mapping[str, Any]]:
    try:
        documents = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        log.warning("%s is left out: %s", path, error)
        return
    for document in documents:
        if isinstance(document, Mapping):
            listed = document.get("items") if document.get("kind") == "List" else [document]
            yield from (item for item in listed or [] if isinstance(item, Mapping))
