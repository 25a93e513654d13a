"""Which store a lake's address means, and what the environment says about it. For every process that opens one."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from podium_monitor.lake.store import FolderStore, Store


class InvalidLake(ValueError):
    """The environment names no lake. The text names the variable and what would be right."""


@dataclass(frozen=True)
class LakeSettings:
    address: str
    """A folder's path, or s3://bucket/prefix."""


def lake_settings(environment: Mapping[str, str]) -> LakeSettings:
    """From PODIUM_LAKE and its companions. Raises InvalidLake."""
    address = environment.get("PODIUM_LAKE", "")
    if not address:
        raise InvalidLake("PODIUM_LAKE is not set, must be a folder's path or s3://bucket/prefix")
    return LakeSettings(address)


def open_store(settings: LakeSettings) -> Store:
    return FolderStore(Path(settings.address))
