"""Takes the rows of an erasure out of the files: finds them, and writes their files anew without them."""

from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from podium_monitor.lake.erasure import Erasure, Found, Kind, keep_count, keep_found
from podium_monitor.lake.merging import ROW_GROUP_ROWS, write_options
from podium_monitor.lake.reading import dates, deployments, of_date
from podium_monitor.lake.replacing import replace_files
from podium_monitor.lake.store import Store
from podium_monitor.lake.tables import Table, folder_of, is_merged, new_name, received_at

Aliases = Callable[[str, str, str, str], str]
"""(namespace, deployment, its uid, a join key) -> the join key as a pod of that deployment hashes it."""

_COLUMN: dict[Kind, str] = {"join_keys": "join_key", "request_ids": "request_id", "event_ids": "event_id"}

_TABLES: tuple[Table, ...] = ("shadows", "labels", "predictions")
"""Predictions last: they lead to the others."""
_WHEN = ("time", "received_at", "deployment_uid")
_KEYS = ("event_id", "request_id", "join_key", "prediction_id")
_UNIT = "unit_key"
"""A sticky key that rows are not joined by: whose rows they are all the same. Files of earlier releases lack it."""


class _Stopped(Exception):
    """Another collector keeps the lake, or this one ends: what was written anew so far stays."""


class Eraser:
    """Of one erasure."""

    def __init__(self, store: Store, wanted: Erasure, aliases: Aliases, may_go_on: Callable[[], bool]) -> None:
        self._store = store
        self._wanted = wanted
        self._aliases = aliases
        self._may_go_on = may_go_on
        self._hashed: dict[tuple[str, str, str], list[str]] = {}

    def erase(self, now: datetime) -> Erasure | None:
        """The erasure with the numbers of rows that are gone. None if it had to stop before the end."""
        scope = {found for table in _TABLES for found in deployments(self._store, table) if self._wanted.is_of(*found)}
        try:
            for namespace, deployment in sorted(scope):
                self._find(namespace, deployment)
                for table in _TABLES:
                    self._take_out(table, namespace, deployment, now)
        except _Stopped:
            return None
        return self._wanted

    def _find(self, namespace: str, deployment: str) -> None:
        """Which predictions go, and which join keys go with them because no other prediction has them."""
        events: set[str] = set()
        keys: set[str] = set()
        left: set[str] = set()
        for path in self._paths("predictions", namespace, deployment):
            with closing(self._store.open(path)) as file:
                source = pq.ParquetFile(file)
                if not _is_ours(source, "predictions"):
                    continue
                rows = source.read(columns=[*_COLUMN.values(), *_has_units(source.schema_arrow), *_WHEN])
            chosen = self._chosen("predictions", namespace, deployment, rows)
            events.update(rows["event_id"].filter(chosen).to_pylist())
            of_units = _has_units(rows.schema) and rows[_UNIT].null_count < len(rows)
            if self._wanted.kind != "join_keys" or of_units:  # else the rows are joined by what was asked for
                keys.update(rows["join_key"].filter(chosen).drop_null().to_pylist())
                left.update(rows["join_key"].filter(pc.invert(chosen)).drop_null().to_pylist())
        if events or keys:
            self._wanted = keep_found(
                self._store, self._wanted, f"{namespace}/{deployment}", Found(sorted(events), sorted(keys - left))
            )

    def _take_out(self, table: Table, namespace: str, deployment: str, now: datetime) -> None:
        """Writes the table's files that have such rows anew."""
        for path in self._paths(table, namespace, deployment):
            with closing(self._store.open(path)) as file:
                source = pq.ParquetFile(file)
                if not _is_ours(source, table):
                    continue
                names = [name for name in (*_KEYS, _UNIT, *_WHEN) if name in source.schema_arrow.names]
                rows = pc.sum(self._chosen(table, namespace, deployment, source.read(columns=names))).as_py()
                if not rows:
                    continue
                content = None
                if rows < source.metadata.num_rows:
                    content = _without(source, lambda rows: self._chosen(table, namespace, deployment, rows))
            self._wanted = keep_count(self._store, self._wanted, path, rows)
            name = new_name(received_at(path) or now, merged=is_merged(path))
            replace_files(self._store, path.rpartition("/")[0], name, content, [path], now)

    def _paths(self, table: Table, namespace: str, deployment: str) -> Iterator[str]:
        for date in dates(self._store, table, namespace, deployment):
            for entry in of_date(self._store, f"{folder_of(table, namespace, deployment)}/date={date}"):
                if not self._may_go_on():
                    raise _Stopped
                yield entry.path

    def _chosen(self, table: Table, namespace: str, deployment: str, rows: pa.Table) -> pa.ChunkedArray:
        """Of rows: which ones go. True or False, never null."""
        wanted = self._wanted
        found = wanted.found.get(f"{namespace}/{deployment}", Found())
        past = pc.or_(
            pc.less_equal(rows["time"], pa.scalar(wanted.requested_at)),
            pc.less_equal(rows["received_at"], pa.scalar(wanted.requested_at)),
        )
        if table == "shadows":
            ids = {*found.events, *(wanted.ids if wanted.kind == "event_ids" else ())}
            named = _is_in(rows["prediction_id"], ids)
            if wanted.kind == "event_ids":
                named = pc.or_(named, _is_in(rows["event_id"], wanted.ids))
        elif wanted.kind == "join_keys":
            uids = rows["deployment_uid"].unique().to_pylist()
            keys = [*wanted.ids, *(key for uid in uids if uid for key in self._as_hashed(namespace, deployment, uid))]
            named = _is_in(rows["join_key"], [*keys, *(found.join_keys if table == "labels" else ())])
            for unit in _has_units(rows.schema):
                named = pc.or_kleene(named, _is_in(rows[unit], keys))
        elif table == "labels":
            named = _is_in(rows["join_key"], found.join_keys)
            if wanted.kind == "event_ids":
                named = pc.or_(named, _is_in(rows["event_id"], wanted.ids))
        else:
            named = _is_in(rows[_COLUMN[wanted.kind]], wanted.ids)
        return pc.fill_null(pc.and_(past, named), False)

    def _as_hashed(self, namespace: str, deployment: str, uid: str) -> list[str]:
        """The join keys as the pods of a deployment hash them, if it is told to."""
        place = (namespace, deployment, uid)
        if place not in self._hashed:
            self._hashed[place] = [self._aliases(*place, key) for key in self._wanted.ids]
        return self._hashed[place]


def _is_ours(source: pq.ParquetFile, table: Table) -> bool:
    """False: somebody else put the file there; it lacks what a row is known by."""
    needed = {"event_id", *_WHEN} | set({"predictions": _KEYS[:3], "shadows": _KEYS[3:], "labels": ("join_key",)}[table])
    return needed <= set(source.schema_arrow.names)


def _has_units(schema: pa.Schema) -> list[str]:
    return [_UNIT] if _UNIT in schema.names else []


def _is_in(column: pa.ChunkedArray, ids: Collection[str]) -> pa.ChunkedArray:
    return pc.is_in(column, value_set=pa.array(sorted(set(ids)), column.type))


def _without(source: pq.ParquetFile, chosen: Callable[[pa.Table], Any]) -> bytes:
    """The file's content without the chosen rows, row group by row group."""
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, source.schema_arrow, **write_options(source.schema_arrow)) as writer:
        for group in range(source.num_row_groups):
            rows = source.read_row_group(group)
            writer.write_table(rows.filter(pc.invert(chosen(rows))), row_group_size=ROW_GROUP_ROWS)
    return bytes(sink.getvalue())
