"""Rows of one trial from the lake's files, in the order in which they became known.

The only place of the evidence that asks DuckDB. All values are parameters; names of columns are ours.

A prediction is ripe when it is as old as the horizon and in the lake, its shadow's answer too. It is taken then, with the
newest label that had come; one whose label comes later is taken again when it comes. Both moments follow from the lake
alone, so the order does not depend on when one looks.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa

from podium_monitor.evidence.ledger import CHAMPION, Trial
from podium_monitor.lake.querying import json_of, value_columns
from podium_monitor.lake.reading import files
from podium_monitor.lake.store import Store
from podium_monitor.lake.tables import Table, hour_of_path

LATE = timedelta(days=7)
"""A label, or a row, that comes later than this after the horizon does not count."""
LABEL_EARLY = timedelta(minutes=5)
"""So far may the clock of whoever labels be behind: an outcome that was seen earlier than that before the prediction is
another one's."""
_SHADOW_LATE = timedelta(hours=1)
"""What a shadow said that is received longer than this after its prediction is ripe does not count."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HOUR = timedelta(hours=1)
_NEXT = timedelta(microseconds=1)
_MEMORY = "384MB"
_PART_ROWS = 50_000

_HOURS = """
    SELECT DISTINCT epoch_us(date_trunc('hour', time)) FROM read_parquet($predictions, union_by_name = true)
    WHERE time > $first AND time <= $last AND (received_at > $start - to_microseconds($shadow_late) OR {labelled})"""
_NEWLY_LABELLED = """join_key IN (SELECT join_key FROM read_parquet($labels, union_by_name = true)
    WHERE received_at > $start AND received_at <= $end)"""
_PREDICTIONS = """
    SELECT event_id, time, received_at, join_key, unit_key, arm_assigned, coalesce(fallback, '') AS fallback, split, digest,
           latency_seconds, {inputs} AS inputs, {outputs} AS outputs
    FROM (FROM read_parquet($predictions, union_by_name = true)
          UNION ALL BY NAME SELECT CAST(NULL AS BOOLEAN) AS sampled, CAST(NULL AS VARCHAR) AS split,
                                   CAST(NULL AS VARCHAR) AS unit_key WHERE false)
    WHERE time > $first AND time <= $last AND sampled IS DISTINCT FROM false AND list_contains($arms, arm_assigned)
          AND (split IS NOT NULL OR NOT $by_split OR arm_assigned <> $champion_arm)
    QUALIFY row_number() OVER (PARTITION BY event_id ORDER BY received_at) = 1"""
_SHADOWED = """
    SELECT p.*, s.outputs AS other, s.error, greatest(p.time + to_microseconds($wait), p.received_at, s.received_at) AS ripe
    FROM p JOIN (SELECT prediction_id, {outputs} AS outputs, coalesce(error, '') AS error, received_at
                 FROM read_parquet($shadows, union_by_name = true) WHERE digest = $digest
                 QUALIFY row_number() OVER (PARTITION BY prediction_id ORDER BY received_at, event_id) = 1) s
    ON s.prediction_id = p.event_id
       AND s.received_at <= greatest(p.time + to_microseconds($wait), p.received_at) + to_microseconds($shadow_late)
    WHERE p.digest = $champion"""
_ALONE = """
    SELECT p.*, CAST(NULL AS VARCHAR) AS other, '' AS error, greatest(p.time + to_microseconds($wait), p.received_at) AS ripe
    FROM p"""
_LABELS = """
    SELECT join_key, time, received_at, event_id, label, outcomes FROM read_parquet($labels, union_by_name = true)
    WHERE join_key IS NOT NULL AND received_at <= $end"""
_NO_LABELS = """
    SELECT '' AS join_key, now() AS time, now() AS received_at, '' AS event_id, '' AS label, '' AS outcomes WHERE false"""
_ROWS = """
    WITH p AS ({predictions}), r AS (SELECT * FROM ({answered}) WHERE ripe <= $end), l AS ({labels}),
    j AS (SELECT r.event_id AS event, r.ripe, l.* FROM r JOIN l ON l.join_key = r.join_key
          AND l.time >= r.time - to_microseconds($early)),
    k AS (SELECT event, min(received_at) FILTER (label <> 'null') AS came, greatest(any_value(ripe), came) AS known
          FROM j GROUP BY event),
    n AS (SELECT j.event, any_value(k.known) AS known, any_value(k.came) AS came,
                 arg_max({{'label': j.label, 'outcomes': j.outcomes}},
                         {{'t': j.time, 'r': j.received_at, 'e': j.event_id}}) AS newest
          FROM j JOIN k ON k.event = j.event WHERE j.received_at <= k.known GROUP BY j.event)
    SELECT r.event_id, r.time, r.join_key, r.unit_key, r.arm_assigned, r.fallback, r.split, r.digest, r.latency_seconds,
           r.inputs, r.outputs, r.other, r.error, late, CASE WHEN late THEN n.known ELSE r.ripe END AS known_at,
           epoch_us(n.came - r.time) / 1e6 AS label_delay,
           CASE WHEN late OR n.known = r.ripe THEN n.newest.label END AS label,
           CASE WHEN late OR n.known = r.ripe THEN n.newest.outcomes END AS outcomes
    FROM r LEFT JOIN n ON n.event = r.event_id CROSS JOIN (VALUES (false), (true)) AS once(late)
    WHERE (NOT late OR n.known > r.ripe) AND CASE WHEN late THEN n.known ELSE r.ripe END > $start
          AND CASE WHEN late THEN n.known ELSE r.ripe END <= r.time + to_microseconds($wait + $late)
    ORDER BY CASE WHEN late THEN n.known ELSE r.ripe END, r.time, r.event_id"""


@dataclass(frozen=True)
class Place:
    """A deployment's tables."""

    store: Store
    namespace: str
    deployment: str

    def listed(self, table: Table, start: datetime, end: datetime) -> dict[datetime, list[str]]:
        """Paths in the store by hour, of [start, end]."""
        found: dict[datetime, list[str]] = {}
        for path in files(self.store, table, self.namespace, self.deployment, start, end + _NEXT):
            if (hour := hour_of_path(path)) is not None:
                found.setdefault(hour, []).append(path)
        return found

    def local(self, listed: dict[datetime, list[str]]) -> list[str]:
        """On this machine. Raises FileNotFoundError when one was compacted since."""
        return [str(self.store.local(path)) for hour in sorted(listed) for path in listed[hour]]


