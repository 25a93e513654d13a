"""Each encoder alone, its ONNX against its own transform, on values that training saw and on values that it did not."""

from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import pytest
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import DoubleTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

from podium_cli.convert import OPSET
from podium_cli.converters import converters

TRAINED = pd.DataFrame(
    {
        "text": ["b", "a", None, "c", "a", "rare"],
        "mark": ["x", "y", "x", "y", "x", "x"],
        "number": [3.0, 1.5, np.nan, 3.0, 1.5, 1.5],
        "whole": [1, 2, 3, 1, 2, 3],
        "flag": [True, False, True, True, False, False],
    }
)
ASKED = pd.concat(
    [
        TRAINED,
        pd.DataFrame(
            {"text": ["new", "b"], "mark": ["y", "x"], "number": [7.0, 3.0], "whole": [9, 1], "flag": [True, False]}
        ),
    ],
    ignore_index=True,
)


def answers(transformer: Any, columns: list[str]) -> tuple[Any, Any]:
    """(library, ONNX) for ASKED, the transformer fitted on TRAINED."""
    whole = ColumnTransformer([("step", transformer, columns)]).fit(TRAINED)
    functions, shapes = converters()
    text = {"text", "mark"}
    types = [(name, (StringTensorType if name in text else DoubleTensorType)([None, 1])) for name in TRAINED]
    model = convert_sklearn(
        whole,
        name="step",
        initial_types=types,
        target_opset=OPSET,
        custom_conversion_functions=functions,
        custom_shape_calculators=shapes,
    )
    session = onnxruntime.InferenceSession(model.SerializeToString())
    used = {value.name for value in session.get_inputs()}
    inputs = {
        name: ASKED[name].fillna("").to_numpy(dtype=object).reshape(-1, 1)
        if name in text
        else ASKED[name].to_numpy(dtype=float).reshape(-1, 1)
        for name in TRAINED
        if name in used
    }
    library = whole.transform(ASKED)
    return library.toarray() if hasattr(library, "toarray") else library, session.run(None, inputs)[0]


@pytest.mark.filterwarnings("ignore:Found unknown categories")
@pytest.mark.parametrize(
    "columns", [["text"], ["number"], ["whole"], ["flag"], ["text", "number", "whole", "flag", "mark"]], ids=str
)
@pytest.mark.parametrize(
    "encoder",
    [
        OneHotEncoder(handle_unknown="ignore"),
        OneHotEncoder(handle_unknown="ignore", sparse_output=False, drop="first"),
        OneHotEncoder(handle_unknown="ignore", drop="if_binary"),
        OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=2),
        OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=2),
        OneHotEncoder(handle_unknown="warn"),
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan, encoded_missing_value=-5),
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, min_frequency=2),
    ],
    ids=str,
)
def test_an_encoder_answers_like_the_library(encoder: Any, columns: list[str]) -> None:
    library, onnx = answers(encoder, columns)
    np.testing.assert_array_equal(library.astype(float), onnx)


@pytest.mark.parametrize(
    ("imputer", "columns"),
    [
        (SimpleImputer(), ["number", "whole"]),
        (SimpleImputer(strategy="median", add_indicator=True), ["number", "whole"]),
        (SimpleImputer(strategy="most_frequent"), ["text", "mark"]),
        (SimpleImputer(strategy="constant", fill_value="none"), ["text"]),
        (SimpleImputer(strategy="constant", fill_value=-1.0), ["number"]),
        (SimpleImputer(missing_values=3, strategy="constant", fill_value=0), ["whole"]),
    ],
    ids=str,
)
def test_an_imputer_answers_like_the_library(imputer: Any, columns: list[str]) -> None:
    library, onnx = answers(imputer, columns)
    assert onnx.tolist() == library.tolist()


@pytest.mark.filterwarnings("ignore:Found unknown categories")
def test_many_categories_take_little_room() -> None:
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"text": [f"city {i}" for i in random.permutation(1500)]})
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(frame)
    functions, shapes = converters()
    model = convert_sklearn(
        encoder,
        name="step",
        initial_types=[("text", StringTensorType([None, 1]))],
        target_opset=OPSET,
        custom_conversion_functions=functions,
        custom_shape_calculators=shapes,
    ).SerializeToString()
    assert len(model) < 100_000
    asked = np.array([["city 7"], ["city 1499"], ["nowhere"]], dtype=object)
    got = onnxruntime.InferenceSession(model).run(None, {"text": asked})[0]
    np.testing.assert_array_equal(got, encoder.transform(pd.DataFrame({"text": asked[:, 0]})))


def test_an_encoder_that_raises_on_unseen_values_gives_zeros_instead() -> None:
    functions, _ = converters()
    assert OneHotEncoder in functions
    from podium_cli.encoders import encoded_features

    features = encoded_features(OneHotEncoder(handle_unknown="error").fit(TRAINED[["mark"]]))
    assert features[0].keys == ["x", "y"]
    assert features[0].table.tolist() == [[1, 0], [0, 1], [0, 0]]
