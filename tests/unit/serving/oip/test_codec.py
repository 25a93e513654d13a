"""Strictness of requests as tables, and what goes out and in again as properties."""

import json
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podium_crds.package import Descriptor
from podium_serving.exchange import InvalidRequest
from podium_serving.oip.codec import Codec
from podium_serving.oip.writing import data_json


def descriptor(*inputs: dict[str, Any], outputs: list[dict[str, Any]] | None = None) -> Descriptor:
    return Descriptor.model_validate(
        {
            "name": "churn",
            "version": "1",
            "inputs": list(inputs),
            "outputs": outputs or [{"name": "score", "datatype": "FP32", "shape": [-1, 1]}],
        }
    )


def tensor(name: str, datatype: str, shape: list[int], data: Any) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape, "data": data}


def raw_tensor(name: str, datatype: str, shape: list[int], size: int) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape, "parameters": {"binary_data_size": size}}


def body(*tensors: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"inputs": list(tensors), **more}).encode()


AGE = {"name": "age", "datatype": "FP32", "shape": [-1, 1], "nullable": True}
PLAN = {"name": "plan", "datatype": "BYTES", "shape": [-1, 1], "nullable": True}
CALLS = {"name": "calls", "datatype": "UINT8", "shape": [-1, 1]}
WIDE = {"name": "x", "datatype": "FP32", "shape": [-1, 3]}
CODEC = Codec(descriptor(AGE, PLAN, CALLS))
AGE_OK = tensor("age", "FP32", [1, 1], [31.5])
PLAN_OK = tensor("plan", "BYTES", [1, 1], ["monthly"])
CALLS_OK = tensor("calls", "UINT8", [1, 1], [3])


def test_a_request_becomes_columns_of_the_models_types() -> None:
    decoded = CODEC.decode(body(CALLS_OK, PLAN_OK, AGE_OK, id="r-1", outputs=[{"name": "score"}], parameters={"a": 1}))
    assert decoded.rows == 1
    assert decoded.id == "r-1"
    assert decoded.wanted_outputs == ("score",)
    assert decoded.parameters == {"a": 1}
    assert {name: (str(array.dtype), array.tolist()) for name, array in decoded.columns.items()} == {
        "age": ("float32", [[31.5]]),
        "plan": ("object", [["monthly"]]),
        "calls": ("uint8", [[3]]),
    }


def test_what_clients_write_out_without_meaning_anything_is_passed_over() -> None:
    unset = {"id": None, "parameters": None, "outputs": None, "model_name": "churn", "model_version": None}
    decoded = CODEC.decode(body({**AGE_OK, "parameters": None}, PLAN_OK, CALLS_OK, **unset))
    assert (decoded.id, decoded.wanted_outputs, decoded.parameters) == ("", (), {})


@pytest.mark.parametrize(
    "data",
    [
        pytest.param([1, 2, 3, 4, 5, 6], id="flat"),
        pytest.param([[1, 2, 3], [4, 5, 6]], id="nested"),
        pytest.param([[1.0, 2, 3], [4, 5.0, 6]], id="integers-among-floats"),
    ],
)
def test_data_may_be_flat_or_nested(data: Any) -> None:
    decoded = Codec(descriptor(WIDE)).decode(body(tensor("x", "FP32", [2, 3], data)))
    assert decoded.columns["x"].tolist() == [[1, 2, 3], [4, 5, 6]]


