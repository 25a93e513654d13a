"""The pieces that pages are made of. Templates know these and no document."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from podium_pages.charts.frame import Chart, Table

Level = Literal["Good", "Warning", "Critical", "Unknown"]
SIGNS: Mapping[Level, str] = {"Good": "✓", "Warning": "▲", "Critical": "◆", "Unknown": "○"}


@dataclass(frozen=True)
class Badge:
    """A level is told by colour, by sign, and by the word."""

    level: Level
    text: str


@dataclass(frozen=True)
class Fact:
    term: str
    value: str


@dataclass(frozen=True)
class Empty:
    """Why nothing is shown, and what to do about it."""

    says: str
    todo: str = ""
    code: str = ""
    """As it is typed."""


@dataclass(frozen=True)
class Part:
    title: str = ""
    badge: Badge | None = None
    says: Sequence[str] = ()
    """Sentences."""
    facts: Sequence[Fact] = ()
    charts: Sequence[Chart] = ()
    table: Table | None = None
    across: Literal["two", "three", "beside"] = "two"
    """How charts lie; beside: charts left, facts and table right."""
    numbers: bool = True
    """The table holds numbers, which line up at the right."""


@dataclass(frozen=True)
class Section:
    identity: str
    """Its anchor."""
    title: str
    parts: Sequence[Part] = ()
    says: str = ""
    caution: str = ""
    """What must be true for the section to be right."""
    empty: Empty | None = field(default=None)
