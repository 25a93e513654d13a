"""Columns in windows: kinds, hard cases, and how a table is cut."""

import math
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from podium_evaluation.chunks import chunks_of_rows, chunks_of_time, drawn_chunks, period_of, whole_chunks
from podium_evaluation.columns import column
from podium_evaluation.windows import column_drift, column_quality


@pytest.mark.parametrize(
    ("values", "kind", "missing"),
    [
        pytest.param([1, 2, 3], "Numeric", 0, id="integers"),
        pytest.param([1.0, math.nan, math.inf], "Numeric", 1, id="floats"),
        pytest.param(np.array([1, None, 2.5], dtype=object), "Numeric", 1, id="objects-of-numbers"),
        pytest.param(np.array(["a", None, "b", math.nan], dtype=object), "Categorical", 2, id="text"),
        pytest.param(np.array([Decimal("1.5"), None], dtype=object), "Numeric", 1, id="decimals"),
        pytest.param([True, False], "Categorical", 0, id="booleans"),
        pytest.param(np.asarray(pd.Series(["x", None], dtype="string")), "Categorical", 1, id="pandas-strings"),
        pytest.param(np.array([None, None], dtype=object), "Categorical", 2, id="nothing"),
    ],
)
def test_kinds_of_columns(values: object, kind: str, missing: int) -> None:
    found = column("c", values)  # type: ignore[arg-type]
    assert (found.kind, int(found.missing.sum())) == (kind, missing)


def test_constant_columns_do_not_drift() -> None:
    drift = column_drift(column("c", [3.0] * 100), column("c", [3.0] * 50))
    assert (drift.psi, drift.jensen_shannon, drift.wasserstein, drift.severity) == (0.0, 0.0, 0.0, "None")


@pytest.mark.parametrize(
    ("reference", "current"),
    [
        pytest.param([1.0] * 400, [2.0] * 400, id="a constant that is another one"),
        pytest.param([1.0] * 20 + [0.0] * 380, [1.0] * 240 + [0.0] * 160, id="a rare flag that is frequent"),
        pytest.param([0.0] * 380 + [*range(20)], [0.0] * 100 + [*range(300)], id="amounts that were mostly 0"),
    ],
)
def test_a_column_of_mostly_one_value_drifts_upwards_too(reference: list[float], current: list[float]) -> None:
    assert column_drift(column("c", reference), column("c", current)).severity == "Critical"


def test_a_column_that_went_null_drifts_and_has_no_distance() -> None:
    drift = column_drift(column("c", np.arange(100.0)), column("c", [math.nan] * 100))
    assert drift.severity == "Critical"
    assert drift.ks is None
    assert drift.chi2 is not None
    assert drift.chi2.p_value < 1e-9
    assert math.isnan(drift.wasserstein)


def test_a_column_of_which_half_went_null_drifts_though_its_values_did_not_move() -> None:
    chance = np.random.default_rng(1)
    old, new = chance.normal(size=2000), chance.normal(size=1000)
    new[::2] = math.nan
    drift = column_drift(column("c", old), column("c", new))
    assert drift.ks is not None
    assert drift.ks.p_value > 0.05
    assert drift.severity == "Critical"
    assert drift.p_value < 1e-9


def test_missing_values_at_the_usual_rate_are_no_drift() -> None:
    chance = np.random.default_rng(2)
    rejected = 0
    for _ in range(300):
        old, new = chance.normal(size=400), chance.normal(size=300)
        old[chance.random(400) < 0.2], new[chance.random(300) < 0.2] = math.nan, math.nan
        rejected += column_drift(column("c", old), column("c", new)).p_value < 0.05
    assert rejected / 300 < 0.08


def test_psi_joins_rare_categories_and_keeps_missing_and_unseen_ones_apart() -> None:
    """Expected counts below 5 of the smaller window: c and d; the figure by hand."""
    old = column("c", ["a"] * 60 + ["b"] * 36 + ["c"] * 2 + ["d"] * 2)
    new = column("c", np.array(["a"] * 50 + ["b"] * 44 + ["c"] * 1 + ["d"] * 3 + ["z", None], dtype=object))
    parts = [(0.6, 0.5), (0.36, 0.44), (0.04, 0.04), (0.005, 0.01), (0.005, 0.01)]
    assert column_drift(old, new).psi == pytest.approx(sum((c - r) * math.log(c / r) for r, c in parts))


