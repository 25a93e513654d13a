from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler

from podium_cli.columns import Column, infer_columns, input_spec, json_row, tensors
from podium_cli.nullability import imputed_columns

GONE: Any = None


def one(values: Any, *, imputed: bool = False, floats: Any = "Sample") -> Column:
    return infer_columns(pd.DataFrame({"x": values}), {"x"} if imputed else set(), floats)[0]


@pytest.mark.parametrize(
    ("values", "datatype", "nullable"),
    [
        pytest.param([1.5, 2.0], "FP64", False, id="floats"),
        pytest.param([1.5, np.nan], "FP64", True, id="floats-with-missing"),
        pytest.param(np.array([1.5], dtype=np.float32), "FP32", False, id="float32-stays"),
        pytest.param([1, 2], "INT64", False, id="integers"),
        pytest.param(pd.array([1, GONE], dtype="Int64"), "FP64", True, id="nullable-integers"),
        pytest.param([True, False], "BOOL", False, id="booleans"),
        pytest.param(pd.Series([True, GONE], dtype=object), "FP64", True, id="booleans-with-missing"),
        pytest.param(pd.array([True, GONE], dtype="boolean"), "FP64", True, id="nullable-booleans"),
        pytest.param(["a", "b"], "BYTES", False, id="strings"),
        pytest.param(["a", GONE], "BYTES", True, id="strings-with-missing"),
        pytest.param(pd.Series(["a", np.nan], dtype=object), "BYTES", True, id="objects"),
        pytest.param(["a", ""], "BYTES", False, id="empty-strings-alone"),
        pytest.param(pd.Categorical(["a", GONE]), "BYTES", True, id="categories-of-strings"),
        pytest.param(pd.Categorical([1, 2]), "INT64", False, id="categories-of-integers"),
    ],
)
def test_the_wire_type_follows_the_sample(values: Any, datatype: str, nullable: bool) -> None:
    assert one(values) == Column("x", datatype, nullable)  # type: ignore[arg-type]  # the table's strings are datatypes


def test_an_imputed_integer_travels_as_a_float_so_that_it_can_be_missing() -> None:
    assert one([1, 2], imputed=True) == Column("x", "FP64", True)
    assert one([1, 2], imputed=True, floats="FP32") == Column("x", "FP32", True)


def test_missing_is_nan_in_floats_and_empty_in_strings() -> None:
    frame = pd.DataFrame({"n": [1.0, np.nan], "t": ["a", GONE], "b": [True, False]})
    columns = infer_columns(frame, set(), "Sample")
    sent = tensors(frame, columns)
    assert sent["n"].shape == (2, 1)
    assert np.isnan(sent["n"][1, 0])
    assert sent["t"][:, 0].tolist() == ["a", ""]
    assert sent["b"].dtype == bool
    assert json_row(frame, 1, columns) == {"n": None, "t": None, "b": False}
    assert json_row(frame, 0, columns) == {"n": 1.0, "t": "a", "b": True}


def test_an_input_tells_what_training_saw_of_it() -> None:
    numbers = input_spec(pd.Series([3.0, np.nan, 1.0, 2.0]), Column("x", "FP64", True))
    assert (numbers.minimum, numbers.maximum, numbers.example, numbers.nullable) == (1.0, 3.0, 2.0, True)
    texts = input_spec(pd.Series(["b", "a", "b", GONE]), Column("x", "BYTES", True))
    assert (texts.categories, texts.example) == (["a", "b"], "b")


def test_identifiers_are_no_categories() -> None:
    assert input_spec(pd.Series([f"customer-{i}" for i in range(100)]), Column("x", "BYTES", False)).categories is None


@pytest.mark.parametrize(
    ("step", "imputed"),
    [
        pytest.param(make_pipeline(SimpleImputer(), StandardScaler()), {"a", "b", "c"}, id="first-step"),
        pytest.param(make_pipeline(StandardScaler(), SimpleImputer()), set(), id="too-late"),
        pytest.param(ColumnTransformer([("i", SimpleImputer(), ["a"])], remainder="passthrough"), {"a"}, id="by-name"),
        pytest.param(ColumnTransformer([("i", SimpleImputer(), [0, 2])]), {"a", "c"}, id="by-number"),
        pytest.param(ColumnTransformer([("i", SimpleImputer(), slice(1, 3))]), {"b", "c"}, id="by-slice"),
        pytest.param(ColumnTransformer([("i", SimpleImputer(), slice("a", "b"))]), {"a", "b"}, id="by-slice-of-names"),
        pytest.param(ColumnTransformer([("i", SimpleImputer(), [True, False, True])]), {"a", "c"}, id="by-mask"),
        pytest.param(
            ColumnTransformer([("i", SimpleImputer(), ["a"]), ("s", StandardScaler(), ["a", "b"])]),
            set(),
            id="also-used-bare",
        ),
        pytest.param(FeatureUnion([("i", SimpleImputer()), ("s", StandardScaler())]), set(), id="union"),
    ],
)
def test_imputed_columns_are_those_that_an_imputer_takes_first(step: Any, imputed: set[str]) -> None:
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0], "c": [5.0, 6.0]})
    assert imputed_columns(step.fit(frame), list(frame.columns)) == imputed
