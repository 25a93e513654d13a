"""A record of a topic as the event that it is. Pure.

CloudEvents as their Kafka binding has them (CloudEvents 1.0.2, Kafka protocol binding, sections 3.2 and 3.3): in structured
mode the value is the event, in binary mode the headers `ce_…` are its attributes and the value its data. A label may also
be plain JSON, as `POST /v1/labels` takes it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from podium_crds.capture import LABEL, PREDICTION, SHADOW
from podium_monitor.credentials import Source
from podium_monitor.events import MAX_ID
from podium_monitor.kafka.topics import NAME, Holding, Topic
from podium_monitor.labels.given import Given, refusal_of

_STRUCTURED = "application/cloudevents+json"
_JSON = ("", "application/json")
_SOURCE = re.compile(r"/namespaces/(?P<namespace>[^/]+)/modeldeployments/(?P<name>[^/]+)")
_UID = re.compile(r"[A-Za-z0-9-]{0,64}")
_HOLDING: Mapping[str, Holding] = {PREDICTION: "Predictions", SHADOW: "Predictions", LABEL: "Labels"}
_MAX_BYTES = 8 * 1024 * 1024
"""As a batch over HTTP."""
_MAX_CLAIM = 512
"""What another Podium publishes is a token's subject and a claim."""


class InvalidRecord(ValueError):
    """Reading the record again is useless. The text says what would be right."""


@dataclass(frozen=True, slots=True)
class Record:
    """What a broker handed over."""

    topic: str
    partition: int
    offset: int
    time: datetime | None
    """When it was produced, or appended to the topic."""
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]

    @property
    def size(self) -> int:
        """Bytes of the value."""
        return len(self.value or b"")


@dataclass(frozen=True, slots=True)
class FoundEvent:
    """A prediction or a shadow's answer."""

    source: Source
    content: bytes
    """The event in JSON, whole and alone."""


@dataclass(frozen=True, slots=True)
class FoundLabel:
    source: Source
    given: Given
    claimed_by: str
    """On whose behalf, as the producer says. Empty: it does not say."""


class _Event(msgspec.Struct):
    """Of the CloudEvents specification, and three attributes of ours."""

    specversion: str
    type: str
    source: str
    id: str
    data: msgspec.Raw = msgspec.Raw(b"")
    time: str = ""
    datacontenttype: str = ""
    deploymentuid: str = ""
    labelledby: str = ""


_read_event = msgspec.json.Decoder(_Event).decode
_read_label = msgspec.json.Decoder(Given).decode
_read_time = msgspec.json.Decoder(datetime).decode
_check_json = msgspec.json.Decoder(msgspec.Raw).decode
_json = msgspec.json.Encoder().encode
_UNREADABLE = (msgspec.DecodeError, UnicodeError, RecursionError)


def found_in(record: Record, topic: Topic) -> FoundEvent | FoundLabel:
    """Raises InvalidRecord; InvalidLabels for a label that is none."""
    if not record.value:
        raise InvalidRecord("the record has no value")
    if record.size > _MAX_BYTES:
        raise InvalidRecord(f"the record has {record.size} bytes, may have {_MAX_BYTES}")
    headers = {name.lower(): value or b"" for name, value in record.headers}
    content_type = _text(headers, "content-type").partition(";")[0].strip().lower()
    if content_type == _STRUCTURED:
        return _of_event(_structured(record.value), record.value, record, topic)
    if content_type.startswith("application/cloudevents"):
        raise InvalidRecord(f"content-type is {content_type}, must be {_STRUCTURED}: one event in a record")
    if any(name.startswith("ce_") for name in headers):
        event = _binary(headers, content_type, record.value)
        return _of_event(event, _json(event), record, topic)
    if "Labels" in topic.holds:
        return _plain_label(record, topic)
    raise InvalidRecord(f"it is no CloudEvent: content-type must be {_STRUCTURED}, or the headers ce_specversion, ce_id, …")


def _structured(value: bytes) -> _Event:
    try:
        return _read_event(value)
    except _UNREADABLE as error:
        raise InvalidRecord(f"the value is no CloudEvent in JSON: {error}") from error