@pytest.mark.parametrize(
    ("change", "fits"),
    [
        pytest.param({}, True, id="as-the-model-has-them"),
        pytest.param({"data": [[3]]}, True, id="nested"),
        pytest.param({"data": [None]}, False, id="null"),
        pytest.param({"data": [3.5]}, False, id="a-fraction"),
        pytest.param({"data": [256]}, False, id="too-large"),
        pytest.param({"data": [1, 2]}, False, id="too-many"),
        pytest.param({"data": []}, False, id="none"),
        pytest.param({"shape": [1]}, False, id="shape"),
        pytest.param({"datatype": "INT8"}, False, id="datatype"),
    ],
)
@pytest.mark.parametrize("others", [[], [AGE_OK], [AGE_OK, PLAN_OK]], ids=["alone", "numbers", "numbers-and-text"])
def test_one_row_in_order_is_read_as_strictly_as_any_other(change: Any, fits: bool, others: list[Any]) -> None:
    codec = Codec(descriptor(*[AGE, PLAN][: len(others)], CALLS))
    tensors = [*others, {**CALLS_OK, **change}]
    for order in (tensors, tensors[::-1]):
        if fits:
            assert codec.decode(body(*order)).columns["calls"].tolist() == [[3]]
        else:
            with pytest.raises(InvalidRequest, match="input 'calls'"):
                codec.decode(body(*order))


def test_null_is_nan_in_floats_and_empty_in_strings() -> None:
    decoded = CODEC.decode(
        body(
            tensor("age", "FP32", [2, 1], [None, 2]),
            tensor("plan", "BYTES", [2, 1], [["a"], [None]]),
            tensor("calls", "UINT8", [2, 1], [0, 255]),
        )
    )
    assert np.isnan(decoded.columns["age"][0, 0])
    assert decoded.columns["age"][1, 0] == 2
    assert decoded.columns["plan"].tolist() == [["a"], [""]]


def test_one_null_among_tensors_of_one_datatype_stays_where_it_was_sent() -> None:
    codec = Codec(descriptor(AGE, {**AGE, "name": "other"}))
    decoded = codec.decode(body(tensor("other", "FP32", [1, 1], [None]), tensor("age", "FP32", [1, 1], [5])))
    assert decoded.columns["age"].tolist() == [[5.0]]
    assert np.isnan(decoded.columns["other"][0, 0])


def test_a_dimension_of_any_size_takes_any_size() -> None:
    codec = Codec(descriptor({"name": "x", "datatype": "INT64", "shape": [-1, -1, 2]}))
    assert codec.decode(body(tensor("x", "INT64", [1, 3, 2], list(range(6))))).columns["x"].shape == (1, 3, 2)
    with pytest.raises(InvalidRequest, match=r"input 'x' has shape \[1, 3, 3\], the model takes \[-1, -1, 2\] INT64"):
        codec.decode(body(tensor("x", "INT64", [1, 3, 3], list(range(9)))))


