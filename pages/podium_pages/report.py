"""What a report consists of, whatever it is printed as."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from podium_pages.parts import Badge, Fact, Section


@dataclass(frozen=True)
class Report:
    title: str
    subtitle: str
    badge: Badge
    made_at: datetime
    facts: Sequence[Fact]
    sentences: Sequence[str]
    """What a hurried reader has to know."""
    sections: Sequence[Section]