def _binary(headers: Mapping[str, bytes], content_type: str, value: bytes) -> _Event:
    if content_type not in _JSON:
        raise InvalidRecord(f"content-type is {content_type}, must be application/json: the event's data")
    attributes = {name.removeprefix("ce_"): _text(headers, name) for name in headers if name.startswith("ce_")}
    try:
        event = msgspec.convert(attributes, _Event)
        event.data = _check_json(value)
    except _UNREADABLE as error:
        raise InvalidRecord(f"headers and value are no CloudEvent: {error}") from error
    return event


def _of_event(event: _Event, content: bytes, record: Record, topic: Topic) -> FoundEvent | FoundLabel:
    holding = _HOLDING.get(event.type)
    if holding not in topic.holds:
        types = ", ".join(type_ for type_, held in _HOLDING.items() if held in topic.holds)
        raise InvalidRecord(f"the event's type is {event.type[:80]!r}, the topic {topic.topic} takes {types}")
    source = _source_of(event, topic)
    if holding == "Predictions":
        return FoundEvent(source, content)
    if event.specversion != "1.0" or not 0 < len(event.id) <= MAX_ID:
        raise InvalidRecord(f"the event has the specversion {event.specversion!r} and an id of {len(event.id)} characters")
    given = _label(bytes(event.data))
    if given.id is None:
        given.id = event.id
    if given.time is None:
        given.time = _time(event.time) if event.time else _produced(record)
    return FoundLabel(source, given, _claim(event.labelledby))


def _plain_label(record: Record, topic: Topic) -> FoundLabel:
    given = _label(record.value or b"")
    namespace, name = topic.only or (None, None)
    namespace, name = given.namespace or namespace, given.deployment or name
    if namespace is None or name is None:
        raise InvalidRecord(f"the label has no namespace and deployment, and the topic {topic.topic} may hold several")
    if given.time is None:
        given.time = _produced(record)
    return FoundLabel(_allowed(namespace, name, "", topic), given, "")


def _label(content: bytes) -> Given:
    try:
        return _read_label(content)
    except _UNREADABLE as error:
        raise InvalidRecord(f"the label does not fit: {refusal_of(error)}") from error


def _produced(record: Record) -> datetime | None:
    """A label without a time of its own is of the moment of its record: the same whenever the record is read again."""
    return record.time


def _source_of(event: _Event, topic: Topic) -> Source:
    place = _SOURCE.fullmatch(event.source)
    if place is None:
        raise InvalidRecord(f"source is {event.source[:200]!r}, must be /namespaces/<namespace>/modeldeployments/<name>")
    return _allowed(place["namespace"], place["name"], event.deploymentuid, topic)


def _allowed(namespace: str, name: str, uid: str, topic: Topic) -> Source:
    """Raises InvalidRecord if the topic is not of this deployment."""
    if not topic.covers(namespace, name):
        raise InvalidRecord(f"it is of {namespace[:80]}/{name[:80]}, the topic {topic.topic} is of {topic.deployments}")
    if not (NAME.fullmatch(namespace) and NAME.fullmatch(name) and _UID.fullmatch(uid)):
        raise InvalidRecord(f"{namespace[:80]!r}, {name[:80]!r} and {uid[:80]!r} must be names of Kubernetes and a uid")
    if topic.join_key_hashing == "Apply" and not uid and "Labels" in topic.holds:
        raise InvalidRecord(f"deploymentuid is missing: the topic {topic.topic} has joinKeyHashing Apply")
    return Source(namespace, name, uid)


def _time(text: str) -> datetime:
    try:
        return _read_time(_json(text))
    except _UNREADABLE as error:
        raise InvalidRecord(f"time is {text[:80]!r}, must be RFC 3339") from error


def _claim(text: str) -> str:
    if len(text) > _MAX_CLAIM or not text.isprintable():
        raise InvalidRecord(f"labelledby must be of at most {_MAX_CLAIM} printable characters")
    return text


def _text(headers: Mapping[str, bytes], name: str) -> str:
    try:
        return headers.get(name, b"").decode()
    except UnicodeError as error:
        raise InvalidRecord(f"the header {name} is not UTF-8") from error
