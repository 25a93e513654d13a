"""`podium evaluate`: a model's rows beside its reference, chunk by chunk, from files and without a cluster."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table as Printed

from podium_cli.errors import UserError
from podium_cli.evaluation_json import document
from podium_cli.evaluation_rows import Options, Rows, rows_of
from podium_cli.times import unix_seconds
from podium_evaluation.chunks import DEFAULT_CHUNKS, Chunk, Period, chunks_of_rows, chunks_of_time, period_of
from podium_evaluation.diagnosis import diagnose
from podium_evaluation.evaluate import Window, evaluate_window
from podium_evaluation.tables import Table
from podium_evaluation.usual import Reference, Usual


@dataclass(frozen=True)
class EvaluateOptions:
    """As typed."""

    rows: Options
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


def evaluate(options: EvaluateOptions, console: Console, errors: Console) -> None:
    """Prints a table and the diagnosis, or writes JSON or a page; what is noteworthy of the files goes to `errors`. Raises
    UserError naming what does not fit."""
    for path in (options.html, None if options.json in (None, "-") else Path(str(options.json))):
        if path is not None and (path.is_dir() or not path.parent.is_dir()):
            raise UserError(f"cannot write {path}: {'it is a folder' if path.is_dir() else f'there is no {path.parent}'}")
    time_column, period = _time(options)
    rows = rows_of(options.rows, time_column)
    for note in rows.notes:
        errors.print(f"[yellow]note[/]: {escape(note)}", soft_wrap=True)
    found = _evaluated(rows, _chunks(options, rows.frame, period, time_column), options.rows.current)
    if options.html is not None:
        _write_page(found, options.rows.current.name, options.html)
    if options.json is None:
        _show(found, console)
        return
    text = json.dumps(document(found.reference, found.windows, found.diagnosis), indent=2)
    if options.json == "-":
        print(text)
    else:
        Path(options.json).write_text(text + "\n", encoding="utf-8")


def _evaluated(rows: Rows, chunks: list[Chunk], path: Path) -> Evaluated:
    tables = [rows.current.rows(chunk.rows) for chunk in chunks]
    known = [int(table.known(rows.task).sum()) for table in tables]
    labelled = sorted(count for count in known if count)
    typical = labelled[len(labelled) // 2] if labelled else 0
    try:
        usual = Usual(rows.reference, rows.task)
        reference = usual.reference(typical)
        windows = [
            evaluate_window(chunk, table, rows.reference, usual.of(count), rows.task)
            for chunk, table, count in zip(chunks, tables, known, strict=True)
        ]
        return Evaluated(reference, windows, diagnose(windows, tables, rows.reference), tables, rows.reference)
    except ValueError as error:
        raise UserError(f"{path} cannot be evaluated: {error}") from error


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
    if time_column is None or period is None:
        return chunks_of_rows(len(frame), options.chunk_rows or max(1, -(-len(frame) // DEFAULT_CHUNKS)))
    path = options.rows.current
    if time_column not in frame.columns:
        listed = ", ".join(map(str, frame.columns[:20]))
        raise UserError(f"--chunk-by names {time_column!r}, but {path} has the columns {listed}")
    try:
        return chunks_of_time(unix_seconds(frame[time_column]), period)
    except ValueError as error:
        raise UserError(f"{path} cannot be cut into chunks by {time_column!r}: {error}") from error


def _write_page(found: Evaluated, name: str, path: Path) -> None:
    """Charts and templates are imported for whoever wants a page."""
    from podium_cli.evaluation_page import page_of
    from podium_pages.html import html

    page = page_of(name, found.reference, found.windows, found.diagnosis, found.tables, found.reference_table)
    path.write_bytes(html(page))


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