TAKES_AGE = "the model takes [-1, 1] FP32 (-1: any number)"
TAKES_X = "the model takes [-1, 3] FP32 (-1: any number)"
NESTED = "data is nested as its shape says, or flat in row-major order"
TAKES_CALLS = "the model takes [-1, 1] UINT8 (-1: any number)"


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        pytest.param([AGE_OK, PLAN_OK], f"input 'calls' is missing; {TAKES_CALLS}", id="missing"),
        pytest.param(
            [AGE_OK, PLAN_OK, CALLS_OK, tensor("agee", "FP32", [1, 1], [1])],
            "the model has no input 'agee'; it takes 'age', 'plan', 'calls'",
            id="unknown",
        ),
        pytest.param(
            [AGE_OK, AGE_OK, PLAN_OK, CALLS_OK], "input 'age' is there 2 times, must be there once", id="duplicate"
        ),
        pytest.param(
            [tensor("age", "FP64", [1, 1], [1]), PLAN_OK, CALLS_OK],
            f"input 'age' has datatype FP64, {TAKES_AGE}",
            id="datatype",
        ),
        pytest.param(
            [tensor("age", "FP32", [1], [1]), PLAN_OK, CALLS_OK], f"input 'age' has shape [1], {TAKES_AGE}", id="rank"
        ),
        pytest.param(
            [tensor("age", "FP32", [], [1]), PLAN_OK, CALLS_OK], f"input 'age' has shape [], {TAKES_AGE}", id="scalar"
        ),
        pytest.param(
            [tensor("age", "FP32", [-1, 1], [1]), PLAN_OK, CALLS_OK],
            f"input 'age' has shape [-1, 1], {TAKES_AGE}",
            id="negative-rows",
        ),
        pytest.param(
            [tensor("age", "FP32", [0, 1], []), PLAN_OK, CALLS_OK],
            f"input 'age' has shape [0, 1]: a request holds at least one row; {TAKES_AGE}",
            id="no-rows",
        ),
        pytest.param(
            [AGE_OK, PLAN_OK, tensor("calls", "UINT8", [2, 1], [1, 2])],
            f"input 'calls' has 2 rows (shape [2, 1]) but input 'age' has 1; all have the same number; {TAKES_CALLS}",
            id="rows-differ",
        ),
        pytest.param(
            [tensor("age", "FP32", [1, 1], [1, 2]), PLAN_OK, CALLS_OK],
            f"input 'age' has shape [1, 1], which holds 1 values, but data has 2; {TAKES_AGE}",
            id="too-many-values",
        ),
        pytest.param(
            [AGE_OK, PLAN_OK, tensor("calls", "UINT8", [1, 1], [None])],
            f"input 'calls': value 0 is null, must be an integer of at least 0 (null is taken by nullable inputs only); "
            f"{TAKES_CALLS}",
            id="null-in-integers",
        ),
        pytest.param(
            [AGE_OK, PLAN_OK, tensor("calls", "UINT8", [1, 1], [256])],
            f"input 'calls': value 0 is 256, which does not fit UINT8; {TAKES_CALLS}",
            id="overflow",
        ),
        pytest.param(
            [AGE_OK, PLAN_OK, tensor("calls", "UINT8", [1, 1], [-1])],
            f"input 'calls': value 0 is -1, which does not fit UINT8; {TAKES_CALLS}",
            id="negative",
        ),
        pytest.param(
            [AGE_OK, PLAN_OK, tensor("calls", "UINT8", [1, 1], [1.0])],
            f"input 'calls': value 0 is 1.0, must be an integer of at least 0; {TAKES_CALLS}",
            id="float-for-integer",
        ),
        pytest.param(
            [AGE_OK, PLAN_OK, tensor("calls", "UINT8", [1, 1], [True])],
            f"input 'calls': value 0 is true, must be an integer of at least 0; {TAKES_CALLS}",
            id="bool-for-integer",
        ),
        pytest.param(
            [tensor("age", "FP32", [1, 1], ["31"]), PLAN_OK, CALLS_OK],
            f"input 'age': value 0 is \"31\", must be a number; {TAKES_AGE}",
            id="string-for-number",
        ),
        pytest.param(
            [tensor("age", "FP32", [1, 1], [1e39]), PLAN_OK, CALLS_OK],
            f"input 'age': value 0 is 1e+39, which does not fit FP32; {TAKES_AGE}",
            id="float-overflow",
        ),
        pytest.param(
            [AGE_OK, tensor("plan", "BYTES", [1, 1], [3]), CALLS_OK],
            "input 'plan': value 0 is 3, must be a string; the model takes [-1, 1] BYTES (-1: any number)",
            id="number-for-string",
        ),
    ],
)
def test_a_request_that_does_not_fit_is_told_which_tensor_and_what_fits(tensors: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        CODEC.decode(body(*tensors))
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("shape", "data", "message"),
    [
        pytest.param(
            [2, 3],
            [[1, 2, 3], [4, 5]],
            f"input 'x': data[1] has 2 values, but shape [2, 3] says 3; {NESTED}; {TAKES_X}",
            id="ragged",
        ),
        pytest.param(
            [2, 3],
            [[1, 2, 3]],
            f"input 'x': data has 1 values, but shape [2, 3] says 2; {NESTED}; {TAKES_X}",
            id="too-few-rows",
        ),
        pytest.param(
            [2, 3],
            [[1, 2, 3], 4],
            f"input 'x': data[1] has 4 where a list should be, but shape [2, 3] says 3; {NESTED}; {TAKES_X}",
            id="half-nested",
        ),
        pytest.param(
            [1, 3],
            [[[1], [2], [3]]],
            f"input 'x': value 0 is a list, must be a number (data is nested deeper than its shape); {TAKES_X}",
            id="too-deep",
        ),
        pytest.param([1, 3], [1, 2, None], f"input 'x': value 2 is null, must be a number (null is taken by nullable inputs "
                     f"only); {TAKES_X}", id="null-where-not-nullable"),
    ],
)  # fmt: skip
def test_data_that_is_not_shaped_as_it_says_is_refused_with_the_place(shape: list[int], data: Any, message: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        Codec(descriptor(WIDE)).decode(body(tensor("x", "FP32", shape, data)))
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("content", "part"),
    [
        pytest.param(b"", "the body is empty", id="empty"),
        pytest.param(b"[1, 2", "not an inference request in JSON", id="cut"),
        pytest.param(b'{"inputs": []}', "input 'age' is missing", id="no-inputs"),
        pytest.param(b'{"input": []}', "unknown field `input`", id="misspelt"),
        pytest.param(b'{"inputs": [{"name": "age"}]}', "required field `datatype` - at `$.inputs[0]`", id="no-datatype"),
        pytest.param(b'{"inputs": [{"data": [NaN]}]}', "send null for a missing value", id="nan"),
        pytest.param(b'{"inputs": [{"data": [1e999]}]}', "out of range", id="infinite"),
        pytest.param(b'{"inputs": [{"name": "\xff"}]}', "not UTF-8", id="not-utf-8"),
        pytest.param(b'{"inputs": [{"data": ' + b"[" * 100_000, "not an inference request", id="nested-without-end"),
        pytest.param(
            body(raw_tensor("age", "FP32", [1, 1], 4), PLAN_OK, CALLS_OK),
            "Inference-Header-Content-Length",
            id="binary",
        ),
        pytest.param(
            body(AGE_OK, PLAN_OK, CALLS_OK, outputs=[{"name": "scor"}]), "asks for 'scor'; the model has 'score'", id="out"
        ),
        pytest.param(body(AGE_OK, PLAN_OK, CALLS_OK, id=7), "Expected `str | null`, got `int` - at `$.id`", id="id"),
    ],
)  # fmt: skip
def test_a_body_that_is_no_request_is_told_why(content: bytes, part: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        CODEC.decode(content)
    assert part in str(refused.value)


def test_an_answer_names_model_version_and_id_and_holds_what_was_asked_for() -> None:
    codec = Codec(
        descriptor(
            AGE,
            outputs=[
                {"name": "label", "datatype": "BYTES", "shape": [-1]},
                {"name": "p", "datatype": "FP32", "shape": [-1, 2]},
                {"name": "n", "datatype": "INT64", "shape": [-1]},
            ],
        )
    )
    columns = {"label": np.array(["yes"], object), "p": np.array([[0.1, 0.9]], np.float32), "n": np.array([7])}
    assert json.loads(codec.encode(columns, "churn", 'c"3', "r-1")) == {
        "model_name": "churn",
        "model_version": 'c"3',
        "id": "r-1",
        "outputs": [
            {"name": "label", "datatype": "BYTES", "shape": [1], "data": ["yes"]},
            {"name": "p", "datatype": "FP32", "shape": [1, 2], "data": [0.1, 0.9]},
            {"name": "n", "datatype": "INT64", "shape": [1], "data": [7]},
        ],
    }
    assert b'"id"' not in codec.encode(columns, "churn", "3", "")
    assert [output["name"] for output in json.loads(codec.encode(columns, "churn", "3", "", ("p",)))["outputs"]] == ["p"]


@pytest.mark.parametrize(
    ("array", "text"),
    [
        pytest.param(np.array([0.1, 1e-5, 3.0], np.float32), b"[0.1,0.00001,3.0]", id="shortest-decimals"),
        pytest.param(np.array([np.nan, np.inf, 0.1], np.float32), b"[null,null,0.1]", id="nan-is-null"),
        pytest.param(np.array([np.nan, 0.1]), b"[null,0.1]", id="nan-in-doubles"),
        pytest.param(np.array([True, False]), b"[true,false]", id="bools"),
        pytest.param(np.array([b"a", "ü"], object), '["a","ü"]'.encode(), id="bytes-and-text"),
        pytest.param(np.array([0.1], np.float16), b"[0.1]", id="half"),
    ],
)
def test_values_are_written_as_short_as_they_read_back(array: Any, text: bytes) -> None:
    assert data_json(array) == text


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_a_float32_reads_back_as_the_same_bits(values: list[float]) -> None:
    array = np.array(values, np.float32)
    back = np.array(json.loads(data_json(array)), np.float32)
    assert [struct.pack("f", value) for value in back] == [struct.pack("f", value) for value in array]


_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "BOOL": st.booleans(),
    "UINT8": st.integers(0, 255),
    "INT64": st.integers(-(2**63), 2**63 - 1),
    "FP32": st.floats(width=32, allow_nan=False, allow_infinity=False),
    "FP64": st.floats(allow_nan=False, allow_infinity=False),
    "BYTES": st.text(st.characters(codec="utf-8"), max_size=8),
}


