"""What this process was told by its environment. Read once, in __main__."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from podium_crds.names import COLLECTOR_PORT
from podium_monitor.kafka.settings import InvalidKafka, KafkaSettings, kafka_settings
from podium_monitor.lake.opening import InvalidLake, LakeSettings, lake_settings
from podium_monitor.lake.retention import Retention
from podium_monitor.maintenance import Pace


class InvalidSettings(ValueError):
    """The environment cannot be served from. The text names the variable and what would be right."""


@dataclass(frozen=True)
class Limits:
    """Bounds of time and memory. Defaults that nobody has needed to change."""

    max_body_bytes: int = 8 * 1024 * 1024
    """One batch as it comes over the wire."""

    max_batch_bytes: int = 32 * 1024 * 1024
    """One batch unpacked."""

    max_batch_events: int = 50_000

    max_receiving_bytes: int = 48 * 1024 * 1024
    """Batches that are being received at once, as their heads announce them; more are told to come later. Of one deployment
    half of it at most."""

    max_pending_bytes: int = 96 * 1024 * 1024
    """Unpacked batches that wait to become durable; more are told to come later. Of one deployment half of it at most."""

    body_seconds: float = 10.0
    """From a batch's head to its end."""

    linger_seconds: float = 0.25
    """A commit waits so long for the batches of other pods: fewer and larger files."""

    commit_rows: int = 20_000
    """A commit that has these does not wait."""

    known_events: int = 1_000_000
    """Event ids that are remembered, about 130 MB at most."""

    known_seconds: float = 3600.0
    """How long an id is remembered after its event was written."""

    late_seconds: float = 2 * 86400.0
    """An event older than this is filed under the hour of its receipt: a pod with a wrong clock cannot make folders without
    end."""

    early_seconds: float = 3600.0
    """Likewise for one from the future."""


@dataclass(frozen=True)
class Settings:
    lake: LakeSettings
    collector_key: bytes = field(repr=False)
    """Shared with the operator. Never logged."""
    port: int = COLLECTOR_PORT
    bind: str = "0.0.0.0"  # noqa: S104  a pod is reached by its address; NetworkPolicy limits who
    retention: Retention = field(default_factory=Retention)
    """Days after which what was captured and labelled goes."""
    kafka: KafkaSettings | None = None
    """None: events and labels come over HTTP alone, and stay here."""
    limits: Limits = Limits()
    pace: Pace = field(default_factory=Pace)


def settings_from(environment: Mapping[str, str]) -> Settings:
    """Raises InvalidSettings naming the first variable that is missing or wrong."""
    port = environment.get("PODIUM_COLLECTOR_PORT") or str(COLLECTOR_PORT)
    if not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise InvalidSettings(f"PODIUM_COLLECTOR_PORT is {port!r}, must be a port")
    return Settings(
        lake=_lake(environment),
        collector_key=key_in(Path(required(environment, "PODIUM_COLLECTOR_KEY_FILE"))),
        port=int(port),
        retention=Retention(
            days=_days(environment, "PODIUM_RETENTION_DAYS"), most=_days(environment, "PODIUM_MAXIMUM_RETENTION_DAYS")
        ),
        bind=environment.get("PODIUM_BIND") or "0.0.0.0",  # noqa: S104
        kafka=_kafka(environment),
    )


def _days(environment: Mapping[str, str], name: str) -> int | None:
    text = environment.get(name, "")
    if text and not (text.isascii() and text.isdigit() and 0 < int(text) < 100_000):
        raise InvalidSettings(f"{name} is {text!r}, must be a number of days, or empty to keep everything")
    return int(text) if text else None


def _lake(environment: Mapping[str, str]) -> LakeSettings:
    try:
        return lake_settings(environment)
    except InvalidLake as error:
        raise InvalidSettings(str(error)) from error


def _kafka(environment: Mapping[str, str]) -> KafkaSettings | None:
    try:
        return kafka_settings(environment)
    except InvalidKafka as error:
        raise InvalidSettings(str(error)) from error


def required(environment: Mapping[str, str], name: str) -> str:
    """The variable. Raises InvalidSettings."""
    value = environment.get(name, "")
    if not value:
        raise InvalidSettings(f"{name} is not set")
    return value


def key_in(path: Path) -> bytes:
    """The file holds the key in base64, as the operator's Secret does. Raises InvalidSettings."""
    try:
        key = base64.b64decode(path.read_bytes().strip(), validate=True)
    except OSError as error:
        raise InvalidSettings(f"PODIUM_COLLECTOR_KEY_FILE: cannot read {path}: {error.strerror}") from error
    except binascii.Error as error:
        raise InvalidSettings(f"PODIUM_COLLECTOR_KEY_FILE: {path} is not base64") from error
    if len(key) < 16:
        raise InvalidSettings(f"PODIUM_COLLECTOR_KEY_FILE: {path} holds {len(key)} bytes, must hold at least 16")
    return key
