"""What the person in front of the demo sees: numbered steps with seconds, tables, and a summary at the end."""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

STEPS = 7


class Screen:
    def __init__(self) -> None:
        self.console = Console(highlight=False, soft_wrap=True)
        self.report: dict[str, Any] = {}
        """Figures for people's notes and for the end-to-end test."""
        self._start = time.monotonic()

    @contextmanager
    def step(self, number: int, title: str) -> Iterator[None]:
        began = time.monotonic()
        self.console.print(f"\n[bold cyan]\\[{number}/{STEPS}][/] [bold]{title}[/]")
        yield
        seconds = time.monotonic() - began
        self.report[f"step_{number}_seconds"] = round(seconds, 1)
        self.console.print(f"[dim]      {seconds:.1f} s, {time.monotonic() - self._start:.0f} s since the start[/]")

    def say(self, text: str) -> None:
        self.console.print(f"      {text}")

    def good(self, text: str) -> None:
        self.console.print(f"  [green]✔[/]   {text}")

    def text(self, block: str) -> None:
        """Output of another program, as it is."""
        for line in block.rstrip().splitlines():
            self.console.print(
                f"      [dim]{line}[/]" if line.startswith("#") else f"      {line}", markup=line.startswith("#")
            )

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        table = Table(title=title, title_justify="left", title_style="bold")
        for index, column in enumerate(columns):
            table.add_column(column, justify="left" if index == 0 else "right")
        for row in rows:
            table.add_row(*row)
        self.console.print(table)

    def note(self, **figures: Any) -> None:
        self.report.update(figures)

    def save(self, path: Path) -> None:
        self.report["total_seconds"] = round(time.monotonic() - self._start, 1)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.report, indent=2, sort_keys=True) + "\n")
