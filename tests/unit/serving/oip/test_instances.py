"""Rows of the first protocol: lists or named values in, a prediction per row out."""

import json
from typing import Any

import numpy as np
import pytest

from podium_crds.package import Descriptor
from podium_serving.exchange import InvalidRequest
from podium_serving.oip.codec import Codec
from podium_serving.oip.instances import read_instances, written_predictions


def schemas(*inputs: tuple[str, str, list[int]]) -> Any:
    return Codec(
        Descriptor.model_validate(
            {
                "name": "churn",
                "version": "1",
                "inputs": [{"name": name, "datatype": datatype, "shape": shape} for name, datatype, shape in inputs],
                "outputs": [{"name": "score", "datatype": "FP32", "shape": [-1, 1]}],
            }
        )
    ).inputs


AGE_AND_PLAN = schemas(("age", "FP32", [-1, 1]), ("plan", "BYTES", [-1]))
WIDE = schemas(("x", "FP32", [-1, 3]))
ANY = schemas(("x", "INT64", [-1, -1, 2]))


@pytest.mark.parametrize(
    ("takes", "instances", "columns"),
    [
        pytest.param(WIDE, [[1, 2, 3], [4, 5, 6]], {"x": [[1, 2, 3], [4, 5, 6]]}, id="lists"),
        pytest.param(WIDE, [{"x": [1, 2, 3]}], {"x": [[1, 2, 3]]}, id="named"),
        pytest.param(
            AGE_AND_PLAN,
            [{"age": 31, "plan": "a"}, {"plan": "b", "age": 2.5}],
            {"age": [[31], [2.5]], "plan": ["a", "b"]},
            id="named-values-in-any-order",
        ),
        pytest.param(AGE_AND_PLAN, [{"age": [31], "plan": "a"}], {"age": [[31]], "plan": ["a"]}, id="named-as-shaped"),
        pytest.param(AGE_AND_PLAN, [[31, "a"], [2, "b"]], {"age": [[31], [2]], "plan": ["a", "b"]}, id="by-position"),
        pytest.param(ANY, [[[1, 2], [3, 4]]], {"x": [[[1, 2], [3, 4]]]}, id="sizes-of-the-row"),
    ],
)
def test_rows_become_columns(takes: Any, instances: list[Any], columns: dict[str, Any]) -> None:
    got, rows, request_id = read_instances(takes, json.dumps({"instances": instances, "id": "r"}).encode())
    assert {name: array.tolist() for name, array in got.items()} == columns
    assert (rows, request_id) == (len(instances), "r")


@pytest.mark.parametrize(
    ("takes", "body", "text"),
    [
        pytest.param(WIDE, {"instances": []}, "instances is empty: a request holds at least one row", id="empty"),
        pytest.param(WIDE, {"inputs": []}, "unknown field `inputs`", id="other-field"),
        pytest.param(WIDE, [], "is not a prediction request", id="no-object"),
        pytest.param(
            WIDE, {"instances": [[1, 2, 3], [4, 5]]}, "input 'x': data[1] has 2 values, but shape [2, 3] says 3", id="ragged"
        ),
        pytest.param(
            WIDE, {"instances": [{"y": 1}]}, "instances[0]: the model has no input 'y'; it takes 'x'", id="unknown"
        ),
        pytest.param(AGE_AND_PLAN, {"instances": [{"age": 1}]}, "instances[0]: input 'plan' is missing", id="missing"),
        pytest.param(AGE_AND_PLAN, {"instances": [[1]]}, "instances[0] is a list of 1; a row is a list of 2", id="short"),
        pytest.param(AGE_AND_PLAN, {"instances": [3]}, "instances[0] is int; a row is a list of 2", id="no-list"),
        pytest.param(
            AGE_AND_PLAN, {"instances": [{"age": 1, "plan": "a"}, [1, "a"]]}, "instances[1] is no object", id="mixed"
        ),
        pytest.param(AGE_AND_PLAN, {"instances": [["1", "a"]]}, "input 'age': value 0 is \"1\", must be", id="type"),
        pytest.param(ANY, {"instances": [7]}, "input 'x'", id="no-row-at-all"),
        pytest.param(ANY, {"instances": [[]]}, "input 'x'", id="row-of-nothing"),
        pytest.param(ANY, {"instances": [[[1, 2]], [[1, 2], [3, 4]]]}, "input 'x': data[1] has 2 values", id="sizes-differ"),
    ],
)
def test_rows_that_do_not_fit_are_named(takes: Any, body: Any, text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_instances(takes, json.dumps(body).encode())
    assert text in str(refused.value)


def test_predictions_are_values_of_one_output_or_objects_of_several() -> None:
    label = np.array(["yes", "no"], object)
    shares = np.array([[0.1, 0.9], [1, np.nan]], np.float32)
    deep = np.arange(4, dtype=np.float32).reshape(2, 1, 2)
    assert json.loads(written_predictions({"label": label}, ["label"])) == {"predictions": ["yes", "no"]}
    assert json.loads(written_predictions({"p": shares}, ["p"])) == {"predictions": [[0.1, 0.9], [1.0, None]]}
    assert json.loads(written_predictions({"d": deep}, ["d"])) == {"predictions": [[[0, 1]], [[2, 3]]]}
    assert json.loads(written_predictions({"p": shares, "label": label, "unwanted": deep}, ["label", "p"])) == {
        "predictions": [{"label": "yes", "p": [0.1, 0.9]}, {"label": "no", "p": [1.0, None]}]
    }
