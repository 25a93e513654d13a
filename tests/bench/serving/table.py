"""The table of results: JSON for machines, a table for the terminal. Pure."""

from collections.abc import Iterable, Sequence
from typing import Any

from bench.serving.judgement import Row

HEADS = ("measure", "value", "must reach", "ratio", "verdict")
_MARKS = {"reached": "reached", "missed": "MISSED", "undecided": "undecided", "info": "–"}


def text(rows: Iterable[Row]) -> str:
    """Columns as wide as they need to be; a line above each part, a note below its row."""
    rows = list(rows)
    cells = [_cells(row) for row in rows]
    widths = [max(len(line[at]) for line in [HEADS, *cells]) for at in range(len(HEADS))]
    lines = [_line(HEADS, widths)]
    part = ""
    for row, line in zip(rows, cells, strict=True):
        if row.part != part:
            part = row.part
            lines.append(f"-- {part} " + "-" * max(sum(widths) - len(part), 0))
        lines.append(_line(line, widths))
        if row.note.strip():
            lines.append(f"    {row.note.strip()}")
    return "\n".join(lines)


def as_json(rows: Iterable[Row]) -> list[dict[str, Any]]:
    return [vars(row) for row in rows]


def _cells(row: Row) -> tuple[str, ...]:
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
    return (row.measure, row.value, row.must, ratio, _MARKS[row.verdict])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
