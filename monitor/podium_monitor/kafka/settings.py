"""What the environment says about Kafka. Read once, in the collector's start; files of credentials are read per client."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from podium_monitor.kafka.topics import InvalidTopics, Topic, overlapping, topic_name, topics_in

Sasl = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]
Start = Literal["Earliest", "Latest"]

_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_NEEDS: Mapping[Sasl, tuple[str, str]] = {
    "PLAIN": ("username", "password"),
    "SCRAM-SHA-256": ("username", "password"),
    "SCRAM-SHA-512": ("username", "password"),
    "OAUTHBEARER": ("clientId", "clientSecret"),
}


class InvalidKafka(ValueError):
    """The environment names no usable Kafka. The text names the variable and what would be right."""


@dataclass(frozen=True)
class Access:
    """How brokers are reached. Secrets are named by their files and never held here."""

    brokers: str
    """host:port, separated by commas."""
    tls: bool = False
    ca_file: Path | None = None
    """Absent: the system's authorities."""
    certificate_dir: Path | None = None
    """With tls.crt and tls.key, where brokers want a certificate of ours."""
    sasl: Sasl | None = None
    credentials_dir: Path | None = None
    """With username and password, or clientId and clientSecret for OAUTHBEARER."""
    token_url: str = ""
    """Where OAUTHBEARER gets its tokens (client credentials of OpenID Connect)."""
    scope: str = ""

    def credentials(self) -> tuple[str, str]:
        """(name, secret) of `sasl`, as their files have them now. Raises InvalidKafka."""
        assert self.sasl is not None
        name, secret = (_entry(self.credentials_dir, entry) for entry in _NEEDS[self.sasl])
        return name, secret


@dataclass(frozen=True)
class KafkaSettings:
    access: Access
    sources: tuple[Topic, ...] = ()
    """Topics that are read."""
    sinks: tuple[Topic, ...] = ()
    """Topics that what became durable is published to."""
    group: str = "podium-collector"
    """The consumer group: collectors of one lake share one."""
    start: Start = "Earliest"
    """Where the group begins in a partition that it never read."""
    dead_letter_topic: str = ""
    """Where records go that cannot be taken. Empty: they are logged, counted and passed over."""


def kafka_settings(environment: Mapping[str, str]) -> KafkaSettings | None:
    """From PODIUM_KAFKA_… . None: there is no Kafka. Raises InvalidKafka naming the first variable that is wrong."""
    if not environment.get("PODIUM_KAFKA_BROKERS"):
        return None
    sources = _topics(environment, "PODIUM_KAFKA_SOURCES")
    sinks = _topics(environment, "PODIUM_KAFKA_SINKS")
    if not sources and not sinks:
        raise InvalidKafka("PODIUM_KAFKA_BROKERS is set, and neither PODIUM_KAFKA_SOURCES nor PODIUM_KAFKA_SINKS is")
    dead_letters = environment.get("PODIUM_KAFKA_DEAD_LETTER_TOPIC", "")
    try:
        if dead_letters:
            topic_name(dead_letters)
    except InvalidTopics as error:
        raise InvalidKafka(f"PODIUM_KAFKA_DEAD_LETTER_TOPIC: {error}") from error
    if (both := overlapping(sources, sinks, dead_letters)) is not None:
        raise InvalidKafka(f"the topic {both} is read and written to, must be one of PODIUM_KAFKA_SOURCES or not")
    return KafkaSettings(
        _access(environment),
        sources,
        sinks,
        environment.get("PODIUM_KAFKA_GROUP") or "podium-collector",
        _start(environment),
        dead_letters,
    )


def _topics(environment: Mapping[str, str], name: str) -> tuple[Topic, ...]:
    try:
        return topics_in(environment.get(name, ""))
    except InvalidTopics as error:
        raise InvalidKafka(f"{name}: {error}") from error


