"""What each day said by itself: for whoever asks what was wrong on a day that is over."""

from podium_evaluation.documents import Arm
from podium_pages import words
from podium_pages.parts import Empty, Part, Section

_MOST_DAYS = 30
_MOST_SENTENCES = 8


def days(champion: Arm | None) -> Section:
    """The champion's days that stood out, the newest first."""
    found = [day for day in reversed(champion.days) if day.diagnosis] if champion else []
    parts = []
    for day in found[:_MOST_DAYS]:
        left = len(day.diagnosis) - _MOST_SENTENCES
        more = [f"and {left} more"] if left > 0 else []
        parts.append(Part(title=words.window(day.start), says=[*day.diagnosis[:_MOST_SENTENCES], *more]))
    empty = None if parts else Empty("No day stood out.")
    left = len(found) - len(parts)
    return Section("days", "Day by day", parts, says=f"The newest {len(parts)}; {left} before." if left else "", empty=empty)
