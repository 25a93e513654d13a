"""What is usual of a version's performance: the same figures on chunks of its reference. Pure."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from podium_evaluation.sequences import Floats
from podium_evaluation.tallies import below
from podium_monitor.evaluations.batch import Batch, Texts, texts_of
from podium_monitor.evaluations.subject import Subject
from podium_monitor.evaluations.summarize import numbers_as_texts, performance_tally
from podium_monitor.evaluations.windows import Usual, performance_figures

CHUNKS = 10
"""Chunks have the window's number of labelled rows, and at most this part of the reference's."""
FEWEST_CHUNK_ROWS = 50
FEWEST_CHUNKS = 3


def reference_batch(table: pa.Table, subject: Subject) -> Batch:
    """The rows of reference.parquet, as if they had been captured. Without the column `target` no truth is known."""
    numbers: dict[str, Floats] = {}
    texts: dict[str, Texts] = {}
    outputs: dict[str, Floats] = {}
    output_texts: dict[str, Texts] = {}
    for name in table.column_names:
        if name in subject.inputs:
            _put(name, table[name], subject.inputs[name] == "Number", numbers, texts)
    for name, cell in subject.answers.items():
        column = f"output.{name}"
        if column not in table.column_names:
            continue
        if isinstance(cell, tuple):
            matrix = np.array(table[column].to_pylist(), dtype=np.float64).reshape(-1, len(cell))
            outputs |= {f"{name}[{one}]": matrix[:, index] for index, one in enumerate(cell)}
        else:
            _put(name, table[column], cell == "Number", outputs, output_texts)
    rows = table.num_rows
    nothing = np.full(rows, np.nan)
    return Batch(
        rows=rows,
        numbers=numbers,
        texts=texts,
        output_numbers=outputs,
        output_texts=output_texts,
        latency=nothing,
        fallback=np.zeros(rows, dtype=bool),
        truth=_truth(table) if "target" in table.column_names and "target" not in subject.inputs else nothing,
        delay=nothing,
        rank=np.arange(rows, dtype=np.uint64),
    )


def usual_of(subject: Subject, reference: Batch | None, labelled: int) -> Usual:
    """Mean and standard deviation over chunks of `labelled` rows, every tenth row of the reference each where that is
    less. Too short a reference says nothing."""
    if reference is None or reference.rows // CHUNKS < FEWEST_CHUNK_ROWS or labelled == 0:
        return Usual()
    chunks = max(CHUNKS, reference.rows // max(labelled, FEWEST_CHUNK_ROWS))
    found: dict[str, list[float]] = {}
    place = np.arange(reference.rows) % chunks
    for chunk in range(min(chunks, 50)):
        tally = performance_tally(reference.chosen(place == chunk), subject)
        for name, one in performance_figures(subject.outputs.task, below(tally, "all")).items():
            found.setdefault(name, []).append(one.value)
    return Usual(_bands(found))


def _bands(found: Mapping[str, list[float]]) -> dict[str, tuple[float, float, int]]:
    return {
        name: (float(np.mean(values)), float(np.std(values, ddof=1)), len(values))
        for name, values in found.items()
        if len(values) >= FEWEST_CHUNKS
    }


def _put(name: str, column: Any, numeric: bool, numbers: dict[str, Floats], texts: dict[str, Texts]) -> None:
    if numeric:
        numbers[name] = np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
    elif pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        texts[name] = texts_of(column)
    elif pa.types.is_boolean(column.type):
        found = texts_of(column.cast(pa.string()))
        texts[name] = Texts(found.codes, tuple(one.capitalize() for one in found.names))
    else:
        texts[name] = numbers_as_texts(np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64))


def _truth(table: pa.Table) -> Any:
    column = table["target"]
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
    return np.array(column.to_pylist(), dtype=object)
