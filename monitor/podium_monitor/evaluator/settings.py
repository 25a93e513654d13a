"""What the evaluator was told by its environment. Read once, in __main__."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from podium_crds.names import MONITOR_PORT
from podium_monitor.lake.opening import InvalidLake, LakeSettings, lake_settings
from podium_monitor.notifications.receivers import InvalidReceivers, Receiver, receivers_of
from podium_monitor.settings import InvalidSettings, key_in, required

_MANY = 100_000


@dataclass(frozen=True)
class EvaluatorSettings:
    collector_key: bytes = field(repr=False)
    """Shared with the operator: its token at this process is made of it. Never logged."""
    port: int = MONITOR_PORT
    bind: str = "0.0.0.0"  # noqa: S104  a pod is reached by its address; NetworkPolicy limits who
    manifests: Path | None = None
    """Deployments from this folder of YAML, not from the API server."""
    namespaces: tuple[str, ...] = ()
    """Empty: all."""
    round_seconds: float = 30.0
    """Pause between two rounds over all deployments."""
    days: int = 90
    """Of which windows are kept."""
    threads: int = 1
    """That read an hour and count its rows."""
    memory_bytes: int = 512 * 1024 * 1024
    """What join keys of hours may hold while labels are matched with them."""
    reference_bytes: int = 256 * 1024 * 1024
    """What is remembered of versions' references from round to round: a megabyte for 30 columns."""
    receivers: tuple[Receiver, ...] = ()
    """Who is told of findings and decisions."""
    pages: str = ""
    """The dashboard's address, for those who are told. Empty: they are told without it."""


def evaluator_settings_from(environment: Mapping[str, str]) -> EvaluatorSettings:
    """Raises InvalidSettings naming the first variable that is missing or wrong."""
    manifests = environment.get("PODIUM_MANIFESTS_DIR")
    if manifests and not Path(manifests).is_dir():
        raise InvalidSettings(f"PODIUM_MANIFESTS_DIR is {manifests!r}, must be a folder of YAML files")
    memory = _whole(environment, "PODIUM_EVALUATION_MEMORY_MEBIBYTES", 512, _MANY)
    return EvaluatorSettings(
        collector_key=key_in(Path(required(environment, "PODIUM_COLLECTOR_KEY_FILE"))),
        port=_whole(environment, "PODIUM_MONITOR_PORT", MONITOR_PORT, 65_535),
        bind=environment.get("PODIUM_BIND") or "0.0.0.0",  # noqa: S104
        manifests=Path(manifests) if manifests else None,
        namespaces=tuple(name.strip() for name in environment.get("PODIUM_WATCH_NAMESPACES", "").split(",") if name.strip()),
        round_seconds=float(_whole(environment, "PODIUM_EVALUATION_SECONDS", 30, _MANY)),
        days=_whole(environment, "PODIUM_EVALUATION_DAYS", 90, 3660),
        threads=_whole(environment, "PODIUM_EVALUATION_THREADS", min(2, os.cpu_count() or 1), 64),
        memory_bytes=memory * 1024 * 1024,
        reference_bytes=_whole(environment, "PODIUM_REFERENCE_MEMORY_MEBIBYTES", max(1, memory // 2), _MANY) * 1024 * 1024,
        receivers=_receivers(environment),
        pages=environment.get("PODIUM_DASHBOARD_URL", ""),
    )


def _receivers(environment: Mapping[str, str]) -> tuple[Receiver, ...]:
    """A Secret may come after the pod: a file that is not there is nobody."""
    path = environment.get("PODIUM_RECEIVERS_FILE")
    if not path or not Path(path).is_file():
        return ()
    try:
        return tuple(receivers_of(Path(path).read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSettings(f"PODIUM_RECEIVERS_FILE: cannot read {path}: {error}") from error
    except InvalidReceivers as error:
        raise InvalidSettings(f"PODIUM_RECEIVERS_FILE: {path}: {error}") from error


def lake_from(environment: Mapping[str, str]) -> LakeSettings:
    """Raises InvalidSettings."""
    try:
        return lake_settings(environment)
    except InvalidLake as error:
        raise InvalidSettings(str(error)) from error


def _whole(environment: Mapping[str, str], name: str, default: int, most: int) -> int:
    given = environment.get(name) or str(default)
    if not given.isascii() or not given.isdigit() or not 1 <= int(given) <= most:
        raise InvalidSettings(f"{name} is {given!r}, must be a whole number from 1 to {most}")
    return int(given)
