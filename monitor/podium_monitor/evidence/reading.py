"""Rows of one trial from the lake's files, in the order of the predictions, each with the label that was known in time.

The only place of the evidence that asks DuckDB. All values are parameters; names of columns are ours.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

import duckdb
import pyarrow as pa

from podium_monitor.evidence.ledger import CHAMPION, Trial
from podium_monitor.lake.reading import entries, local_files
from podium_monitor.lake.store import Store
from podium_monitor.lake.tables import hour_of_path

SETTLE_SECONDS = 60
"""Rows come to the lake late by so much at least: a pod batches and tries again."""
LABEL_EARLY = timedelta(minutes=5)
"""So far may the clock of whoever labels be behind: an outcome that was seen earlier than that before the prediction is
another one's."""
_SHADOW_LATE = timedelta(hours=1)
_NEXT = timedelta(microseconds=1)
_PACK_BYTES = 64 * 1024 * 1024
_MEMORY = "384MB"
_NOT_SPLIT = ("MixedKeys", "MissingKey")
"""Fallbacks of requests that were given to nobody by chance."""

_PREDICTIONS = """
    SELECT event_id, time, received_at, join_key, arm_assigned, coalesce(fallback, '') AS fallback, epoch, digest,
           latency_seconds, CASE WHEN $inputs THEN inputs END AS inputs, outputs
    FROM (FROM read_parquet($predictions, union_by_name = true)
          UNION ALL BY NAME SELECT CAST(NULL AS BOOLEAN) AS sampled WHERE false)
    WHERE time > $start AND time <= $end AND received_at <= greatest(time + to_microseconds($wait), $taken)
          AND sampled IS DISTINCT FROM false AND list_contains($arms, arm_assigned)
          AND NOT list_contains($not_split, coalesce(fallback, ''))
    QUALIFY row_number() OVER (PARTITION BY event_id ORDER BY received_at) = 1"""
_SHADOWED = """
    SELECT p.*, s.outputs AS other, coalesce(s.error, '') AS error FROM p
    JOIN (SELECT prediction_id, arg_min(outputs, event_id) AS outputs, arg_min(coalesce(error, ''), event_id) AS error
          FROM read_parquet($shadows, union_by_name = true) WHERE digest = $digest GROUP BY prediction_id) s
    ON s.prediction_id = p.event_id WHERE p.digest = $champion"""
_ALONE = "SELECT p.*, CAST(NULL AS VARCHAR) AS other, '' AS error FROM p"
_LABELS = """
    SELECT join_key, time, received_at, event_id, label, outcomes FROM read_parquet($labels, union_by_name = true)
    WHERE join_key IS NOT NULL"""
_NO_LABELS = """
    SELECT '' AS join_key, now() AS time, now() AS received_at, '' AS event_id, '' AS label, '' AS outcomes WHERE false"""
_ROWS = """
    WITH p AS ({predictions}), r AS ({answered}), l AS ({labels})
    SELECT r.event_id, r.time, r.join_key, r.arm_assigned, r.fallback, r.epoch, r.digest, r.latency_seconds, r.inputs,
           r.outputs, r.other, r.error, l.label, l.outcomes
    FROM r LEFT JOIN l ON l.join_key = r.join_key
         AND l.received_at <= greatest(r.time + to_microseconds($wait), $taken)
         AND l.time >= r.time - to_microseconds($early)
    QUALIFY row_number() OVER
        (PARTITION BY r.event_id ORDER BY l.time DESC NULLS LAST, l.received_at DESC, l.event_id DESC) = 1
    ORDER BY r.time, r.event_id"""


@dataclass(frozen=True)
class Window:
    """Predictions after `start` and up to `end`, and the files that hold them."""

    start: datetime
    end: datetime
    predictions: tuple[str, ...]
    """Paths in the store."""


