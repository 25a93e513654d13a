"""Named columns: what fits becomes the model's tensors, what does not is told with what would be right, all at once."""

from typing import Any

import numpy as np
import pytest

from podium_crds.package import Descriptor
from podium_serving.exchange import InvalidRequest
from podium_serving.score.form import Form

CONTRACTS = ["Month-to-month", "One year", "Two year"]
INPUTS: list[dict[str, Any]] = [
    {"name": "tenure", "datatype": "FP64", "shape": [-1, 1], "nullable": True, "minimum": 0, "maximum": 72, "example": 29.0},
    {"name": "visits", "datatype": "INT64", "shape": [-1], "minimum": 1, "maximum": 9, "example": 3},
    {"name": "senior", "datatype": "BOOL", "shape": [-1, 1], "example": False},
    {"name": "contract", "datatype": "BYTES", "shape": [-1, 1], "nullable": True, "categories": CONTRACTS},
]
GOOD = {"tenure": 12, "visits": 2, "senior": True, "contract": "One year"}


def form(*inputs: dict[str, Any]) -> Form:
    outputs = [{"name": "score", "datatype": "FP32", "shape": [-1, 1], "kind": "Value"}]
    made = Descriptor.model_validate({"name": "churn", "version": "1", "inputs": inputs or INPUTS, "outputs": outputs})
    return Form(made)


def test_rows_become_columns_in_the_models_own_types() -> None:
    filled = form().filled([GOOD, {**GOOD, "tenure": None, "contract": "Two year"}], "Warn")
    assert filled.columns["tenure"].dtype == np.float64
    np.testing.assert_array_equal(filled.columns["tenure"], [[12], [np.nan]])
    np.testing.assert_array_equal(filled.columns["visits"], np.array([2, 2]))
    assert filled.columns["visits"].dtype == np.int64
    assert filled.columns["senior"].tolist() == [[True], [True]]
    assert filled.columns["contract"].tolist() == [["One year"], ["Two year"]]
    assert filled.warnings == [[], []]


