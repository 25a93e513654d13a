"""What is kept no longer. Pure."""

from collections.abc import Sequence
from datetime import date, timedelta


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