def wait_of(trial: Trial) -> timedelta:
    """From a prediction to when it is taken. It counts if it is in the lake by then, with the label that is there by then:
    so what counts follows from the lake alone, whenever one looks. (What was there at the first look of all counts too.)"""
    return timedelta(seconds=max(trial.question.horizon_seconds, SETTLE_SECONDS))


@contextmanager
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in memory that reads local files and nothing else; what does not fit is spilled to a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="podium-evidence-") as folder:
        opened = duckdb.connect(
            config={
                "threads": 1,
                "memory_limit": _MEMORY,
                "temp_directory": folder,
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            }
        )
        try:
            opened.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
            yield opened
        finally:
            opened.close()


def packs(store: Store, deployment: tuple[str, str], after: datetime, until: datetime) -> Iterator[Window]:
    """Windows that cover (after, until], each of whole hours with 64 MiB of files or so, in order; the last ends there."""
    found = list(entries(store, "predictions", *deployment, after, until + _NEXT))
    by_hour = groupby(
        sorted(found, key=lambda entry: (str(hour_of_path(entry.path)), entry.path)), lambda e: hour_of_path(e.path)
    )
    paths: list[str] = []
    size, start = 0, after
    for hour, of_hour in by_hour:
        for entry in of_hour:
            paths.append(entry.path)
            size += entry.size
        end = min(until, (hour or after) + timedelta(hours=1) - _NEXT)
        if size >= _PACK_BYTES and start < end < until:
            yield Window(start, end, tuple(paths))
            paths, size, start = [], 0, end
    if start < until:
        yield Window(start, until, tuple(paths))


def rows(
    base: duckdb.DuckDBPyConnection,
    store: Store,
    trial: Trial,
    deployment: tuple[str, str],
    window: Window,
    taken: datetime,
    *,
    inputs: bool,
) -> pa.Table:
    """One row per prediction of the trial's arms, in order: what was asked and said, and the label that was known.

    `taken`: when the trial's first rows were taken. `inputs`: whether they are needed; else they are null."""
    question = trial.question
    arms = [CHAMPION] if question.mode == "Shadow" else [CHAMPION, question.name]
    parameters: dict[str, Any] = {
        "predictions": [str(store.local(path)) for path in window.predictions],
        "start": window.start,
        "end": window.end,
        "arms": arms,
        "not_split": [] if question.mode == "Shadow" else list(_NOT_SPLIT),
        "wait": wait_of(trial) // timedelta(microseconds=1),
        "taken": taken,
        "inputs": inputs,
        "early": LABEL_EARLY // timedelta(microseconds=1),
    }
    answered, labels = _ALONE, _NO_LABELS
    if question.mode == "Shadow":
        shadows = local_files(store, "shadows", *deployment, window.start, window.end + _SHADOW_LATE)
        if not shadows:
            return _NOTHING
        answered = _SHADOWED
        parameters |= {
            "shadows": [str(path) for path in shadows],
            "digest": question.digest,
            "champion": question.champion_digest,
        }
    files = local_files(
        store, "labels", *deployment, window.start - LABEL_EARLY, max(taken, window.end + wait_of(trial)) + _NEXT
    )
    if files:
        labels, parameters = _LABELS, parameters | {"labels": [str(path) for path in files]}
    sql = _ROWS.format(predictions=_PREDICTIONS, answered=answered, labels=labels)
    result: Any = base.sql(sql, params=parameters)
    return result.to_arrow_table()


_TEXTS = (
    "event_id",
    "join_key",
    "arm_assigned",
    "fallback",
    "digest",
    "inputs",
    "outputs",
    "other",
    "error",
    "label",
    "outcomes",
)
_NOTHING = pa.table(
    {
        **{name: pa.array([], pa.string()) for name in _TEXTS},
        "time": pa.array([], pa.timestamp("us", tz="UTC")),
        "epoch": pa.array([], pa.int64()),
        "latency_seconds": pa.array([], pa.float64()),
    }
)