@settings(max_examples=60)
@given(st.data())
def test_whatever_is_sent_arrives_flat_or_nested_in_any_order(data: st.DataObject) -> None:
    rows = data.draw(st.integers(1, 4))
    specs, tensors, wanted = [], [], {}
    for index, datatype in enumerate(data.draw(st.lists(st.sampled_from(sorted(_VALUES)), min_size=1, max_size=5))):
        width = data.draw(st.integers(1, 3))
        values = data.draw(
            st.lists(st.lists(_VALUES[datatype], min_size=width, max_size=width), min_size=rows, max_size=rows)
        )
        flat = [value for row in values for value in row]
        specs.append({"name": f"x{index}", "datatype": datatype, "shape": [-1, width]})
        tensors.append(tensor(f"x{index}", datatype, [rows, width], data.draw(st.sampled_from([values, flat]))))
        wanted[f"x{index}"] = values
    shuffled = data.draw(st.permutations(tensors))
    decoded = Codec(descriptor(*specs)).decode(body(*shuffled))
    assert {name: array.tolist() for name, array in decoded.columns.items()} == wanted


FINITE = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-300, 300) | FINITE | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=8,
)


@given(JSON, st.lists(st.integers(-2, 4), max_size=3), st.sampled_from([[-1, 3], [-1, -1], [-1], [-1, 0], [-1, 1, 1]]))
def test_any_data_and_shape_is_taken_or_refused_with_the_tensors_name(data: Any, shape: list[int], takes: list[int]) -> None:
    content = json.dumps({"inputs": [tensor("x", "FP32", shape, data)]}).encode()
    try:
        decoded = Codec(descriptor({**WIDE, "shape": takes})).decode(content)
    except InvalidRequest as refused:
        text = str(refused)
    else:
        assert decoded.columns["x"].shape == tuple(shape)
        assert np.isfinite(decoded.columns["x"]).all()
        return
    assert any(part in text for part in ("input 'x'", "$.inputs[0]", "out of range"))


def test_an_answer_of_another_pod_is_checked_against_the_schema() -> None:
    codec = Codec(descriptor(AGE))
    good = codec.encode({"score": np.array([[0.5], [np.nan]], np.float32)}, "churn", "3", "r")
    columns = codec.decode_answer(good, 2)
    assert columns["score"][0, 0] == np.float32(0.5)
    assert np.isnan(columns["score"][1, 0])
    with pytest.raises(InvalidRequest, match="the answer has 2 rows, the request has 1"):
        codec.decode_answer(good, 1)
    with pytest.raises(InvalidRequest, match="output 'score' has datatype FP64"):
        codec.decode_answer(good.replace(b"FP32", b"FP64"), 2)
    with pytest.raises(InvalidRequest, match="not a protocol message"):
        codec.decode_answer(b"<html>", 2)
