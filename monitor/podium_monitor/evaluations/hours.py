"""One hour of one deployment becomes its summary: the rows are read once, and again when rows or labels came late."""

from collections.abc import Callable

import duckdb
import numpy as np
import pyarrow as pa

from podium_evaluation.tallies import Tally, added
from podium_monitor.evaluations.keeping import SAMPLE_ROWS, ArmSummary, drawn
from podium_monitor.evaluations.labelled import Labels
from podium_monitor.evaluations.rows import Arm, Kinds, Source, batches, wrong_types
from podium_monitor.evaluations.samples import sample_of
from podium_monitor.evaluations.subject import NumericColumn, Subject
from podium_monitor.evaluations.summarize import bounded, summarize

SubjectOf = Callable[[str], Subject]
"""By digest."""
_SUSPICIOUS = 0.01
"""A column of numbers that lacks more of its values than the reference, by this share, is asked what it holds instead."""


def summaries(
    connection: duckdb.DuckDBPyConnection,
    source: Source,
    kinds: Kinds,
    subject_of: SubjectOf,
    labels: Labels,
) -> list[ArmSummary]:
    """By arm and version. Memory is bounded by the batch, whatever the hour holds."""
    found = []
    for digest in kinds.digests:
        subject = subject_of(digest)
        tallies: dict[Arm, Tally] = {}
        samples: dict[Arm, pa.Table] = {}
        for arm, batch in batches(connection, source, subject, labels, kinds):
            tallies[arm] = bounded(added([tallies.get(arm, {}), summarize(batch, subject)]))
            sample = drawn([samples.get(arm), sample_of(batch, SAMPLE_ROWS)], SAMPLE_ROWS)
            if sample is not None:
                samples[arm] = sample
        _count_wrong_types(connection, source, subject, tallies)
        found += [ArmSummary(arm, bool(source.shadows), tally, samples.get(arm)) for arm, tally in tallies.items()]
    return found


def _count_wrong_types(
    connection: duckdb.DuckDBPyConnection, source: Source, subject: Subject, tallies: dict[Arm, Tally]
) -> None:
    names = [
        column.name
        for column in subject.columns
        if isinstance(column, NumericColumn) and '"' not in column.name and _lacks_many(column, tallies)
    ]
    for (name, version, column), count in wrong_types(connection, source, subject, names).items():
        for arm, tally in tallies.items():
            if (arm.name, arm.version) == (name, version) and ("column", column, "other") in tally:
                tally["column", column, "other"] = tally["column", column, "other"] + np.array([0.0, float(count), 0, 0])


def _lacks_many(column: NumericColumn, tallies: dict[Arm, Tally]) -> bool:
    total = column.coarse_counts.sum()
    usual = float(column.coarse_counts[-1] / total) if total else 0.0
    for tally in tallies.values():
        missing, rows = tally.get(("column", column.name, "other"), np.zeros(4))[0], tally["rows",][0]
        if rows and missing / rows > usual + _SUSPICIOUS:
            return True
    return False
