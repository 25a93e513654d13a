"""Which store a lake's address means, and what the environment says about it. For every process that opens one."""

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from podium_monitor.lake.store import FolderStore, Store

_BUCKET = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(?P<prefix>[^?#]*))?")


class InvalidLake(ValueError):
    """The environment names no lake. The text names the variable and what would be right."""


@dataclass(frozen=True)
class LakeSettings:
    address: str
    """A folder's path, or s3://bucket/prefix."""
    s3_endpoint: str = ""
    """Of another server than AWS's."""
    s3_region: str = "us-east-1"
    cache: Path = Path(tempfile.gettempdir()) / "podium-lake"
    """Copies of the bucket's files that are being read."""
    cache_bytes: int = 4 * 1024**3


def lake_settings(environment: Mapping[str, str]) -> LakeSettings:
    """From PODIUM_LAKE and its companions. Raises InvalidLake."""
    address = environment.get("PODIUM_LAKE", "")
    if not address:
        raise InvalidLake("PODIUM_LAKE is not set, must be a folder's path or s3://bucket/prefix")
    if "://" in address and not _BUCKET.fullmatch(address):
        raise InvalidLake(f"PODIUM_LAKE is {address!r}, must be a folder's path or s3://bucket/prefix")
    endpoint = environment.get("PODIUM_LAKE_S3_ENDPOINT", "").rstrip("/")
    if endpoint and not endpoint.startswith(("http://", "https://")):
        raise InvalidLake(f"PODIUM_LAKE_S3_ENDPOINT is {endpoint!r}, must begin with http:// or https://")
    default = LakeSettings(address)
    mebibytes = environment.get("PODIUM_CACHE_MEBIBYTES") or str(default.cache_bytes // 1024**2)
    if not (mebibytes.isascii() and mebibytes.isdigit()):
        raise InvalidLake(f"PODIUM_CACHE_MEBIBYTES is {mebibytes!r}, must be a whole number")
    return LakeSettings(
        address,
        endpoint,
        environment.get("PODIUM_LAKE_S3_REGION") or default.s3_region,
        Path(environment.get("PODIUM_CACHE_DIR") or default.cache),
        int(mebibytes) * 1024**2,
    )


def open_store(settings: LakeSettings) -> Store:
    found = _BUCKET.fullmatch(settings.address)
    if found is None:
        return FolderStore(Path(settings.address))
    from podium_monitor.lake.object_store import Bucket, ObjectStore  # 10 MB that a folder does not need

    bucket = Bucket(found["bucket"], (found["prefix"] or "").strip("/"), settings.s3_endpoint, settings.s3_region)
    return ObjectStore(bucket, settings.cache, settings.cache_bytes)
