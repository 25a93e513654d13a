"""Numbers, times and lengths as people read them. Pure, so that pages, tables and charts say a thing in one way.

A value that cannot be said is an en dash, never 0.
"""

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache

from podium_evaluation.documents import Figure

NOTHING = "–"
_MOMENTS = 4096
"""Remembered: every chart of a page has the same days."""


def number(value: float | None, digits: int = 3) -> str:
    """`digits` significant ones; whole numbers from 1,000 on have none behind the point.

    >>> number(0.93456), number(12345.6), number(None), number(-0.0002)
    ('0.935', '12,346', '–', '−0.0002')
    """
    if value is not None and digits == 3 and (1e-4 <= value < 999.5 or -999.5 < value <= -1e-4):  # nearly all of a page's
        return f"{value:.3g}" if value > 0 else f"−{-value:.3g}"
    if value is None or math.isnan(value):
        return NOTHING
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    magnitude = math.floor(math.log10(abs(value)))
    if magnitude < -4:
        text = f"{value:.1e}"
    else:
        places = max(0, digits - 1 - magnitude) if magnitude < 3 else 0
        text = f"{value:,.{places}f}"
        if "." in text:
            text = text.rstrip("0").rstrip(".")
    return text.replace("-", "−") if value < 0 else text


def count(value: int | None) -> str:
    """With commas between thousands.

    >>> count(336776)
    '336,776'
    """
    return NOTHING if value is None else f"{value:,}"


def percent(share: float | None) -> str:
    """Of a share from 0 to 1.

    >>> percent(0.934), percent(0.0004), percent(1.0), percent(0.0)
    ('93.4 %', '< 0.1 %', '100 %', '0 %')
    """
    if share is None or math.isnan(share):
        return NOTHING
    if 0 < share < 0.001:
        return "< 0.1 %"
    text = f"{share * 100:.1f}"
    return f"{text.removesuffix('.0')} %".replace("-", "−")


def figure(value: Figure | None) -> str:
    """With its interval where it has one.

    >>> figure(Figure(0.91, 0.9, 0.92))
    '0.91 (0.9 to 0.92)'
    """
    if value is None:
        return NOTHING
    return interval(value.value, value.low, value.high)


def interval(value: float | None, low: float | None, high: float | None) -> str:
    if value is None:
        return NOTHING
    if low is None or high is None:
        return number(value)
    return f"{number(value)} ({number(low)} to {number(high)})"


def length(seconds: float | None) -> str:
    """A duration in its largest fitting unit.

    >>> length(0.0123), length(3.25), length(90), length(7200), length(864000)
    ('12.3 ms', '3.25 s', '1.5 min', '2 h', '10 days')
    """
    if seconds is None:
        return NOTHING
    for unit, size in (("days", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        if seconds >= size * (2 if unit == "days" else 1):
            return f"{number(seconds / size)} {unit}"
    return f"{number(seconds * 1000)} ms"


@lru_cache(maxsize=_MOMENTS)
def day(at: datetime) -> str:
    """The day of a month that is plain from its place.

    >>> day(datetime(2026, 11, 3, tzinfo=UTC))
    '3 Nov'
    """
    return f"{at.day} {at:%b}"


def moment(at: datetime) -> str:
    """To the minute, in UTC."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


@lru_cache(maxsize=_MOMENTS)
def window(start: datetime) -> str:
    """Which day, or hour, a window is.

    >>> window(datetime(2026, 11, 3, tzinfo=UTC)), window(datetime(2026, 11, 3, 5, tzinfo=UTC))
    ('2026-11-03', '2026-11-03 05:00')
    """
    return f"{start:%Y-%m-%d}" if (start.hour, start.minute) == (0, 0) else f"{start:%Y-%m-%d %H:%M}"


def written(text: str) -> str:
    """An RFC 3339 time of a manifest to the minute; what is no time, as it is.

    >>> written("2026-10-02T09:13:20Z")
    '2026-10-02 09:13 UTC'
    """
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return text
    return moment(at) if at.tzinfo is not None else text


def named(key: str) -> str:
    """A key of a document as a name for people.

    >>> named("balanced_accuracy"), named("auc"), named("r_squared")
    ('Balanced accuracy', 'AUC', 'R²')
    """
    return _NAMES.get(key) or key.replace("_", " ").capitalize()


def in_order(keys: Iterable[str], first: Sequence[str] = ()) -> list[str]:
    """Keys of metrics as pages show them: those of `first`, the usual ones, all others by name.

    >>> in_order(["mae", "gini", "auc"], first=["brier", "mae"])
    ['mae', 'auc', 'gini']
    """
    known = set(keys)
    return [key for key in dict.fromkeys([*first, *_LEADING, *sorted(known)]) if key in known]


_LEADING = ("auc", "balanced_accuracy", "accuracy", "log_loss", "brier", "f1", "r_squared", "rmse", "mae")
_NAMES = {
    "auc": "AUC",
    "f1": "F1",
    "rmse": "RMSE",
    "mae": "MAE",
    "r_squared": "R²",
    "aic": "AIC",
    "bic": "BIC",
    "brier": "Brier score",
    "log_loss": "Log loss",
    "gini": "Gini",
}
