"""Records of topics become rows of the lake; those that cannot are set aside one by one. Pure.

A batch is read as a whole, which is what makes it cheap. Only where something in it is wrong is it halved, and halved
again, until what is wrong stands alone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from podium_crds.capture import capture_token, hash_key, hashed
from podium_monitor.credentials import Source
from podium_monitor.events import Clock, rows_of
from podium_monitor.kafka.records import FoundEvent, Record, found_in
from podium_monitor.kafka.topics import Topic
from podium_monitor.labels.given import Given
from podium_monitor.labels.rows import Posted, rows_of_labels
from podium_monitor.lake.tables import Rows

_T = TypeVar("_T")

UNREADABLE = (ValueError, TypeError, ArithmeticError, LookupError, RecursionError)
"""InvalidRecord, InvalidBatch and TooLarge are the first. Whatever else a record provokes is a defect of ours, and its
partition must not stand still for it: it is set aside like them."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that no repetition makes right."""

    record: Record
    why: str


@dataclass(slots=True)
class Taken:
    """What a batch of records came to."""

    events: list[Rows] = field(default_factory=list)
    labels: list[Rows] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Labelling:
    """What labels of one batch must share to be read together."""

    source: Source
    topic: Topic
    claimed_by: str


def taken(records: Sequence[Record], topics: Mapping[str, Topic], clock: Clock, collector_key: bytes) -> Taken:
    """`topics`: by name, all that are read."""
    result = Taken()
    events: dict[Source, list[tuple[Record, bytes]]] = {}
    labels: dict[_Labelling, list[tuple[Record, Given]]] = {}
    for record in records:
        topic = topics[record.topic]
        try:
            found = found_in(record, topic)
        except UNREADABLE as error:
            result.rejected.append(Rejected(record, str(error)))
            continue
        if isinstance(found, FoundEvent):
            events.setdefault(found.source, []).append((record, found.content))
        else:
            shared = _Labelling(found.source, topic, found.claimed_by)
            labels.setdefault(shared, []).append((record, found.given))
    for source, contents in events.items():
        result.events += _sifted(contents, _reader_of_events(source, clock), result.rejected)
    for shared, givens in labels.items():
        result.labels += _sifted(givens, _reader_of_labels(shared, clock.received_at, collector_key), result.rejected)
    return result


def _reader_of_events(source: Source, clock: Clock) -> Callable[[list[bytes]], list[Rows]]:
    return lambda contents: rows_of(b"[" + b",".join(contents) + b"]", source, clock, len(contents))


def _reader_of_labels(
    shared: _Labelling, received_at: datetime, collector_key: bytes
) -> Callable[[list[Given]], list[Rows]]:
    subject = f"topic {shared.topic.topic}"
    labelled_by = f"{subject}, claimed {shared.claimed_by}" if shared.claimed_by else subject
    stored_key: Callable[[str], str] = str
    if shared.topic.join_key_hashing == "Apply":
        key = hash_key(capture_token(collector_key, str(shared.source)))
        stored_key = lambda text: hashed(key, text.encode())  # noqa: E731
    posted = Posted(shared.source, labelled_by, received_at, stored_key)
    return lambda givens: [rows_of_labels(givens, posted)]


def _sifted(parts: list[tuple[Record, _T]], rows: Callable[[list[_T]], list[Rows]], rejected: list[Rejected]) -> list[Rows]:
    """The rows of all parts but those that are wrong by themselves, which are added to `rejected`."""
    try:
        return rows([part for _, part in parts])
    except UNREADABLE as error:
        if len(parts) == 1:
            rejected.append(Rejected(parts[0][0], str(error)))
            return []
    half = len(parts) // 2
    return [*_sifted(parts[:half], rows, rejected), *_sifted(parts[half:], rows, rejected)]
