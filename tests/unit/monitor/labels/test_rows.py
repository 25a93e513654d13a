"""Labels become rows of the lake."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from podium_monitor.credentials import Source
from podium_monitor.labels.given import Given, InvalidLabels
from podium_monitor.labels.rows import Posted, rows_of_labels

NOW = datetime(2026, 11, 21, 13, 59, 59, 999_999, tzinfo=UTC)
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
SOURCE = Source("shop", "churn", "uid-1")


def posted(received_at: datetime = NOW, **changes: Any) -> Posted:
    return Posted(**{"source": SOURCE, "labelled_by": "me", "received_at": received_at, "stored_key": str, **changes})


def ids(*given: Given, received_at: datetime = NOW) -> list[str]:
    return rows_of_labels(given, posted(received_at)).event_ids


def test_a_row_has_what_was_given_and_when_and_by_whom() -> None:
    rows = rows_of_labels([Given("a", 1.0, {"b": 2.50, "a": True, "gone": None}, AT), Given(7.0, None)], posted())
    assert rows.columns["join_key"] == ["a", "7"]
    assert rows.columns["label"] == ["1", "null"]
    assert rows.columns["outcomes"] == ['{"a":true,"b":2.5}', "{}"]
    assert rows.columns["time"] == [AT, NOW + timedelta(microseconds=1)]
    assert rows.columns["received_at"] == [NOW, NOW + timedelta(microseconds=1)]
    assert rows.columns["deployment_uid"] == ["uid-1", "uid-1"]
    assert rows.columns["labelled_by"] == ["me", "me"]
    assert rows.place.folder == "labels/namespace=shop/deployment=churn/date=2026-11-21/hour=13"


def test_keys_are_stored_as_predictions_have_them() -> None:
    rows = rows_of_labels([Given(7, 1)], posted(stored_key=lambda text: f"<{text}>"))
    assert rows.columns["join_key"] == ["<7>"]


def test_the_same_said_again_has_the_same_id() -> None:
    later = NOW + timedelta(days=1)
    for one in (Given("a", 1, {}, AT), Given("a", 1, {"x": 1}, None, "order-1")):
        assert ids(one) == ids(one, received_at=later)
    assert ids(Given("a", 1, {}, AT)) == ids(Given("a", 1.0, {}, AT.astimezone()))


def test_whatever_differs_has_another_id() -> None:
    different = [
        Given("a", 1, {}, AT),
        Given("b", 1, {}, AT),
        Given("a", 2, {}, AT),
        Given("a", "1", {}, AT),
        Given("a", True, {}, AT),
        Given("a", None, {}, AT),
        Given("a", 1, {"x": 1}, AT),
        Given("a", 1, {}, AT + timedelta(microseconds=1)),
        Given("a", 1, {}, AT, "order-1"),
        Given("a", 2, {}, AT, "order-1"),
        Given("a", 1),
        Given("a", 1),
    ]
    assert len(set(ids(*different))) == len(different)
    assert ids(Given("a", 1, {}, AT, "order-1"))[0].startswith("order-1/")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (Given("", 1), "join_key has 0 characters"),
        (Given("x" * 1025, 1), "join_key has 1025 characters"),
        (Given(1.5, 1), "join_key is 1.5, must be a text or a whole number"),
        (Given(math.nan, 1), "join_key is nan"),
        (Given(2.0**53, 1), "as a floating-point number is not exact; send it as a text"),
        (Given("a", math.nan), "label is nan, must be finite"),
        (Given("a", 1, {"x": math.inf}), "outcome 'x' is inf"),
        (Given("a", "x" * 1025), "label has 1025 characters"),
        (Given("a", 2**70), "more than 64 bits"),
        (Given("a", 1, {str(i): 1 for i in range(51)}), "51 outcomes, may be 50"),
        (Given("a", 1, {"": 1}), "an outcome's name has 0 characters"),
        (Given("a", 1, {}, datetime(2026, 3, 1)), "must have an offset"),  # noqa: DTZ001
        (Given("a", 1, {}, NOW + timedelta(hours=2)), "must be between 1970 and now"),
        (Given("a", 1, {}, datetime(1969, 1, 1, tzinfo=UTC)), "must be between 1970 and now"),
        (Given("a", 1, {}, None, ""), "id has 0 characters"),
        (Given("a", 1, {}, None, None, "bank"), "namespace is 'bank', the token is of shop/churn"),
        (Given("a", 1, {}, None, None, "shop", "fraud"), "deployment is 'fraud', the token is of shop/churn"),
    ],
)
def test_a_wrong_row_is_named_with_what_would_be_right(given: Given, says: str) -> None:
    with pytest.raises(InvalidLabels) as caught:
        rows_of_labels([Given("fine", 1), given, Given("", 1)], posted())
    assert str(caught.value).startswith("row 2: ")
    assert says in str(caught.value)
    assert (caught.value.row, caught.value.rows) == (2, 3)
