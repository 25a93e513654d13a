"""Times of a table's rows, as seconds: what is a time is decided by the standard, not by what a parser can make of it."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

WANTED = "write ISO 8601 times, as in 2026-03-28T22:00:00Z"


def unix_seconds(column: Any) -> npt.NDArray[np.float64]:
    """Of a column of a DataFrame, shape (n,); NaN where a time is missing. Times without an offset are taken for UTC.

    Days first or months first cannot be told apart, and a number may count seconds or milliseconds: both are refused, for
    a guess would cut the rows silently in the wrong places. Raises ValueError naming the first value that is no time.
    """
    dates = pd.api.types.is_datetime64_any_dtype(column.dtype)
    if not dates and pd.api.types.is_numeric_dtype(column.dtype) and column.notna().any():
        raise ValueError(f"{column.dropna().iloc[0]} is a number, not a time; {WANTED}")
    times = pd.to_datetime(column, utc=True, **({} if dates else {"format": "ISO8601", "errors": "coerce"}))
    wrong = times.isna() & column.notna()
    if wrong.any():
        raise ValueError(f"{column[wrong].iloc[0]!r} is no time; {WANTED}")
    seconds = (times - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(seconds=1)
    return np.asarray(seconds, dtype=np.float64)
