"""The three shapes of a body, and that no column's name can be mistaken for an option."""

from typing import Any

import pytest

from podium_serving.exchange import InvalidRequest
from podium_serving.explain.quantity import Options
from podium_serving.score.message import Message, read_message

COLUMNS = {"tenure", "contract"}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param(b'{"tenure": 1}', Message([{"tenure": 1}], single=True), id="one-row"),
        pytest.param(
            b'{"id": 1, "explain": 2}', Message([{"id": 1, "explain": 2}], single=True), id="columns-named-like-options"
        ),
        pytest.param(b"{}", Message([{}], single=True), id="a-row-without-columns"),
        pytest.param(b'[{"tenure": 1}, {}]', Message([{"tenure": 1}, {}], single=False), id="list"),
        pytest.param(b'{"rows": [{"tenure": 1}]}', Message([{"tenure": 1}], single=False), id="options"),
        pytest.param(
            b'{"rows": [{}], "id": "a", "explain": true}',
            Message([{}], single=False, id="a", explain=Options()),
            id="explain",
        ),
        pytest.param(
            b'{"rows": [{}], "explain": {"top": 2, "scale": "LogOdds", "target": "Yes", "precision": 0.1}}',
            Message([{}], single=False, explain=Options(2, "Yes", "LogOdds", 0.1)),
            id="explain-how",
        ),
        pytest.param(b'{"rows": [{}], "explain": false}', Message([{}], single=False), id="explain-not"),
    ],
)
def test_a_body_is_one_row_or_a_list_or_rows_with_options(body: bytes, message: Message) -> None:
    assert read_message(body, COLUMNS) == message


@pytest.mark.parametrize(
    ("body", "single"),
    [(b'{"rows": 3}', True), (b'{"rows": [1, 2]}', True), (b'{"rows": []}', True), (b'{"rows": [{"rows": 3}]}', False)],
)
def test_a_column_may_be_named_rows(body: bytes, single: bool) -> None:
    assert read_message(body, {"rows"}).single is single


@pytest.mark.parametrize(
    ("body", "text"),
    [
        pytest.param(b"", "the body is empty", id="empty"),
        pytest.param(b"{", "the body is not JSON", id="not-json"),
        pytest.param(b'{"tenure": NaN}', "send null for a missing value", id="nan"),
        pytest.param(b"\xff", "the body is not JSON", id="not-utf-8"),
        pytest.param(b"3", "must be a JSON object of columns", id="number"),
        pytest.param(b"[]", "the list of rows is empty", id="no-rows"),
        pytest.param(b"[1]", "must be a JSON object of columns", id="list-of-numbers"),
        pytest.param(b'{"rows": []}', "`rows` is empty", id="no-rows-with-options"),
        pytest.param(b'{"rows": {"tenure": 1}}', "Expected `array`, got `object` - at `$.rows`", id="rows-is-an-object"),
        pytest.param(b'{"rows": [{}], "explian": true}', "unknown field `explian`", id="unknown-option"),
        pytest.param(b'{"rows": [{}], "explain": {"tops": 1}}', "unknown field `tops`", id="unknown-option-of-explain"),
        pytest.param(b'{"rows": [{}], "explain": {"top": 0}}', "explain.top is 0, must be at least 1", id="top"),
        pytest.param(b'{"rows": [{}], "explain": {"precision": 0}}', "explain.precision is 0.0, must be", id="precision"),
        pytest.param(b'{"rows": [{}], "explain": {"scale": "Odds"}}', "Odds", id="scale"),
        pytest.param(b"[" * 100_000, "the body is not JSON", id="deep"),
    ],
)
def test_other_bodies_are_refused_with_what_would_be_right(body: bytes, text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_message(body, COLUMNS)
    assert text in str(refused.value)


def test_a_row_may_hold_anything_here() -> None:
    sent: Any = read_message(b'{"tenure": {"deep": [1]}}', COLUMNS).rows[0]["tenure"]
    assert sent == {"deep": [1]}