@dataclass(frozen=True)
class Window:
    """What became known after `start` and up to `end`."""

    start: datetime
    end: datetime


def horizon_of(trial: Trial) -> timedelta:
    return timedelta(seconds=trial.question.horizon_seconds)


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


def rows(base: duckdb.DuckDBPyConnection, at: Place, trial: Trial, window: Window, *, inputs: bool) -> Iterator[pa.Table]:
    """Predictions of the trial's arms in the order in which they became known, in parts: what was asked and said, and the
    label. `late` marks those that were taken before, without a label. `inputs`: whether they are needed; else null.

    Raises FileNotFoundError or duckdb.IOException when files were compacted meanwhile.
    """
    question, horizon = trial.question, horizon_of(trial)
    first, last = max(trial.begins_at, window.start - horizon - LATE), window.end - horizon
    predictions = _asked(base, at, window, first, last, max(first, window.start - horizon))
    if not predictions:
        return
    parameters: dict[str, Any] = {
        "predictions": at.local(predictions),
        "first": first,
        "last": last,
        "start": window.start,
        "end": window.end,
        "arms": [CHAMPION] if question.mode == "Shadow" else [CHAMPION, question.name],
        "by_split": question.mode == "Canary",
        "champion_arm": CHAMPION,
        "wait": horizon // _NEXT,
        "late": LATE // _NEXT,
        "early": LABEL_EARLY // _NEXT,
    }
    columns = value_columns(parameters["predictions"])
    asked = {"inputs": json_of("input", columns) if inputs else "NULL", "outputs": json_of("output", columns)}
    answered, labels = _ALONE, _NO_LABELS
    if question.mode == "Shadow":
        shadows = _shadows(at, predictions)
        if not shadows:
            return
        answered = _SHADOWED.format(outputs=json_of("output", value_columns(shadows)))
        parameters |= {"shadows": shadows, "digest": question.digest, "champion": question.champion_digest}
        parameters |= {"shadow_late": _SHADOW_LATE // _NEXT}
    if known := at.local(at.listed("labels", min(predictions) - LABEL_EARLY, window.end)):
        labels, parameters = _LABELS, parameters | {"labels": known}
    sql = _ROWS.format(predictions=_PREDICTIONS.format(**asked), answered=answered, labels=labels)
    result: Any = base.sql(sql, params=parameters)
    for batch in result.to_arrow_reader(_PART_ROWS):
        if batch.num_rows:
            yield pa.Table.from_batches([batch])


def _shadows(at: Place, predictions: dict[datetime, list[str]]) -> list[str]:
    """Files of the answers to predictions of these hours. They are filed by their own time."""
    near = {hour + beside for hour in predictions for beside in (timedelta(0), _HOUR)}
    found = at.listed("shadows", min(near), max(near) + _HOUR)
    return at.local({hour: paths for hour, paths in found.items() if hour in near})


def _asked(
    base: duckdb.DuckDBPyConnection, at: Place, window: Window, first: datetime, last: datetime, ripening: datetime
) -> dict[datetime, list[str]]:
    """Files of the hours whose predictions became ripe in the window, and of those of which rows or labels came in it."""
    predictions = at.listed("predictions", first, last)
    earlier = {hour: paths for hour, paths in predictions.items() if hour + _HOUR + _SHADOW_LATE <= ripening}
    wanted = set(predictions) - set(earlier)
    if earlier:
        labels = at.local(at.listed("labels", window.start, window.end))
        named = {"labels": labels, "end": window.end} if labels else {}
        sql = _HOURS.format(labelled=_NEWLY_LABELLED if labels else "false")
        parameters: dict[str, Any] = {
            "predictions": at.local(earlier),
            "first": first,
            "last": last,
            "start": window.start,
            **named,
        }
        parameters |= {"shadow_late": _SHADOW_LATE // _NEXT}
        found = base.execute(sql, parameters).fetchall()
        wanted |= {_EPOCH + one * _NEXT for (one,) in found}
    return {hour: paths for hour, paths in predictions.items() if hour in wanted}
