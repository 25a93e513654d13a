"""`podium evaluate`: a model's rows beside its reference, chunk by chunk, from files and without a cluster."""

import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Printed

from podium_cli.errors import UserError
from podium_cli.evaluation_json import document
from podium_cli.loading import load_table
from podium_evaluation.chunks import DEFAULT_CHUNKS, Chunk, Period, chunks_of_rows, chunks_of_time, drawn_chunks, period_of
from podium_evaluation.columns import Column, column
from podium_evaluation.diagnosis import diagnose
from podium_evaluation.evaluate import (
    FEWEST_REFERENCE_CHUNKS,
    Reference,
    Table,
    Window,
    evaluate_window,
    is_classification,
    reference_figures,
)

TRUTHS = {"true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0}
"""Words for 1 and 0, in small letters."""


@dataclass(frozen=True)
class EvaluateOptions:
    """As typed."""

    reference: Path
    current: Path
    target: str | None
    score: str
    prediction: str | None
    labels: Path | None
    identity: str | None
    protected: list[str]
    segments: list[str]
    chunk_rows: int | None
    chunk_by: str | None
    json: str | None
    html: Path | None


@dataclass(frozen=True)
class Evaluated:
    """What was found, and the rows that it was found in."""

    reference: Reference
    windows: list[Window]
    diagnosis: list[str]
    tables: list[Table]
    reference_table: Table


def evaluate(options: EvaluateOptions, console: Console) -> None:
    """Prints a table and the diagnosis, or writes JSON or a page. Raises UserError naming what does not fit."""
    found = _evaluated(options)
    if options.html is not None:
        _write_page(found, options)
    if options.json is None:
        _show(found, console)
    elif options.json == "-":
        print(json.dumps(document(found.reference, found.windows, found.diagnosis), indent=2))
    else:
        text = json.dumps(document(found.reference, found.windows, found.diagnosis), indent=2) + "\n"
        Path(options.json).write_text(text, encoding="utf-8")


def _evaluated(options: EvaluateOptions) -> Evaluated:
    frames = load_table(options.reference), _labelled(options)
    time_column, period = _time(options)
    reference, current = (
        _table(frame, path, options, time_column)
        for frame, path in zip(frames, (options.reference, options.current), strict=True)
    )
    chunks = _chunks(options, frames[1], period, time_column)
    tables = [current.rows(chunk.rows) for chunk in chunks]
    size = max(1, int(np.median([len(chunk.rows) for chunk in chunks])))
    try:
        classification = is_classification(reference) or is_classification(current)
        usual = reference_figures(reference, _reference_chunks(len(reference), size), classification=classification)
        windows = [
            evaluate_window(chunk, table, reference, usual, classification=classification)
            for chunk, table in zip(chunks, tables, strict=True)
        ]
        return Evaluated(usual, windows, diagnose(windows, tables, reference, usual), tables, reference)
    except ValueError as error:
        raise UserError(f"{options.current} cannot be evaluated: {error}") from error


def _labelled(options: EvaluateOptions) -> Any:
    """The current rows, joined with the labels that came apart from them. A later label of an id replaces an earlier one."""
    frame = load_table(options.current)
    if options.labels is None:
        return frame
    if options.identity is None or options.target is None:
        raise UserError("--labels needs --id, the column that joins them, and --target, the column that they hold")
    labels = load_table(options.labels)
    asked = (options.labels, labels), (options.current, frame)
    for (path, table), needed in zip(asked, (options.target, options.identity), strict=True):
        if needed not in table.columns or options.identity not in table.columns:
            raise UserError(f"{path} must have the columns {options.identity!r} and, in --labels, {options.target!r}")
    newest = labels.drop_duplicates(options.identity, keep="last")[[options.identity, options.target]]
    try:
        return frame.drop(columns=options.target, errors="ignore").merge(newest, on=options.identity, how="left")
    except ValueError as error:
        kinds = " and ".join(f"{table[options.identity].dtype} in {path}" for path, table in asked)
        raise UserError(f"--id {options.identity!r} is {kinds}: no row can have a label; write it alike in both") from error


def _time(options: EvaluateOptions) -> tuple[str | None, Period | None]:
    if options.chunk_by is None:
        return None, None
    if options.chunk_rows is not None:
        raise UserError("--chunk-rows and --chunk-by exclude each other")
    name, _, period = options.chunk_by.rpartition(":")
    try:
        return name, period_of(period)
    except ValueError as error:
        raise UserError(f"--chunk-by is {options.chunk_by!r}, must be COLUMN:PERIOD: {error}") from error


def _chunks(options: EvaluateOptions, frame: Any, period: Period | None, time_column: str | None) -> list[Chunk]:
    if len(frame) == 0:
        raise UserError(f"{options.current} has no row")
    try:
        if time_column is None or period is None:
            return chunks_of_rows(len(frame), options.chunk_rows or max(1, -(-len(frame) // DEFAULT_CHUNKS)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of how it reads times; those that it cannot read it refuses
            times = pd.to_datetime(frame[time_column], utc=True)
        seconds = (times - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(seconds=1)
        return chunks_of_time(seconds.to_numpy(dtype=np.float64), period)
    except (KeyError, ValueError, TypeError) as error:
        raise UserError(f"{options.current} cannot be cut into chunks: {error}") from error


def _reference_chunks(rows: int, size: int) -> list[Chunk]:
    """What a metric varies by without a cause, in windows of this size."""
    chunks = chunks_of_rows(rows, size)
    return chunks if len(chunks) >= FEWEST_REFERENCE_CHUNKS else drawn_chunks(rows, size)


def _table(frame: Any, path: Path, options: EvaluateOptions, time_column: str | None) -> Table:
    named = [("--score", options.score), *(("--protected", name) for name in options.protected)]
    named += [("--segment", name) for name in options.segments]
    if options.prediction is not None:
        named.append(("--prediction", options.prediction))
    for option, wanted in named:
        if wanted not in frame.columns:
            listed = ", ".join(map(str, frame.columns[:20]))
            raise UserError(f"{option} is {wanted!r}, but {path} has the columns {listed}")
    columns = {str(name): column(str(name), np.asarray(frame[name])) for name in frame.columns}
    special = {options.score, options.target, options.prediction, options.identity, time_column}
    for name in (options.score, options.target, options.prediction):
        if name is not None and name in columns:
            columns[name] = _numbers(columns[name], path)
    return Table(
        columns=columns,
        score=options.score,
        target=options.target,
        prediction=options.prediction,
        protected=options.protected,
        segments=options.segments,
        features=[name for name in columns if name not in special],
    )


def _numbers(found: Column, path: Path) -> Column:
    """Scores and truths are numbers; a column of true and false, or yes and no, is one too."""
    if found.kind == "Numeric":
        return found
    try:
        return Column(found.name, "Numeric", np.array([_number(value) for value in found.values.tolist()], np.float64))
    except ValueError as error:
        raise UserError(
            f"column {found.name!r} of {path} holds {error}, which is no number; "
            "write numbers, true and false, or yes and no"
        ) from error


def _number(value: str | None) -> float:
    """Raises ValueError that says only what is none."""
    if value is None:
        return np.nan
    if value.lower() in TRUTHS:
        return TRUTHS[value.lower()]
    try:
        return float(value)
    except ValueError:
        raise ValueError(repr(value)) from None


def _write_page(found: Evaluated, options: EvaluateOptions) -> None:
    """Charts and templates are imported for whoever wants a page."""
    from podium_cli.evaluation_page import page_of
    from podium_pages.html import html

    assert options.html is not None
    page = page_of(
        options.current.name, found.reference, found.windows, found.diagnosis, found.tables, found.reference_table
    )
    try:
        options.html.write_bytes(html(page))
    except OSError as error:
        raise UserError(f"cannot write {options.html}: {error.strerror}") from error


def _show(found: Evaluated, console: Console) -> None:
    names = [
        name for name in ("auc", "accuracy", "log_loss", "rmse", "mae") if any(name in w.performance for w in found.windows)
    ]
    table = Printed("window", "rows", "labelled", *names, "drifted columns")
    for window in found.windows:
        figures = [window.performance.get(name) for name in names]
        cells = ["" if figure is None else f"{figure.value:.4f}{' !' if figure.alert else ''}" for figure in figures]
        drifted = ", ".join(sorted(window.alerts))
        table.add_row(window.start or str(window.index), str(window.rows), str(window.labelled), *cells, escape(drifted))
    console.print(table)
    for sentence in found.diagnosis:
        console.print(escape(f"- {sentence}"), soft_wrap=True)
    if not found.diagnosis:
        console.print("Nothing is alarming.")
