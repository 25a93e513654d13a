"""What is kept no longer. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta


@dataclass(frozen=True)
class Retention:
    """What the installation says of whole days that are kept."""

    days: int | None = None
    """Of a deployment that does not say. None: all."""
    most: int | None = None
    """Of any deployment. None: as many as it says."""

    def of(self, wished: int | None) -> int | None:
        """Days of a deployment that wishes for so many. None: all."""
        bounds = [bound for bound in (self.days if wished is None else wished, self.most) if bound is not None]
        return min(bounds, default=None)


def expired(dates: Sequence[str], today: date, days: int) -> list[str]:
    """Of the days that have files (`2026-11-21`): those that lie more than `days` whole days before today (UTC)."""
    oldest = f"{today - timedelta(days=days):%Y-%m-%d}"
    return [day for day in dates if day < oldest and _is_day(day)]


def _is_day(text: str) -> bool:
    """An odd folder is not ours to delete."""
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