def test_a_nullable_column_that_is_not_there_is_missing_and_said_so() -> None:
    filled = form().filled([{"visits": 2, "senior": True}, GOOD], "Warn")
    assert np.isnan(filled.columns["tenure"][0, 0])
    assert filled.columns["contract"].tolist() == [[""], ["One year"]]
    assert filled.warnings == [
        ["column 'tenure' is not there: taken as missing", "column 'contract' is not there: taken as missing"],
        [],
    ]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        pytest.param(
            {"visits": "3"},
            "column 'visits' is the text \"3\", must be a whole number such as 3, without quotes",
            id="quoted",
        ),
        pytest.param(
            {"visits": 3.0}, "column 'visits' is 3.0, must be a whole number such as 3, without a decimal point", id="point"
        ),
        pytest.param({"visits": 2.5}, "column 'visits' is 2.5, must be a whole number such as 3", id="fraction"),
        pytest.param({"visits": True}, "column 'visits' is true, must be a whole number such as 3", id="bool-for-number"),
        pytest.param(
            {"visits": None}, "column 'visits' is null and must not be missing; it takes a whole number such as 3", id="null"
        ),
        pytest.param(
            {"visits": 2**63},
            "column 'visits' is 9223372036854775808, which does not fit INT64; it takes a whole number such as 3",
            id="too-large",
        ),
        pytest.param({"senior": 1}, "column 'senior' is 1, must be true or false", id="number-for-bool"),
        pytest.param({"senior": "yes"}, "column 'senior' is the text \"yes\", must be true or false", id="text-for-bool"),
        pytest.param(
            {"tenure": "12"},
            "column 'tenure' is the text \"12\", must be a number such as 29.0, without quotes",
            id="quoted-float",
        ),
        pytest.param({"tenure": [12]}, "column 'tenure' is a list of 1, must be a number such as 29.0", id="list"),
        pytest.param({"tenure": {"a": 1}}, "column 'tenure' is an object, must be a number such as 29.0", id="object"),
        pytest.param(
            {"contract": 2}, "column 'contract' is 2, must be a text such as \"Month-to-month\"", id="number-for-text"
        ),
        pytest.param({"tenur": 3}, "there is no column 'tenur'; did you mean 'tenure'?", id="misspelt"),
        pytest.param({"Visits ": 3}, "there is no column 'Visits '; did you mean 'visits'?", id="case"),
        pytest.param(
            {"zzz": 3}, 'there is no column \'zzz\'; the model takes "contract", "senior", "tenure", "visits"', id="unknown"
        ),
    ],
)
def test_a_value_that_does_not_fit_is_told_with_what_would(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        form().filled([{**GOOD, **changes}], "Warn", numbered=False)
    assert str(refused.value) == text


def test_a_misspelt_column_is_not_reported_as_missing_too() -> None:
    with pytest.raises(InvalidRequest) as refused:
        form().filled([{"tenure": 1, "visit": 3, "senior": True, "contract": None}], "Warn")
    assert str(refused.value) == "row 0: there is no column 'visit'; did you mean 'visits'?"


def test_all_problems_of_all_rows_are_listed_at_once_with_their_rows() -> None:
    with pytest.raises(InvalidRequest) as refused:
        form().filled([GOOD, {"tenure": "1", "senior": True}, {**GOOD, "senior": None}], "Warn")
    assert str(refused.value) == (
        "3 problems: (1) row 1: column 'tenure' is the text \"1\", must be a number such as 29.0, without quotes "
        "(2) row 1: column 'visits' is missing; it takes a whole number such as 3 "
        "(3) row 2: column 'senior' is null and must not be missing; it takes true or false"
    )


def test_at_most_ten_problems_are_listed() -> None:
    with pytest.raises(InvalidRequest) as refused:
        form().filled([{**GOOD, "visits": "x"}] * 5000, "Warn")
    assert str(refused.value).startswith("the first 10 problems: (1) row 0: ")
    assert "(10) row 9: " in str(refused.value)
    assert "(11)" not in str(refused.value)


UNUSUAL = {"tenure": 99, "visits": 0, "senior": True, "contract": "one year"}
SAID = [
    "column 'tenure' is 99.0, training saw 0 to 72",
    "column 'visits' is 0, training saw 1 to 9",
    'column \'contract\' is "one year", training saw "Month-to-month", "One year", "Two year"; did you mean "One year"?',
]


def test_what_training_never_saw_is_warned_of() -> None:
    assert form().filled([GOOD, UNUSUAL], "Warn").warnings == [[], SAID]


def test_what_training_never_saw_is_refused_where_the_deployment_says_so() -> None:
    with pytest.raises(InvalidRequest) as refused:
        form().filled([GOOD, UNUSUAL], "Refuse")
    assert str(refused.value) == "3 problems: " + " ".join(f"({i + 1}) row 1: {text}" for i, text in enumerate(SAID))


def test_what_training_never_saw_is_accepted_where_the_deployment_says_so() -> None:
    assert form().filled([UNUSUAL], "Accept").warnings == [[]]


def test_the_edges_of_the_range_and_missing_values_are_inside() -> None:
    edges: list[dict[str, Any]] = [
        {"tenure": 0, "visits": 1},
        {"tenure": 72, "visits": 9},
        {"tenure": None, "contract": None},
    ]
    rows = [{**GOOD, **changes} for changes in edges]
    assert form().filled(rows, "Refuse").warnings == [[], [], []]


def test_the_range_is_read_in_the_columns_own_precision() -> None:
    spec = {"name": "x", "datatype": "FP32", "shape": [-1, 1], "minimum": 0.3, "maximum": 0.1 + 0.2}
    assert form(spec).filled([{"x": 0.3}], "Refuse").warnings == [[]]


WIDE = {"name": "x", "datatype": "FP32", "shape": [-1, 3], "minimum": 0, "maximum": 10}
FREE = {"name": "x", "datatype": "FP32", "shape": [-1, -1]}


def test_wide_columns_take_lists() -> None:
    filled = form(WIDE).filled([{"x": [1, 2, 3]}, {"x": [4, 5, 11]}], "Warn")
    assert filled.columns["x"].tolist() == [[1, 2, 3], [4, 5, 11]]
    assert filled.warnings == [[], ["column 'x'[2] is 11.0, training saw 0 to 10"]]


@pytest.mark.parametrize("value", [1, [1, 2], [1, 2, "3"], [[1, 2, 3]], None, []])
def test_wide_columns_take_lists_of_their_width_only(value: Any) -> None:
    with pytest.raises(InvalidRequest, match=r"column 'x' is .* a list of 3 numbers"):
        form(WIDE).filled([{"x": value}], "Warn", numbered=False)


def test_columns_of_any_width_are_as_wide_as_the_request_has_them() -> None:
    assert form(FREE).filled([{"x": [1, 2]}, {"x": [3, 4]}], "Warn").columns["x"].tolist() == [[1, 2], [3, 4]]
    with pytest.raises(InvalidRequest, match="row 1: column 'x' has another shape than in row 0"):
        form(FREE).filled([{"x": [1, 2]}, {"x": [3]}], "Warn")


def test_thousands_of_rows_are_filled_alike() -> None:
    rows = [{**GOOD, "tenure": number % 73} for number in range(5000)]
    filled = form().filled(rows, "Warn")
    assert filled.columns["tenure"][:, 0].tolist() == [number % 73 for number in range(5000)]
    assert not any(filled.warnings)


@pytest.mark.parametrize("count", [3, 500])
def test_few_and_many_rows_are_looked_at_alike(count: int) -> None:
    rows: list[dict[str, Any]] = [{**GOOD, "tenure": None if number % 3 else 73 * (number % 2)} for number in range(count)]
    warned = [bool(said) for said in form().filled(rows, "Warn").warnings]
    assert warned == [number % 6 == 3 for number in range(count)]
    wide = [{"x": [0, 10, 11 * (number == count - 1)]} for number in range(count)]
    assert [bool(said) for said in form(WIDE).filled(wide, "Warn").warnings] == [False] * (count - 1) + [True]


def test_rows_that_ask_for_more_values_than_a_body_could_hold_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="are more than 500000 values; send fewer rows at a time"):
        form().filled([{}] * 400_000, "Accept")
