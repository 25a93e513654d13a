"""What each version is measured by, remembered: its reference is read once."""

import json
import math
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pyarrow.parquet as pq

from podium_monitor.budgeted import Budgeted
from podium_monitor.evaluations.assembling import Measures
from podium_monitor.evaluations.daily import importance
from podium_monitor.evaluations.subject import NumericColumn, Subject, subject_of
from podium_monitor.evaluations.usual import reference_batch, usual_of
from podium_monitor.evaluations.windows import Usual
from podium_monitor.lake.store import Store
from podium_monitor.references import Reference, reference_of
from podium_monitor.world import Watched

_BYTES_OF_COLUMN = 20_000
"""Its grid's cells, and what surrounds them."""
_BYTES_OF_EDGE = 100
"""As a number of Python's, in three arrays, and the reference's count."""
_LOOK_AGAIN_SECONDS = 20.0


class Measuring:
    """For one thread. Of a reference only its counts are kept, not its rows."""

    def __init__(self, store: Store, most_bytes: int) -> None:
        self._store = store
        self._measures: Budgeted[tuple[str, ...], tuple[Measures, float]] = Budgeted(most_bytes)
        """Until when they hold, by time.monotonic: without a reference it is looked for again."""

    def of(self, watched: Watched, digest: str) -> Measures:
        """A version whose reference has not come yet is looked for again after a while."""
        key = (watched.namespace, watched.name, digest, wishes(watched))
        known = self._measures.get(key)
        if known is not None and time.monotonic() < known[1]:
            return known[0]
        reference = reference_of(self._store, watched.namespace, watched.name, digest) if digest else None
        table = pq.read_table(reference.table) if reference and reference.table else None
        subject = subject_of(
            watched.spec,
            digest,
            reference.descriptor if reference else None,
            reference.profile if reference else None,
            _columns(table, reference) if table is not None and reference else None,
        )
        remembered = _Remembered(partial(self.table, watched, digest), subject)
        measures = Measures(subject, remembered.usual, remembered.weights, remembered.table)
        until = math.inf if reference is not None else time.monotonic() + _LOOK_AGAIN_SECONDS
        self._measures.put(key, (measures, until), bytes_of(subject))
        return measures

    def table(self, watched: Watched, digest: str) -> Any | None:
        """The reference's rows, an Arrow table."""
        reference = reference_of(self._store, watched.namespace, watched.name, digest) if digest else None
        return pq.read_table(reference.table) if reference and reference.table else None


class _Remembered:
    """What is computed of a reference's rows, which are read for it and not kept."""

    def __init__(self, table: Callable[[], Any | None], subject: Subject) -> None:
        self.table, self._subject = table, subject
        self._by_size: dict[int, Usual] = {}
        self._weights: dict[str, float] | None = None

    def usual(self, labelled: int) -> Usual:
        """By the size of a window, in powers of two: chunks of a size that is half as large again vary alike."""
        size = 1 << min(labelled, 1 << 14).bit_length() >> 1
        if size not in self._by_size:
            table = self.table()
            batch = reference_batch(table, self._subject) if table is not None else None
            self._by_size[size] = usual_of(self._subject, batch, size)
        return self._by_size[size]

    def weights(self) -> dict[str, float]:
        if self._weights is None:
            table = self.table()
            self._weights = importance(self._subject, table) if table is not None else {}
        return self._weights


def bytes_of(subject: Subject) -> int:
    """Of memory, about: measured, 26 columns of numbers take 0.9 MB."""
    size = 0
    for column in (*subject.columns, *subject.of_outputs):
        if isinstance(column, NumericColumn):
            size += _BYTES_OF_COLUMN + _BYTES_OF_EDGE * len(column.grid.edges)
        else:
            size += 1000 + sum(_BYTES_OF_EDGE + 2 * len(category) for category in column.categories)
    return size


def wishes(watched: Watched) -> str:
    """What of a deployment's spec decides how it is measured and judged."""
    spec = watched.spec
    monitoring = spec.monitoring.model_dump(mode="json", exclude={"retention_days"})
    return json.dumps([monitoring, spec.capture.redact, spec.capture.hash], sort_keys=True)


def _columns(table: Any, reference: Reference) -> Mapping[str, Any]:
    wanted = {one.name for one in reference.descriptor.inputs} | {
        f"output.{one.name}" for one in reference.descriptor.outputs
    }
    numeric = {name for name in table.column_names if name in wanted and _is_numeric(table.schema.field(name).type)}
    return {name: table[name].to_pylist() for name in numeric}


def _is_numeric(kind: Any) -> bool:
    text = str(kind)
    return text.startswith(("int", "uint", "float", "double", "half", "list"))
