"""Equal keys are equal bytes, however they were written."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium_serving.traffic.keys import MixedKeys, key_of_column, key_of_header, key_of_value, row_keys


@pytest.mark.parametrize(
    ("value", "key"),
    [
        pytest.param("7", b"7", id="string"),
        pytest.param(7, b"7", id="python-integer"),
        pytest.param(np.int64(7), b"7", id="integer"),
        pytest.param(np.uint8(7), b"7", id="unsigned"),
        pytest.param(7.0, b"7", id="float-of-integer-value"),
        pytest.param(np.float32(7), b"7", id="float32-of-integer-value"),
        pytest.param(b"7", b"7", id="bytes"),
        pytest.param(np.float32(0.1), b"0.1", id="float32-in-its-own-precision"),
        pytest.param(0.1, b"0.1", id="float64"),
        pytest.param(1e-7, b"0.0000001", id="no-exponent"),
        pytest.param(1e22, b"10000000000000000000000", id="large"),
        pytest.param(-0.0, b"0", id="minus-zero"),
        pytest.param(float("inf"), b"inf", id="infinity"),
        pytest.param(True, b"true", id="boolean"),
        pytest.param(np.False_, b"false", id="numpy-boolean"),
        pytest.param("007", b"007", id="a-string-is-not-a-number"),
        pytest.param("7.0", b"7.0", id="nor-is-this"),
        pytest.param(" a", b" a", id="no-trimming"),
        pytest.param("é", "é".encode(), id="utf-8"),
        pytest.param(b"\xff", b"\xff", id="not-utf-8"),
        pytest.param("", None, id="empty-is-no-key"),
        pytest.param(None, None, id="null-is-no-key"),
        pytest.param(float("nan"), None, id="nan-is-no-key"),
    ],
)
def test_a_cell_has_the_key(value: Any, key: bytes | None) -> None:
    assert key_of_value(value) == key


@given(st.integers(-(2**53), 2**53))
def test_an_integer_has_one_key_in_every_encoding(number: int) -> None:
    written = {
        key_of_value(str(number)),
        key_of_header(str(number)),
        key_of_column(np.array([[number]], dtype=np.int64)),
        key_of_column(np.array([number], dtype=np.float64)),
        key_of_column(np.array([[str(number)]], dtype=object)),
    }
    assert written == {str(number).encode()}


@given(st.text(min_size=1))
def test_text_has_one_key_as_header_bytes_and_as_input(text: str) -> None:
    on_the_wire = text.encode().decode("latin-1")
    assert key_of_header(on_the_wire) == key_of_value(text) == text.encode()


def test_a_header_that_was_decoded_as_utf8_is_the_same_key() -> None:
    assert key_of_header("漢") == "漢".encode()
    assert key_of_header(None) is key_of_header("") is None


@pytest.mark.parametrize(
    ("column", "key"),
    [
        pytest.param(np.array([["a"], ["a"], ["a"]], dtype=object), b"a", id="all-alike"),
        pytest.param(np.array([7.0, 7.0]), b"7", id="numbers"),
        pytest.param(np.array([np.nan, np.nan]), None, id="all-missing"),
        pytest.param(np.array([["", ""]], dtype=object), None, id="wider-than-a-value"),
        pytest.param(np.empty((0, 1)), None, id="no-rows"),
    ],
)
def test_a_batch_of_one_key_has_it(column: Any, key: bytes | None) -> None:
    assert key_of_column(column) == key


@pytest.mark.parametrize(
    "column",
    [
        pytest.param(np.array([["a"], ["b"]], dtype=object), id="strings"),
        pytest.param(np.array([1, 1, 2]), id="integers"),
        pytest.param(np.array([1.0, np.nan]), id="one-missing-at-the-end"),
        pytest.param(np.array([np.nan, 1.0]), id="one-missing-in-front"),
        pytest.param(np.array(["", "a"], dtype=object), id="empty-in-front"),
    ],
)
def test_a_batch_of_different_keys_is_mixed(column: Any) -> None:
    with pytest.raises(MixedKeys):
        key_of_column(column)


def test_rows_have_keys_as_text() -> None:
    assert row_keys(np.array([["a"], [""], [b"\xff"]], dtype=object)) == ["a", None, "\\xff"]
    assert row_keys(np.zeros((2, 3))) == [None, None]
