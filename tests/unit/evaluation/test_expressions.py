"""Expressions over a decision's columns: what they say, what they compute, and what is told of those that are none."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium_evaluation.expressions import Expression, ExpressionError, parse
from podium_evaluation.expressions_syntax import FUNCTIONS, MAX_DEPTH, MAX_LENGTH, PLAIN_COLUMNS, TABLES

MISSING = math.nan
COLUMNS: dict[str, Any] = {
    "label": np.array([1.0, 0.0, MISSING, 1.0]),
    "output.label": np.array([1, 1, 0, 0]),
    "output.probabilities[1]": np.array([0.9, 0.6, 0.2, 0.4]),
    "output.probabilities[yes]": np.array([0.9, 0.6, 0.2, 0.4]),
    "score": np.array([0.9, 0.6, 0.2, 0.4]),
    "input.plan": np.array(["gold", "basic", None, "gold's"], dtype=object),
    "input.Total Charges": np.array([100, 200, 300, 400]),
    "input.mixed": np.array(["7", 7, True, None], dtype=object),
    "outcome.paid": np.array([10.0, MISSING, 0.0, -5.0]),
}


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("2 + 3 * 4", [14] * 4),
        ("(2 + 3) * -4", [-20] * 4),
        ("8 / 4 / 2 - 1 - 1", [-1] * 4),
        ("1 / 0", [MISSING] * 4),
        ("1e308 * 10", [MISSING] * 4),
        ("if(label = output.label, 100, -20)", [100, -20, MISSING, -20]),
        ("output.probabilities[1] + output.probabilities['yes']", [1.8, 1.2, 0.4, 0.8]),
        ('input."Total Charges" / 100', [1, 2, 3, 4]),
        ("input.plan = 'gold'", [1, 0, MISSING, 0]),
        ("input.plan != 'gold'", [0, 1, MISSING, 1]),
        ("input.plan in ('gold', 'gold''s')", [1, 0, MISSING, 1]),
        ("input.plan not in ('gold', 'gold''s')", [0, 1, MISSING, 0]),
        ("label in (1, -2)", [1, 0, MISSING, 1]),
        ("input.mixed = 7", [1, 1, 0, MISSING]),
        ("input.mixed = '7'", [1, 1, 0, MISSING]),
        ("input.mixed = true", [0, 0, 1, MISSING]),
        ("input.mixed + 0", [MISSING, 7, 1, MISSING]),
        ("input.plan + 1", [MISSING] * 4),
        ("if(missing(outcome.paid), 0, outcome.paid)", [10, 0, 0, -5]),
        ("missing(input.plan)", [0, 0, 1, 0]),
        ("outcome.never_told", [MISSING] * 4),
        ("missing(outcome.never_told)", [1] * 4),
        ("label = 0 and missing(outcome.paid)", [0, 1, 0, 0]),
        ("false and label = 1", [0] * 4),
        ("true or label = 1", [1] * 4),
        ("not label = 1", [0, 1, MISSING, 0]),
        ("not not score > 0.5", [1, 1, 0, 0]),
        ("score >= 0.6 and score < 0.9 or label = 7", [0, 1, MISSING, 0]),
        ("min(score, 0.5, label)", [0.5, 0, MISSING, 0.4]),
        ("max(score, label)", [1, 0.6, MISSING, 1]),
        ("abs(outcome.paid)", [10, MISSING, 0, 5]),
        ("round(score * 10 / 4)", [2, 2, 0, 1]),
        ("if(score > 0.5, if(label = 1, 1, 2), 3)", [1, 2, 3, 3]),
        ("if(score > 0.5, outcome.paid, 0)", [10, MISSING, 0, 0]),
        ("--score", [0.9, 0.6, 0.2, 0.4]),
    ],
)
def test_an_expression_says_what_it_reads_as(text: str, values: list[float]) -> None:
    assert parse(text).evaluate(COLUMNS) == pytest.approx(values, nan_ok=True)


@pytest.mark.parametrize(
    ("text", "position", "says"),
    [
        ("", 1, "must be a number, a column, a function or '(', not the end"),
        ("1 +", 4, "not the end"),
        ("(1 + 2", 7, "there must be ')' for the '(' at character 1"),
        ("1 2", 3, "there must be an operator"),
        ("foo + 1", 1, "foo is no column and no function; there are score, prediction, label, latency, input.<name>"),
        ("1 + Label", 5, "Label is written label here"),
        ("IF(label, 1, 2)", 1, "IF is written if here"),
        ("label == 1", 7, "== has no meaning here; write ="),
        ("label && 1", 7, "write and"),
        ("!label", 1, "write not"),
        ("2 ** 3", 4, "must be a number"),
        ("label % 2", 7, "'%' has no meaning here"),
        ("'gold", 1, "what begins here with ' has no end"),
        ('input."x', 7, 'what begins here with " has no end'),
        ("input", 6, "there must be '.' and a name after input, as in input.amount"),
        ("input.'x'", 7, "there must be a name after input."),
        ("output.p[1.5]", 10, "an index is a whole number"),
        ("output.p[-1]", 10, "an index is a whole number"),
        ("output.p[1", 11, "there must be ']'"),
        ("if(label, 1)", 1, "if takes 3 arguments, not 2"),
        ("min(1)", 1, "min takes 2 to 10 arguments, not 1"),
        ("abs 3", 5, "there must be '(' after abs"),
        ("0 < score < 1", 11, "comparisons make no chain; write a < b and b < c"),
        ("label in (1)  = 1", 15, "comparisons make no chain"),
        ("label in 1", 10, "there must be '(' after 'in'"),
        ("label in (score)", 11, "the values of 'in' are numbers or 'texts', not score"),
        ("'gold'", 1, "the text 'gold' has no value"),
        ("1 + 'gold'", 5, "the text 'gold' has no value"),
        ("'gold' < input.plan", 1, "the text 'gold' has no value"),
        ("if('gold', 1, 2)", 4, "the text 'gold' has no value"),
        ("1 + not label", 5, "parentheses around"),
        ("1e999", 1, "too large a number"),
        ("__import__('os')", 1, "__import__ is no column and no function"),
        ("label; drop table", 6, "';' has no meaning here"),
        ("1" + "+1" * 600, MAX_LENGTH + 1, "at most 1024 characters"),
        ("(" * 100 + "1" + ")" * 100, MAX_DEPTH + 1, "lie more than 60 deep"),
    ],
)
def test_what_is_no_expression_is_told_where_and_what_would_be_right(text: str, position: int, says: str) -> None:
    with pytest.raises(ExpressionError) as error:
        parse(text)
    assert error.value.position == position
    assert says in error.value.problem
    assert str(error.value).startswith(f"at character {position}: ")


def test_an_expression_tells_the_columns_that_it_reads() -> None:
    expression = parse("if(input.\"Total Charges\" > 5 and label = 'a', output.probabilities['yes'], outcome.paid) * score")
    assert expression.columns == {"input.Total Charges", "label", "output.probabilities[yes]", "outcome.paid", "score"}


def test_no_rows_have_no_values_and_uneven_columns_are_refused() -> None:
    assert parse("1").evaluate({}).shape == (0,)
    with pytest.raises(ValueError, match=r"columns have \[1, 2\] rows"):
        parse("1").evaluate({"score": np.zeros(1), "label": np.zeros(2)})


def test_a_long_sum_is_no_deep_one() -> None:
    assert parse("1" + "+1" * 500).evaluate({"score": np.zeros(1)}).tolist() == [501]


KEYWORDS = ["and", "or", "not", "in", "true", "1", "2.5", "'a'", *"+-*/()=<>,[].\"' ", "!=", "<=", "output.p[1]"]
words = st.sampled_from([*FUNCTIONS, *PLAIN_COLUMNS, *(f"{table}.x" for table in TABLES), *KEYWORDS])


def parsed(text: str) -> Expression | ExpressionError:
    try:
        return parse(text)
    except ExpressionError as error:
        return error


@given(st.one_of(st.text(max_size=60), st.lists(words, max_size=25).map(" ".join)))
def test_whatever_is_written_is_an_expression_or_refused_as_one(text: str) -> None:
    expression = parsed(text)
    if isinstance(expression, ExpressionError):
        assert 1 <= expression.position <= len(text) + 1
        return
    columns = {name: np.array(["a", None, 1.0, "2.5"], dtype=object) for name in expression.columns}
    value = expression.evaluate({"score": np.array([0.1, 0.2, MISSING, 1.0]), **columns})
    assert value.shape == (4,)
    assert not np.isinf(value).any()


numbers = st.floats(-1e6, 1e6).map(lambda value: round(value, 3))
arithmetic = st.recursive(
    numbers.map(lambda value: f"({value!r})" if value < 0 else f"{value:f}") | st.just("score"),
    lambda inner: (
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/"]), inner).map(" ".join)
        | inner.map(lambda text: f"({text})")
        | inner.map(lambda text: f"abs({text})")
    ),
    max_leaves=12,
)


@given(arithmetic, numbers)
def test_arithmetic_is_that_of_python(text: str, score: float) -> None:
    try:
        expected = eval(text, {"__builtins__": {}}, {"score": score, "abs": abs})
    except ZeroDivisionError:
        expected = MISSING
    value = parse(text).evaluate({"score": np.array([score])})[0]
    if math.isfinite(expected):
        assert value == expected
    else:
        assert math.isnan(value)


@given(st.lists(st.sampled_from([0.0, 1.0, MISSING]), min_size=2, max_size=2))
def test_and_and_or_are_each_others_opposite(truths: list[float]) -> None:
    columns = {"score": np.array(truths[:1]), "label": np.array(truths[1:])}

    def value(expression: Expression) -> float:
        return float(expression.evaluate(columns)[0])

    assert value(parse("not (score and label)")) == pytest.approx(value(parse("not score or not label")), nan_ok=True)