def _start(environment: Mapping[str, str]) -> Start:
    given = environment.get("PODIUM_KAFKA_START") or "Earliest"
    for one in get_args(Start):
        if given == one:
            return one  # type: ignore[no-any-return]  # a member of the Literal
    raise InvalidKafka(f"PODIUM_KAFKA_START is {given!r}, must be Earliest or Latest")


def _access(environment: Mapping[str, str]) -> Access:
    tls = _tls(environment)
    sasl = _sasl(environment)
    access = Access(
        brokers=_brokers(environment["PODIUM_KAFKA_BROKERS"]),
        tls=tls,
        ca_file=_path(environment, "PODIUM_KAFKA_CA_FILE"),
        certificate_dir=_path(environment, "PODIUM_KAFKA_CERTIFICATE_DIR"),
        sasl=sasl,
        credentials_dir=_path(environment, "PODIUM_KAFKA_CREDENTIALS_DIR"),
        token_url=environment.get("PODIUM_KAFKA_TOKEN_URL", ""),
        scope=environment.get("PODIUM_KAFKA_SCOPE", ""),
    )
    if not tls and (access.ca_file or access.certificate_dir):
        raise InvalidKafka("PODIUM_KAFKA_CA_FILE or PODIUM_KAFKA_CERTIFICATE_DIR is set without PODIUM_KAFKA_TLS=On")
    if sasl is None:
        return access
    if not tls and sasl in ("PLAIN", "OAUTHBEARER") and not _on_this_machine(access.brokers):
        raise InvalidKafka(f"PODIUM_KAFKA_SASL is {sasl}, which tells brokers its secret: set PODIUM_KAFKA_TLS=On")
    if sasl == "OAUTHBEARER" and not access.token_url.startswith(("https://", *(f"http://{h}:" for h in _LOOPBACK))):
        raise InvalidKafka(f"PODIUM_KAFKA_TOKEN_URL is {access.token_url!r}, must begin with https:// for OAUTHBEARER")
    access.credentials()
    return access


def _tls(environment: Mapping[str, str]) -> bool:
    given = environment.get("PODIUM_KAFKA_TLS") or "Off"
    if given not in ("On", "Off"):
        raise InvalidKafka(f"PODIUM_KAFKA_TLS is {given!r}, must be On or Off")
    return given == "On"


def _sasl(environment: Mapping[str, str]) -> Sasl | None:
    given = environment.get("PODIUM_KAFKA_SASL", "")
    for one in _NEEDS:
        if given == one:
            return one
    if given:
        raise InvalidKafka(f"PODIUM_KAFKA_SASL is {given!r}, must be one of {', '.join(_NEEDS)}")
    return None


def _brokers(text: str) -> str:
    brokers = [one.strip() for one in text.split(",")]
    for one in brokers:
        host, _, port = one.rpartition(":")
        if not host or "/" in one or not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
            raise InvalidKafka(f"PODIUM_KAFKA_BROKERS has {one!r}, must be host:port, separated by commas")
    return ",".join(brokers)


def _on_this_machine(brokers: str) -> bool:
    return all(one.rpartition(":")[0] in _LOOPBACK for one in brokers.split(","))


def _path(environment: Mapping[str, str], name: str) -> Path | None:
    given = environment.get(name, "")
    if not given:
        return None
    path = Path(given)
    if not path.exists():
        raise InvalidKafka(f"{name} is {given!r}, which is not there")
    return path


def _entry(folder: Path | None, entry: str) -> str:
    """Of a mounted Secret."""
    if folder is None:
        raise InvalidKafka(f"PODIUM_KAFKA_CREDENTIALS_DIR is not set, must be a folder with the file {entry}")
    try:
        text = (folder / entry).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError) as error:
        raise InvalidKafka(f"PODIUM_KAFKA_CREDENTIALS_DIR: {folder / entry} cannot be read: {error}") from error
    if not text:
        raise InvalidKafka(f"PODIUM_KAFKA_CREDENTIALS_DIR: {folder / entry} is empty")
    return text