def test_categories_that_a_reference_of_rare_ones_could_not_all_see_are_no_drift() -> None:
    """A million identifiers, and a vocabulary with a long tail: of neither all were seen. New common ones are drift."""
    chance = np.random.default_rng(3)
    identifiers = chance.integers(0, 1_000_000, 6000).astype(str)
    words = np.minimum(chance.zipf(1.5, 6000), 10**9).astype(str)
    for values in (identifiers, words):
        drift = column_drift(column("c", values[:4000]), column("c", values[4000:]))
        assert drift.severity == "None"
        assert drift.p_value > 0.001
        assert drift.jensen_shannon < 0.1
    new = np.where(np.arange(2000) % 4 == 0, "new", words[4000:])
    assert column_drift(column("c", words[:4000]), column("c", new)).severity == "Critical"


def test_numbers_that_became_text_are_counted() -> None:
    quality = column_quality(column("c", np.arange(10.0)), column("c", np.array(["1", "x", "99", None], dtype=object)))
    assert (quality.missing, quality.wrong_type, quality.out_of_range) == (0.25, 0.25, 0.25)


def test_categories_that_became_numbers_are_those_of_their_text() -> None:
    old, new = column("c", np.array(["1", "2", "x"] * 30, dtype=object)), column("c", [1.0, 2.0, 3.0] * 10)
    assert column_quality(old, new).unseen == pytest.approx(1 / 3)
    assert column_drift(old, new).psi > 0.1


def test_unseen_categories_are_counted() -> None:
    quality = column_quality(column("c", ["a", "b"]), column("c", ["a", "z", "z", "y"]))
    assert quality.unseen == 0.75


def test_many_categories_are_no_trouble() -> None:
    names = np.arange(200_000).astype(str)
    drift = column_drift(column("c", names), column("c", names[::2]))
    assert math.isfinite(drift.psi)


def test_the_last_chunk_is_what_remains() -> None:
    assert [len(chunk.rows) for chunk in chunks_of_rows(104, 50)] == [50, 50, 4]
    assert [len(chunk.rows) for chunk in chunks_of_rows(3, 50)] == [3]
    assert np.concatenate([chunk.rows for chunk in chunks_of_rows(104, 50)]).tolist() == list(range(104))


def test_whole_chunks_leave_what_remains_out_and_are_spread_evenly_where_there_are_many() -> None:
    assert [chunk.rows[0] for chunk in whole_chunks(104, 50, 300)] == [0, 50]
    assert [chunk.rows[0] for chunk in whole_chunks(1000, 10, 3)] == [0, 500, 990]


def test_weeks_begin_on_mondays() -> None:
    seconds = np.array(["2026-11-22T23:59", "2026-11-23T00:00"], dtype="datetime64[s]").astype(np.int64)
    assert [chunk.start[:10] for chunk in chunks_of_time(seconds, period_of("1W"))] == ["2026-11-16", "2026-11-23"]


def test_chunks_of_time_begin_at_whole_periods_in_utc() -> None:
    times = pd.to_datetime(["2026-03-28T23:30Z", "2026-03-30T00:00Z", "2026-03-28T01:00Z"])
    seconds = (times - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(seconds=1)
    found = chunks_of_time(np.asarray(seconds, dtype=float), period_of("1D"))
    assert [(chunk.start, chunk.rows.tolist()) for chunk in found] == [
        ("2026-03-28T00:00:00Z", [0, 2]),
        ("2026-03-30T00:00:00Z", [1]),
    ]


def test_months_are_those_of_the_calendar() -> None:
    days = np.arange("2013-01-15", "2013-04-02", dtype="datetime64[D]")
    found = chunks_of_time(days.astype("datetime64[s]").astype(np.int64), period_of("1M"))
    assert [(chunk.start, len(chunk.rows)) for chunk in found] == [
        ("2013-01-01T00:00:00Z", 17),
        ("2013-02-01T00:00:00Z", 28),
        ("2013-03-01T00:00:00Z", 31),
        ("2013-04-01T00:00:00Z", 1),
    ]
    before = chunks_of_time([-0.5], period_of("1M"))
    assert before[0].start == "1969-12-01T00:00:00Z"


@pytest.mark.parametrize("period", ["1Y", "D", "0h", "-1D", "1.5h", ""])
def test_what_is_no_period_is_refused(period: str) -> None:
    with pytest.raises(ValueError, match="write a number and m, h, D, W or M"):
        period_of(period)


def test_a_short_reference_is_drawn_from_again_and_again_the_same_way() -> None:
    found = drawn_chunks(400, 5000)
    assert {len(chunk.rows) for chunk in found} == {400}
    assert all((one.rows == other.rows).all() for one, other in zip(found, drawn_chunks(400, 5000), strict=True))
    values = np.random.default_rng(1).normal(size=400)
    spread = np.std([values[chunk.rows].mean() for chunk in drawn_chunks(400, 100)], ddof=1)
    assert spread == pytest.approx(values.std() / 10, rel=0.4)
