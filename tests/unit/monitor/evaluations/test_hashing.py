"""Hashes of keys: the same whatever is beside a text, other for other texts, and for ever what they are now."""

import numpy as np
import pyarrow as pa
import pytest

from podium_monitor.evaluations.hashing import distinct, hashes_of

TEXTS = ["", "a", "a\0", "k-1", "k-10", "12345678", "123456789", "é" * 9, "x" * 64, "x" * 65, "x" * 1000, None]


def test_a_text_has_one_hash_whatever_is_beside_it() -> None:
    together = hashes_of(pa.array(TEXTS))
    alone = [int(hashes_of(pa.array([text], pa.string()))[0]) for text in TEXTS]
    assert together.tolist() == alone
    assert hashes_of(pa.array(TEXTS).slice(3, 5)).tolist() == alone[3:8]
    assert hashes_of(pa.chunked_array([TEXTS[:4], TEXTS[4:]])).tolist() == alone
    assert hashes_of(pa.array(TEXTS).dictionary_encode()).tolist() == alone


def test_nothing_has_no_hash_and_other_texts_have_others() -> None:
    found = hashes_of(pa.array(TEXTS))
    assert found[-1] == 0
    assert len(set(found.tolist())) == len(TEXTS)
    assert len(hashes_of(pa.array([], pa.string()))) == 0


def test_hashes_that_were_kept_stay_what_they_were() -> None:
    assert hashes_of(pa.array(["k-1", "customer-0815"])).tolist() == [1087387014432597693, 11079318284032329559]


@pytest.mark.parametrize("form", ["r-13-{}", "{:032x}", "customer-{:08d}-of-shop-{}"])
def test_keys_that_are_alike_spread_over_all_hashes(form: str) -> None:
    found = hashes_of(pa.array([form.format(number, number) for number in range(200_000)]))
    assert len(np.unique(found)) == 200_000
    for shift in (0, 56):
        counts = np.bincount(((found >> np.uint64(shift)) & np.uint64(255)).astype(np.int64), minlength=256)
        assert np.sum((counts - 200_000 / 256) ** 2 / (200_000 / 256)) < 365  # chi-square, 255 degrees: one in 100,000


def test_distinct_ones_are_sorted() -> None:
    assert distinct(np.array([5, 0, 2, 5, 2], np.uint64)).tolist() == [2, 5]
    assert distinct(np.empty(0, np.uint64)).tolist() == []
