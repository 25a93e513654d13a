"""What became durable is found again to be published, whatever became of its files, and whenever the process died."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from monitor_fixtures import KEY, batch, event, prediction, shadow
from podium_monitor.committer import Committer
from podium_monitor.credentials import Source
from podium_monitor.events import Clock, rows_of
from podium_monitor.kafka import outbox as outboxes
from podium_monitor.kafka.noted_rows import noted_rows, place_of
from podium_monitor.kafka.outbox import FOLDER, Note, Outbox, Outboxes, Part, part_of
from podium_monitor.kafka.published import HEADERS, Published, columns_of, events_of
from podium_monitor.kafka.records import Record
from podium_monitor.kafka.taking import taken
from podium_monitor.kafka.topics import Topic
from podium_monitor.known import KnownEvents
from podium_monitor.labels.given import Given
from podium_monitor.labels.rows import Posted, rows_of_labels
from podium_monitor.lake.compaction import Policy
from podium_monitor.lake.erasing import Eraser
from podium_monitor.lake.erasure import Erasure
from podium_monitor.lake.replacing import finish
from podium_monitor.lake.store import FolderStore
from podium_monitor.lake.tables import SCHEMAS, Rows, joined, new_name
from podium_monitor.lake.upkeep import compact, look
from podium_monitor.lake.writer import Lake
from podium_monitor.metrics import Metrics
from podium_monitor.settings import Limits

CHURN = Source("shop", "churn", "uid-1")
EVERYTHING = Topic("t", ("*/*",))
NOTES = f"{FOLDER}/topic=t"
NOW = datetime(2026, 11, 21, 13, 30, tzinfo=UTC)
LATER = NOW + timedelta(hours=3)
EAGER = Policy(settle=timedelta(0), late=timedelta(0), late_files=1)


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "lake")


def rows(*ids: str, at: datetime = NOW, **data: Any) -> Rows:
    clock = Clock(at, timedelta(days=2), timedelta(hours=1))
    [found] = rows_of(batch([event(one, data=prediction(**data)) for one in ids]), CHURN, clock, 1000)
    return found


def kept(store: FolderStore, *ids: str, at: datetime = NOW, **data: Any) -> Part:
    """Noted and written."""
    found = rows(*ids, at=at, **data)
    part = part_of(found, new_name(at))
    Lake(store).write(found, part.name)
    return part


def found(store: FolderStore, *parts: Part, fresh: bool = False) -> list[str]:
    """Event ids."""
    folder = parts[0].folder
    return [one for table in noted_rows(store, folder, parts, fresh) for one in table.column("event_id").to_pylist()]


def compacted(store: FolderStore) -> None:
    for job in look(store, LATER, EAGER).jobs:
        assert compact(store, job, LATER, lambda: True) > 1
    finish(store, LATER + timedelta(hours=1), timedelta(0))


@pytest.mark.parametrize("fresh", [True, False])
def test_rows_are_found_in_the_file_that_was_noted(store: FolderStore, fresh: bool) -> None:
    first, second = kept(store, "a", "b"), kept(store, "c", at=NOW + timedelta(seconds=1))
    assert found(store, first, fresh=fresh) == ["a", "b"]
    assert sorted(found(store, first, second, fresh=fresh)) == ["a", "b", "c"]


@pytest.mark.parametrize("fresh", [True, False])
def test_rows_are_found_after_their_file_became_part_of_another(store: FolderStore, fresh: bool) -> None:
    parts = [kept(store, f"e-{second}", at=NOW + timedelta(seconds=second)) for second in range(5)]
    compacted(store)
    assert found(store, parts[1], fresh=fresh) == ["e-1"]
    assert sorted(found(store, parts[0], parts[1], parts[4], fresh=fresh)) == ["e-0", "e-1", "e-4"]


def test_a_row_that_was_erased_meanwhile_is_not_published(store: FolderStore) -> None:
    part = kept(store, "a", join_key="gone")
    other = kept(store, "b", at=NOW + timedelta(seconds=1), join_key="stays")
    wanted = Erasure(id="0" * 32, kind="join_keys", ids=["gone"], hashes=[], requested_at=LATER)
    assert Eraser(store, wanted, lambda *_: "", lambda: True).erase(datetime.now(UTC)) is not None
    assert found(store, part, other) == ["b"]  # the old file lies there for its readers yet
    finish(store, datetime.now(UTC) + timedelta(hours=1), timedelta(0))
    assert found(store, part, other) == ["b"]


def test_rows_that_never_became_durable_are_none(store: FolderStore) -> None:
    assert found(store, part_of(rows("a"), new_name(NOW)), fresh=True) == []


def test_a_note_is_there_before_its_files_and_ready_after_them(store: FolderStore) -> None:
    outbox = Outbox(store, EVERYTHING)
    name = outbox.note([part_of(rows("a"), "a.parquet")])
    assert outbox.oldest(10, 10) == {}
    other = Outbox(store, EVERYTHING)  # as the next process finds it
    other.adopt()
    assert list(other.oldest(10, 10)) == [name]
    outbox.adopt()
    assert len(outbox) == 0  # what is being written is not adopted
    outbox.written(name)
    assert list(outbox.oldest(10, 10)) == [name]
    outbox.done([name])
    assert (len(outbox), [entry.path for entry in store.list(NOTES)]) == (0, [f"{NOTES}/stays"])


def test_notes_come_oldest_first_and_no_more_than_are_asked_for(store: FolderStore) -> None:
    outbox = Outbox(store, EVERYTHING)
    names = [outbox.note([part_of(rows("a", "b"), "a.parquet")]) for _ in range(4)]
    for name in names:
        outbox.written(name)
    assert list(outbox.oldest(3, 1000)) == names[:3]
    assert list(outbox.oldest(10, 3)) == names[:2]


def test_many_notes_become_one_that_finds_the_same_rows(store: FolderStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outboxes, "_MANY", 3)
    outbox = Outbox(store, EVERYTHING)
    for second in range(7):
        outbox.written(outbox.note([kept(store, f"e-{second}", at=NOW + timedelta(seconds=second))]))
    outbox.join()
    assert len(outbox) == 5
    notes = outbox.oldest(10, 1000)
    assert [note.rows for note in notes.values()] == [1, 1, 1, 1, 3]
    [joined] = list(notes.values())[-1].parts
    assert sorted(found(store, joined)) == ["e-0", "e-1", "e-2"]


def test_in_a_bucket_only_old_notes_are_anybodys(store: FolderStore) -> None:
    class Bucket:
        """The folder, as something that several collectors share."""

        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

    outbox = Outbox(Bucket(), EVERYTHING)
    now = datetime.now(UTC)
    for name in (f"{now:%Y%m%dT%H%M%S%f}-{'a' * 12}.json", f"{now - timedelta(minutes=16):%Y%m%dT%H%M%S%f}-{'b' * 12}.json"):
        store.create(f"{NOTES}/{name}", msgspec.json.encode(Note([], now)))
    outbox.adopt()
    assert [name[-17:] for name in outbox.oldest(10, 10)] == ["b" * 12 + ".json"]


def test_only_what_a_topic_takes_is_noted(store: FolderStore) -> None:
    outbox = Outboxes(store, (Topic("t", ("shop/*",), ("Labels",)), Topic("u", ("risk/churn",), ("Predictions",))))
    places = [f"{table}/namespace={namespace}/deployment=churn" for table in SCHEMAS for namespace in ("shop", "risk")]
    wanted = [place for place in places if outbox.wants(place_of(f"{place}/date=2026-11-21/hour=13"))]
    assert wanted == [places[1], places[3], places[4]]


def test_each_sink_has_notes_of_what_it_takes_and_ends_them_by_itself(store: FolderStore) -> None:
    outboxes = Outboxes(store, (EVERYTHING, Topic("u", ("shop/*",), ("Labels",)), Topic("v", ("shop/*",))))
    part = part_of(rows("a"), "a.parquet")
    noted = outboxes.note([(place_of(part.folder), part)])
    assert [outbox.topic.topic for outbox, _ in noted] == ["t", "v"]
    outboxes.written(noted)
    everything, labels, shop = outboxes.each
    assert (len(everything), len(labels), len(shop)) == (1, 0, 1)
    everything.done(everything.oldest(10, 10))
    again = Outboxes(store, (EVERYTHING, Topic("v", ("shop/*",))))  # as the next process finds it
    for outbox in again.each:
        outbox.adopt()
    assert [len(outbox) for outbox in again.each] == [0, 1]
    assert [note.parts for note in again.each[1].oldest(10, 10).values()] == [[part]]


def test_where_not_all_sinks_can_be_noted_nothing_waits_for_files_that_are_not_made(tmp_path: Path) -> None:
    class Full(FolderStore):
        def create(self, path: str, content: bytes) -> None:
            if "topic=u" in path:
                raise OSError("no space is left")
            super().create(path, content)

    outboxes = Outboxes(Full(tmp_path / "lake"), (EVERYTHING, Topic("u", ("*/*",))))
    part = part_of(rows("a"), "a.parquet")
    with pytest.raises(OSError, match="no space"):
        outboxes.note([(place_of(part.folder), part)])
    [left] = outboxes.each[0].oldest(10, 10).values()  # to be looked for once, found nowhere, and done with
    assert left.parts == [part]


class Dies(Exception):
    """As if the process ended here."""


class Dying(FolderStore):
    """A folder whose process ends before a write of that number."""

    def __init__(self, folder: Path, before: int) -> None:
        super().__init__(folder)
        self.left = before

    def create(self, path: str, content: bytes) -> None:
        self.left -= 1
        if self.left < 0:
            raise Dies
        super().create(path, content)


@pytest.mark.parametrize("before", range(4))
async def test_whatever_is_durable_is_noted(tmp_path: Path, before: int) -> None:
    store = Dying(tmp_path / "lake", before)
    committer = Committer(Lake(store), KnownEvents(100, 100), Limits(), Metrics(), Outboxes(store, [EVERYTHING]))
    here, there = rows("a"), rows("b", at=NOW + timedelta(hours=5))
    there = Rows(place_of(there.place.folder.replace("hour=13", "hour=18")), there.columns, there.values)
    pending = [type("P", (), {"batch": [one], "fresh": 0})() for one in (here, there)]
    try:
        committer._write(pending)
    except Dies:
        assert before < 3
    after = Outbox(FolderStore(tmp_path / "lake"), EVERYTHING)
    after.adopt()
    noted = {
        one
        for note in after.oldest(10, 100).values()
        for part in note.parts
        for one in found(FolderStore(tmp_path / "lake"), part)
    }
    durable = {path for path in (tmp_path / "lake").rglob("*.parquet") if ".incoming" not in path.parts}
    assert len(noted) == len(durable) == max(0, min(before, 3) - 1)


def messages(table: Any, place: Any) -> Iterator[Published]:
    return events_of(place, columns_of(table))


def test_what_is_published_is_read_as_the_row_that_it_was(store: FolderStore) -> None:
    clock = Clock(NOW, timedelta(days=2), timedelta(hours=1))
    told = [
        event("e-0", data=prediction(split={"a": 1}, unit_key="u-1", sampled=False)),
        event("e-1", data=prediction(join_key=None, outputs=None)),
        event("e-2", data=prediction(inputs={"a": True, "b": [1, 2.5], "c": {"d": ["x"]}, "e": 2**60, "f": "ü"})),
        event("s-0", type="dev.podium.shadow.v1", data=shadow(outputs=None, error="späte Antwort")),
    ]
    given = Given("c-1", "yes", {"value": 1.5}, NOW)
    posted = Posted(CHURN, f"token {CHURN}", NOW, str)
    before = [*rows_of(batch(told), CHURN, clock, 10), rows_of_labels([given], posted)]
    for one in before:
        Lake(store).write(one)
    topics = {"t": Topic("t", ("*/*",))}
    headers = [(name, value.encode() if isinstance(value, str) else value) for name, value in HEADERS]
    for one in before:
        part = part_of(one, "")
        published = [
            made
            for table in noted_rows(store, part.folder, [part], False)
            for made in messages(table, place_of(part.folder))
        ]
        records = [Record("t", 0, 0, NOW, made.key, made.value, headers) for made in published]
        result = taken(records, topics, clock, KEY)
        assert result.rejected == []
        [again] = [*result.events, *result.labels]
        assert again.place == one.place
        assert again.values == one.values
        changed = {"event_id", "labelled_by"} if one.place.table == "labels" else set()
        for name in one.columns.keys() - changed:
            assert again.columns[name] == one.columns[name], name
    assert again.columns["labelled_by"] == [f"topic t, claimed token {CHURN}"]


def test_the_key_is_the_join_key_or_else_the_id(store: FolderStore) -> None:
    [one] = joined(rows("a").place, [rows("a"), rows("b", join_key=None)])
    Lake(store).write(one)
    part = part_of(one, "")
    [table] = noted_rows(store, part.folder, [part], False)
    made = list(messages(table, one.place))
    assert [message.key for message in made] == [b"customer-7", b"b"]
    told = json.loads(made[0].value)
    assert (told["specversion"], told["source"], told["type"]) == (
        "1.0",
        "/namespaces/shop/modeldeployments/churn",
        "dev.podium.prediction.v1",
    )
    assert (told["deploymentuid"], told["time"]) == ("uid-1", "2026-11-21T13:05:00.250000Z")
    assert told["data"]["inputs"] == {"tenure": 3.5}
    assert told["data"]["outputs"] == prediction()["outputs"]
