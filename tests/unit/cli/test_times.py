"""What podium evaluate takes for a time, and what it refuses to guess."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from podium_cli.times import unix_seconds

NOON = 1774699200.0  # 2026-03-28T12:00:00Z


@pytest.mark.parametrize(
    "column",
    [
        pytest.param(
            pd.Series(["2026-03-28T12:00:00Z", "2026-03-28 13:00:00+01:00", "2026-03-28T12:00"]), id="mixed offsets"
        ),
        pytest.param(pd.Series(pd.to_datetime(["2026-03-28T12:00"] * 3)), id="naive timestamps"),
        pytest.param(pd.Series(pd.to_datetime(["2026-03-28T12:00Z"] * 3)).dt.tz_convert("Europe/Berlin"), id="a zone"),
    ],
)
def test_times_of_any_offset_are_seconds_and_naive_ones_are_utc(column: Any) -> None:
    assert unix_seconds(column).tolist() == [NOON] * 3


def test_the_hour_that_comes_twice_in_autumn_is_two_hours() -> None:
    column = pd.Series(["2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00"])
    assert np.diff(unix_seconds(column)).tolist() == [3600.0]


def test_a_missing_time_is_missing() -> None:
    assert np.isnan(unix_seconds(pd.Series([None, "2026-03-28"]))).tolist() == [True, False]


@pytest.mark.parametrize(
    ("values", "says"),
    [
        pytest.param(["a", "b"], "'a' is no time", id="words"),
        pytest.param(["2026-03-28", "28/03/2026"], "'28/03/2026' is no time", id="days first or months first"),
        pytest.param([1774735200, 1774735201], "1774735200 is a number, not a time", id="numbers"),
    ],
)
def test_what_is_no_iso_time_is_refused_without_a_warning_of_the_parser(values: list[Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):  # a warning would be an error of another type
        unix_seconds(pd.Series(values))
