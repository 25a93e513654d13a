"""What is kept between two looks at a deployment: a summary per hour, its join keys and their labels.

    evaluations/namespace=…/deployment=…/summaries/
        date=2026-11-21/hour=13/summary   tallies and samples by arm
        date=2026-11-21/hour=13/keys      hashes of the join keys, sorted, 8 bytes each
        date=2026-11-21/hour=13/labels    the newest label of each key (Parquet)
        keys/2026-W47                     the keys of a past week's hours together, so that late labels look in few places

What was read already stands beside them (states). All of it can be deleted: it is computed again from the tables.
"""

import hashlib
import io
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from podium_evaluation.sequences import Floats
from podium_evaluation.tallies import Tally, added
from podium_monitor.evaluations.hashing import Hashes
from podium_monitor.evaluations.labelled import NO_LABELS, Labels, decoded
from podium_monitor.evaluations.rows import Arm
from podium_monitor.evaluations.summarize import bounded
from podium_monitor.lake.store import Store

_PADDING = b"\xc1"
"""No MessagePack has this byte at its end."""
SAMPLE_ROWS = 200
"""Per hour and arm: what sentences about a day are computed from."""


@dataclass(frozen=True)
class ArmSummary:
    arm: Arm
    shadow: bool
    tally: Tally
    sample: pa.Table | None
    """At most SAMPLE_ROWS rows: inputs by name, `output.` and its name, `target`, and `rank`, by which it was drawn."""


def folder(namespace: str, deployment: str) -> str:
    return f"evaluations/namespace={namespace}/deployment={deployment}/summaries"


@dataclass(frozen=True)
class JoinedKeys:
    """Of several hours, sorted."""

    hours: Sequence[str]
    keys: Hashes
    of: npt.NDArray[np.uint16]
    """The place among `hours` of each."""


class Keeper:
    """The documents of one deployment's summaries. Blocking."""

    def __init__(self, store: Store, namespace: str, deployment: str) -> None:
        self._store = store
        self._folder = folder(namespace, deployment)

    def summary(self, hour: str) -> list[ArmSummary]:
        """Empty: there is none."""
        found = self._read(f"{_place(hour)}/summary")
        return decoded_summary(found) if found else []

    def keep_summary(self, hour: str, arms: list[ArmSummary], subjects: str) -> int:
        """A digest of it and of `subjects`, what was measured: never 0."""
        content = encoded_summary(arms)
        self._store.replace(f"{self._folder}/{_place(hour)}/summary", content)
        digest = hashlib.blake2b(content, digest_size=7)
        digest.update(subjects.encode())
        return int.from_bytes(digest.digest()) or 1

    def keys(self, hour: str) -> Hashes:
        found = self._read(f"{_place(hour)}/keys")
        return np.frombuffer(found or b"", dtype="<u8").astype(np.uint64)

    def keep_keys(self, hour: str, keys: Hashes) -> None:
        self._forget_joined(hour)  # first: what was erased must not stay in it
        self._store.replace(f"{self._folder}/{_place(hour)}/keys", keys.astype("<u8").tobytes())

    def labels(self, hour: str) -> Labels:
        found = self._read(f"{_place(hour)}/labels")
        return decoded(found) if found else NO_LABELS

    def keep_labels(self, hour: str, labels: Labels) -> None:
        self._store.replace(f"{self._folder}/{_place(hour)}/labels", labels.encoded())

    def joined_keys(self, name: str) -> JoinedKeys | None:
        """As they were kept. None: never, or one of the hours has other keys now."""
        content = self._read(f"keys/{name}")
        if content is None:
            return None
        start, count = (int.from_bytes(content[at : at + 8], "little") for at in (0, 8))
        hours = msgspec.msgpack.decode(content[16:start].rstrip(_PADDING), type=list[str])
        keys = np.frombuffer(content, dtype="<u8", offset=start, count=count)
        return JoinedKeys(hours, keys, np.frombuffer(content, dtype="<u2", offset=start + keys.nbytes))

    def keep_joined_keys(self, name: str, joined: JoinedKeys) -> None:
        """Where the keys begin, how many there are, the hours (MessagePack), the keys, and the place of the hour of each:
        in the file as in memory, so that reading it is all that it takes."""
        hours = msgspec.msgpack.encode(list(joined.hours))
        hours += _PADDING * (-len(hours) % 8)
        head = b"".join(number.to_bytes(8, "little") for number in (16 + len(hours), len(joined.keys)))
        content = head + hours + joined.keys.astype("<u8").tobytes() + joined.of.astype("<u2").tobytes()
        self._store.replace(f"{self._folder}/keys/{name}", content)
        for day in {hour[:10] for hour in joined.hours} - {name}:
            self._store.delete(f"{self._folder}/keys/{day}")  # of the days before the week was over

    def _forget_joined(self, hour: str) -> None:
        for name in (hour[:10], week_of(hour[:10])):
            self._store.delete(f"{self._folder}/keys/{name}")

    def forget(self, hour: str) -> None:
        self._forget_joined(hour)
        for name in ("summary", "keys", "labels"):
            self._store.delete(f"{self._folder}/{_place(hour)}/{name}")

    def _read(self, name: str) -> bytes | None:
        try:
            return self._store.read(f"{self._folder}/{name}")
        except FileNotFoundError:
            return None


