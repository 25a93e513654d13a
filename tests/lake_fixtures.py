"""A lake as years leave it: files of an old Podium, of this one and of a future one, some of them compacted."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from monitor_fixtures import batch, event, prediction
from podium_monitor.credentials import Source
from podium_monitor.events import Clock, rows_of
from podium_monitor.lake.compaction import Policy
from podium_monitor.lake.replacing import finish
from podium_monitor.lake.store import FolderStore
from podium_monitor.lake.upkeep import compact, look
from podium_monitor.lake.writer import Lake

NOW = datetime(2026, 11, 21, 13, 30, tzinfo=UTC)
LATER = NOW + timedelta(days=1)


def grown_lake(folder: Path) -> None:
    """Hour 11: compacted from a file of an old Podium, which lacks two columns, and one of today's. Hour 12: of an old
    Podium alone, and of a model whose contract is a number. Hour 13: of a future one, which has a column more, and of a
    model that knows no contract."""
    store = FolderStore(folder)
    columns_of_future = {"segment": pa.array(["gold"])}
    write(store, "a", 11, {"tenure": 3.5, "contract": "monthly"}, drop=["sampled", "join_key_hashed"])
    write(store, "b", 11, {"tenure": "unknown", "contract": "yearly"})
    write(store, "c", 12, {"tenure": 4, "contract": 12}, drop=["sampled", "join_key_hashed"])
    write(store, "d", 13, {"tenure": 3.5, "age": 41}, add=columns_of_future)
    (job,) = look(store, LATER, Policy()).jobs
    assert compact(store, job, LATER, lambda: True) == 2
    finish(store, LATER + timedelta(days=1), timedelta(minutes=5))


def write(
    store: FolderStore,
    name: str,
    hour: int,
    inputs: dict[str, Any],
    drop: Sequence[str] = (),
    add: dict[str, pa.Array] | None = None,
) -> None:
    at = f"2026-11-21T{hour}:05:00.250Z"
    data = prediction(inputs=inputs)
    clock = Clock(NOW, timedelta(days=2), timedelta(hours=1))
    (rows,) = rows_of(batch([event(name, time=at, data=data)]), Source("shop", "churn", "uid-1"), clock, 10)
    Lake(store).write(rows)
    if not drop and not add:
        return
    (path,) = [entry.path for entry in store.list(rows.place.folder) if name in _ids(store.local(entry.path))]
    table = pq.ParquetFile(store.local(path)).read().drop_columns(list(drop))
    for column, values in (add or {}).items():
        table = table.append_column(column, values)
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    store.delete(path)
    store.create(path, bytes(sink.getvalue()))


def _ids(path: Path) -> list[str]:
    return list(pq.ParquetFile(path).read(["event_id"])[0].to_pylist())
