"""Numbers, shares, times and lengths as people read them."""

import doctest
import math
from datetime import UTC, datetime

import pytest

from podium_evaluation.documents import Figure
from podium_pages import words
from podium_pages.charts import frame


@pytest.mark.parametrize("module", [words, frame])
def test_the_examples_of_the_documentation_are_true(module: object) -> None:
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]  # a module


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (math.nan, "–"),
        (math.inf, "∞"),
        (-math.inf, "−∞"),
        (0.0, "0"),
        (0.9999, "1"),
        (999.6, "1,000"),
        (-12.345, "−12.3"),
        (1e-12, "1.0e-12"),
        (3_000_000.4, "3,000,000"),
        (100.0, "100"),
    ],
)
def test_a_number_has_three_digits_that_count(value: float | None, text: str) -> None:
    assert words.number(value) == text


def test_what_cannot_be_said_is_never_zero() -> None:
    assert words.figure(None) == words.figure(Figure(None)) == words.percent(None) == words.length(None) == "–"
    assert words.figure(Figure(0.5)) == "0.5"


def test_a_time_of_a_manifest_that_is_none_stays_as_it_is() -> None:
    assert words.written("soon") == "soon"
    assert words.written("2026-10-02T09:13:20") == "2026-10-02T09:13:20"
    assert words.moment(datetime(2026, 1, 2, 3, 4, tzinfo=UTC)) == "2026-01-02 03:04 UTC"
