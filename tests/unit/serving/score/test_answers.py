"""What goes back: one object per row, numbers as the protocol writes them, reasons that add up."""

import json
from typing import Any

import numpy as np
import pytest

from podium_crds.package import Descriptor
from podium_serving.exchange import Answer
from podium_serving.explain.estimate import Contributions, Stopped
from podium_serving.explain.explainer import Explanation
from podium_serving.explain.quantity import Options, Quantity
from podium_serving.oip.writing import data_json
from podium_serving.score.answers import predictions, reasons, written

LABEL = {"name": "label", "datatype": "BYTES", "shape": [-1], "kind": "Label"}
CODE = {"name": "code", "datatype": "INT64", "shape": [-1, 1], "kind": "Label"}
CHANCES = {"name": "p", "datatype": "FP32", "shape": [-1, 2], "kind": "Probabilities", "classes": ["no", "yes"]}
NAMELESS = {"name": "p", "datatype": "FP32", "shape": [-1, 2], "kind": "Probabilities"}
VALUE = {"name": "y", "datatype": "FP64", "shape": [-1, 1], "kind": "Value"}
VALUES = {"name": "y", "datatype": "FP64", "shape": [-1, 2], "kind": "Value"}
RAW = {"name": "raw", "datatype": "FP32", "shape": [-1, 2, 1]}


def descriptor(*outputs: dict[str, Any]) -> Descriptor:
    inputs = [{"name": "x", "datatype": "FP32", "shape": [-1, 1]}]
    return Descriptor.model_validate({"name": "m", "version": "1", "inputs": inputs, "outputs": outputs})


@pytest.mark.parametrize(
    ("output", "column", "rows"),
    [
        pytest.param(LABEL, np.array(["no", "yes"], object), [{"label": "no"}, {"label": "yes"}], id="label"),
        pytest.param(CODE, np.array([[7]]), [{"label": 7}], id="label-of-shape-n-1"),
        pytest.param(
            CHANCES, np.array([[0.25, 0.75]], np.float32), [{"probabilities": {"no": 0.25, "yes": 0.75}}], id="chances"
        ),
        pytest.param(
            NAMELESS, np.array([[0.25, 0.75]], np.float32), [{"probabilities": [0.25, 0.75]}], id="nameless-classes"
        ),
        pytest.param(VALUE, np.array([[1.5], [np.nan]]), [{"prediction": 1.5}, {"prediction": None}], id="value"),
        pytest.param(VALUES, np.array([[1.5, 2.0]]), [{"prediction": [1.5, 2.0]}], id="values"),
        pytest.param(RAW, np.array([[[1], [2]]], np.float32), [{"outputs": {"raw": [[1], [2]]}}], id="raw"),
    ],
)
def test_outputs_are_told_by_what_they_are(output: dict[str, Any], column: Any, rows: list[Any]) -> None:
    assert predictions(descriptor(output), {output["name"]: column}) == rows


def test_only_the_first_output_of_a_kind_has_the_kinds_own_key() -> None:
    columns = {"label": np.array(["no"], object), "code": np.array([[7]]), "raw": np.array([[[1], [2]]], np.float32)}
    found = predictions(descriptor(LABEL, CODE, RAW), columns)
    assert found == [{"label": "no", "outputs": {"code": 7, "raw": [[1], [2]]}}]


def test_numbers_have_the_decimals_of_the_protocols_answers() -> None:
    column = np.random.default_rng(0).random((500, 2)).astype(np.float32)
    answer = Answer("churn-1", "sha256:0", 1, columns={"p": column})
    body = written(descriptor(CHANCES), "churn", "r", answer, [[]] * 500, None, single=False)
    told = [value for row in json.loads(body)["predictions"] for value in row["probabilities"].values()]
    assert told == json.loads(data_json(column))


def test_one_row_is_answered_by_itself_and_several_in_a_list() -> None:
    answer = Answer("churn-1", "sha256:0", 1, columns={"y": np.array([[1.0]])})
    one = json.loads(written(descriptor(VALUE), "churn", "r", answer, [["w"]], None, single=True))
    assert one == {"prediction": 1.0, "warnings": ["w"], "model": "churn", "version": "churn-1", "request_id": "r"}
    several = json.loads(written(descriptor(VALUE), "churn", "r", answer, [["w"]], None, single=False))
    assert several == {
        "predictions": [{"prediction": 1.0, "warnings": ["w"]}],
        "model": "churn",
        "version": "churn-1",
        "request_id": "r",
    }


def test_reasons_list_the_largest_and_sum_the_others() -> None:
    values = np.array([0.1, -0.4, 0.02, 0.3])
    found = Contributions(values, np.array([0.0, 0.01, 0.02, 0.0]), 0.5, 700, Stopped.BOUND_MET)
    explanation = Explanation(Quantity("yes", "p", 1, "Probability"), 0.52, list("abcd"), [1, "x", None, True], found, 90)
    assert reasons(explanation, Options(top=2)) == {
        "target": "yes",
        "scale": "Probability",
        "prediction": 0.52,
        "baseline": 0.5,
        "contributions": [
            {"column": "b", "value": "x", "contribution": -0.4, "bound": 0.01},
            {"column": "d", "value": True, "contribution": 0.3, "bound": 0.0},
        ],
        "others": pytest.approx(0.12),
        "bound": 0.02,
        "confidence": 0.95,
        "stopped": "BoundMet",
        "rows_asked": 700,
        "background_rows": 90,
    }
