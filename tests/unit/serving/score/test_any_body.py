"""Whatever JSON is sent, it is scored or refused in words: never a failure of the server's own."""

import json
from contextlib import suppress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from podium_serving.exchange import InvalidRequest
from podium_serving.score.form import Form
from podium_serving.score.message import read_message
from score_fixtures import CONTRACTS, classifier_descriptor

FORM = Form(classifier_descriptor())
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20)
VALUES: Any = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
)
NUMBERS = st.floats(-1e40, 1e40) | st.integers(-(2**70), 2**70)
ROWS = st.fixed_dictionaries(
    {},
    optional={
        "tenure": VALUES | NUMBERS,
        "contract": VALUES | st.sampled_from(CONTRACTS),
        "usage": VALUES | st.lists(NUMBERS, min_size=3, max_size=3),
        "tenur": VALUES,
    },
)
OPTIONS = st.fixed_dictionaries({}, optional={"top": VALUES, "target": VALUES, "scale": VALUES, "precision": VALUES})
BODIES = (
    VALUES
    | ROWS
    | st.lists(ROWS, max_size=4)
    | st.fixed_dictionaries(
        {"rows": st.lists(ROWS, max_size=3) | VALUES}, optional={"id": VALUES, "explain": OPTIONS | VALUES}
    )
)


@given(body=BODIES, outside=st.sampled_from(["Accept", "Warn", "Refuse"]))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_any_json_is_taken_or_refused_in_words(body: Any, outside: Any) -> None:
    try:
        message = read_message(json.dumps(body).encode(), FORM.names)
        filled = FORM.filled(message.rows, outside)
    except InvalidRequest:
        return
    assert {len(column) for column in filled.columns.values()} == {len(message.rows)} == {len(filled.warnings)}


@given(body=st.binary(max_size=200))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_any_bytes_are_taken_or_refused_in_words(body: bytes) -> None:
    with suppress(InvalidRequest):
        read_message(body, FORM.names)