def merged(hours: list[list[ArmSummary]]) -> list[ArmSummary]:
    """One summary per arm; samples are those rows that would have been drawn from all of them together."""
    by_arm: dict[tuple[Arm, bool], list[ArmSummary]] = {}
    for arms in hours:
        for one in arms:
            by_arm.setdefault((one.arm, one.shadow), []).append(one)
    return [
        ArmSummary(
            arm, shadow, bounded(added(one.tally for one in found)), drawn([one.sample for one in found], 10 * SAMPLE_ROWS)
        )
        for (arm, shadow), found in by_arm.items()
    ]


def drawn(samples: list[pa.Table | None], rows: int) -> pa.Table | None:
    """The rows with the lowest ranks."""
    found = [sample for sample in samples if sample is not None]
    if not found:
        return None
    table = pa.concat_tables(found, promote_options="permissive") if len(found) > 1 else found[0]
    if table.num_rows <= rows:
        return table
    return table.take(np.argsort(table["rank"].to_numpy(), kind="stable")[:rows])


def encoded_summary(arms: list[ArmSummary]) -> bytes:
    content = [
        {
            "arm": [one.arm.name, one.arm.version, one.arm.digest, one.shadow],
            "tally": [[list(key), *_sparse(values)] for key, values in one.tally.items()],
            "sample": _table_bytes(one.sample),
        }
        for one in arms
    ]
    return zlib.compress(msgspec.msgpack.encode(content), 1)


def decoded_summary(content: bytes) -> list[ArmSummary]:
    found: list[Mapping[str, Any]] = msgspec.msgpack.decode(zlib.decompress(content))
    return [
        ArmSummary(
            arm=Arm(*one["arm"][:3]),
            shadow=one["arm"][3],
            tally={tuple(key): _dense(size, places, values) for key, size, places, values in one["tally"]},
            sample=_table_of(one["sample"]),
        )
        for one in found
    ]


def _sparse(values: Floats) -> tuple[int, bytes, bytes]:
    """Its length, where it is not 0 (empty: everywhere), and what it is there."""
    places = np.flatnonzero(values)
    if 2 * len(places) > len(values):
        return len(values), b"", values.astype("<f8").tobytes()
    return len(values), places.astype("<u4").tobytes(), values[places].astype("<f8").tobytes()


def _dense(size: int, places: bytes, values: bytes) -> Floats:
    numbers = np.frombuffer(values, dtype="<f8").astype(np.float64)
    if not places and len(numbers) == size:
        return numbers
    dense = np.zeros(size)
    dense[np.frombuffer(places, dtype="<u4")] = numbers
    return dense


def _table_bytes(table: pa.Table | None) -> bytes:
    if table is None:
        return b""
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    return sink.getvalue()


def _table_of(content: bytes) -> pa.Table | None:
    return pa.ipc.open_stream(content).read_all() if content else None


@lru_cache(maxsize=4096)
def week_of(day: str) -> str:
    """ISO 8601's: `2026-W47` of `2026-11-21`."""
    year, week, _ = date.fromisoformat(day).isocalendar()
    return f"{year}-W{week:02}"


def _place(hour: str) -> str:
    date, _, clock = hour.partition("T")
    return f"date={date}/hour={clock}"
