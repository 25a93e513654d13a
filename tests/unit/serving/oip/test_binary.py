"""Binary tensors: what arrives is what was sent, in every datatype; whatever does not add up is refused by name."""

import json
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podium_crds.package import Descriptor
from podium_serving.exchange import Columns, InvalidRequest
from podium_serving.oip.binary import array_of_bytes, bytes_of_array
from podium_serving.oip.codec import Codec
from podium_serving.oip.tensors import NUMPY_TYPES

DATATYPES = sorted(NUMPY_TYPES)


def codec(*inputs: dict[str, Any], outputs: list[dict[str, Any]] | None = None, transform: bool = False) -> Codec:
    return Codec(
        Descriptor.model_validate(
            {
                "name": "churn",
                "version": "1",
                "inputs": list(inputs),
                "outputs": outputs or [output("score", "FP32", 1)],
                "transform": transform,
            }
        )
    )


def spec(name: str, datatype: str, *tail: int, nullable: bool = False) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": [-1, *tail], "nullable": nullable}


def output(name: str, datatype: str, *tail: int) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": [-1, *tail]}


def raw(name: str, datatype: str, shape: list[int], size: Any) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape, "parameters": {"binary_data_size": size}}


def message(inputs: list[dict[str, Any]], tail: bytes, **more: Any) -> tuple[bytes, int]:
    head = json.dumps({"inputs": inputs, **more}).encode()
    return head + tail, len(head)


def elements(*values: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(value)) + value for value in values)


X = codec(spec("x", "FP32", 2))
TWO = np.array([[1.5, -2.0]], "<f4")
TAKES = "the model takes [-1, 2] FP32 (-1: any number)"


def test_bytes_behind_the_json_are_the_tensor() -> None:
    decoded = X.decode(*message([raw("x", "FP32", [1, 2], 8)], TWO.tobytes(), id="r"))
    assert decoded.columns["x"].tolist() == [[1.5, -2.0]]
    assert decoded.columns["x"].dtype == np.float32
    assert (decoded.rows, decoded.id) == (1, "r")


@pytest.mark.parametrize("pad", range(8))
def test_numbers_that_begin_anywhere_are_aligned_when_they_arrive(pad: int) -> None:
    body, length = message([raw("x", "FP32", [1, 2], 8)], b"", id="i" * pad)
    array = X.decode(body + TWO.tobytes(), length).columns["x"]
    assert array.flags.aligned
    assert array.tolist() == [[1.5, -2.0]]


def test_values_and_bytes_may_be_mixed_in_one_request() -> None:
    both = codec(spec("a", "INT64"), spec("b", "BYTES", 1), spec("c", "FP64", 1))
    inputs = [
        raw("b", "BYTES", [2, 1], 11),
        {"name": "a", "datatype": "INT64", "shape": [2], "data": [7, -1]},
        raw("c", "FP64", [2, 1], 16),
    ]
    decoded = both.decode(*message(inputs, elements(b"yes", b"") + struct.pack("<dd", 0.5, 2.0)))
    assert {name: array.tolist() for name, array in decoded.columns.items()} == {
        "a": [7, -1],
        "b": [["yes"], [""]],
        "c": [[0.5], [2.0]],
    }


def test_a_header_length_may_cover_the_whole_body() -> None:
    body, length = message([{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}], b"")
    assert X.decode(body, length).columns["x"].tolist() == [[1, 2]]


@pytest.mark.parametrize(
    ("inputs", "tail", "text"),
    [
        pytest.param(
            [raw("x", "FP32", [1, 2], 4)],
            b"\0" * 4,
            f"input 'x' has shape [1, 2], which is 8 bytes of FP32, but 4 bytes are given; {TAKES}",
            id="size-is-not-the-shapes",
        ),
        pytest.param([raw("x", "FP32", [1, 2], 8)], b"\0" * 7, "7 bytes follow the JSON", id="too-few"),
        pytest.param([raw("x", "FP32", [1, 2], 8)], b"\0" * 9, "8: 8 of input 'x'", id="trailing"),
        pytest.param([raw("x", "FP32", [1, 2], -8)], b"", "is -8, must be a number of bytes", id="negative"),
        pytest.param([raw("x", "FP32", [1, 2], True)], b"", "is True, must be a number of bytes", id="bool"),
        pytest.param([raw("x", "FP32", [1, 2], "8")], b"", "is 8, must be a number of bytes", id="string"),
        pytest.param([raw("x", "FP32", [1, 2], 2**70)], b"", "bytes are given", id="larger-than-any-machine"),
        pytest.param([raw("x", "FP32", [2**62, 2], 0)], b"", "a tensor has at most", id="multiplies-to-nothing"),
        pytest.param([raw("x", "FP32", [-1, -2], 8)], b"", f"has shape [-1, -2], {TAKES}", id="two-negatives"),
        pytest.param([raw("x", "FP64", [1, 2], 16)], b"", f"input 'x' has datatype FP64, {TAKES}", id="datatype"),
        pytest.param([raw("y", "FP32", [1, 2], 8)], b"", "the model has no input 'y'; it takes 'x'", id="name"),
        pytest.param([], b"", "input 'x' is missing", id="none"),
        pytest.param([{"name": "x", "datatype": "FP32", "shape": [1, 2]}], b"", "has neither data nor", id="neither"),
        pytest.param(
            [{**raw("x", "FP32", [1, 2], 8), "parameters": {"shared_memory_region": "r"}}],
            b"",
            "is in shared memory, which is not read here",
            id="shared-memory",
        ),
        pytest.param(
            [{**raw("x", "FP32", [1, 2], 8), "data": [1, 2]}], b"\0" * 8, "8 bytes follow", id="data-and-bytes"
        ),
        pytest.param(
            [raw("x", "FP32", [1, 2], 8)],
            struct.pack("<ff", 1, float("nan")),
            f"input 'x': value 1 is nan, must be a number (NaN is taken by nullable inputs only); {TAKES}",
            id="nan",
        ),
        pytest.param(
            [raw("x", "FP32", [1, 2], 8)], struct.pack("<ff", float("-inf"), 1), "value 0 is -inf, must be", id="infinite"
        ),
    ],
)  # fmt: skip
def test_what_does_not_add_up_is_refused_by_name(inputs: list[dict[str, Any]], tail: bytes, text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        X.decode(*message(inputs, tail))
    assert text in str(refused.value)


@pytest.mark.parametrize("length", [0, -1, 10_000, 2**70])
def test_a_header_length_that_is_none_of_the_bodys_is_refused(length: int) -> None:
    with pytest.raises(InvalidRequest, match=f"Inference-Header-Content-Length is {length}, the body has "):
        X.decode(message([raw("x", "FP32", [1, 2], 8)], b"\0" * 8)[0], length)


def test_rows_of_all_tensors_are_the_same_however_they_are_sent() -> None:
    two = codec(spec("a", "FP32"), spec("b", "FP32"))
    for second in (raw("b", "FP32", [2], 8), {"name": "b", "datatype": "FP32", "shape": [2], "data": [1, 2]}):
        with pytest.raises(InvalidRequest, match=r"input 'b' has 2 rows \(shape \[2\]\) but input 'a' has 1"):
            two.decode(*message([raw("a", "FP32", [1], 4), second], b"\0" * (12 if "parameters" in second else 4)))


@pytest.mark.parametrize(
    ("tail", "text"),
    [
        pytest.param(elements(b"a", b"b")[:-1], "element 1 of 2 goes beyond the tensor's 9 bytes, at byte 5", id="cut"),
        pytest.param(b"\xff\xff\xff\xff\0\0\0\0", "element 0 of 2 goes beyond the tensor's 8 bytes", id="length-too-large"),
        pytest.param(elements(b"a", b"b", b"c"), "2 elements end at byte 10, but 15 bytes are given", id="one-too-many"),
        pytest.param(b"\1\0\0\0", "2 elements with a length of 4 bytes each need at least 8", id="too-short"),
        pytest.param(elements(b"a", b"\xff"), "value 1 is not UTF-8 (invalid start byte at byte 0)", id="not-text"),
    ],
)
def test_strings_whose_lengths_do_not_add_up_are_refused(tail: bytes, text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        codec(spec("s", "BYTES", 2)).decode(*message([raw("s", "BYTES", [1, 2], len(tail))], tail))
    assert text in str(refused.value)
    assert str(refused.value).startswith("input 's'")


def test_a_hook_gets_bytes_that_are_no_text_as_they_are() -> None:
    tail = elements(b"\xff\xd8", b"text")
    decoded = codec(spec("s", "BYTES", 2), transform=True).decode(*message([raw("s", "BYTES", [1, 2], len(tail))], tail))
    assert decoded.columns["s"].tolist() == [[b"\xff\xd8", "text"]]


def test_a_bool_is_a_byte_of_0_or_1() -> None:
    flags = codec(spec("f", "BOOL", 3))
    assert flags.decode(*message([raw("f", "BOOL", [1, 3], 3)], b"\0\1\1")).columns["f"].tolist() == [[False, True, True]]
    with pytest.raises(InvalidRequest, match="value 1 is the byte 2, must be 0 or 1"):
        flags.decode(*message([raw("f", "BOOL", [1, 3], 3)], b"\0\2\1"))


def test_nan_is_a_missing_value_where_an_input_may_be_null() -> None:
    both = codec(spec("a", "FP32", 1, nullable=True), spec("b", "FP32", 1))
    inputs = [raw("a", "FP32", [1, 1], 4), raw("b", "FP32", [1, 1], 4)]
    assert np.isnan(both.decode(*message(inputs, struct.pack("<ff", float("nan"), 1))).columns["a"]).all()
    with pytest.raises(InvalidRequest, match="input 'b': value 0 is nan"):
        both.decode(*message(inputs, struct.pack("<ff", 1, float("nan"))))


@pytest.mark.parametrize(
    ("more", "binary"),
    [
        pytest.param({}, set(), id="json-is-the-default"),
        pytest.param({"parameters": {"binary_data_output": True}}, {"p", "label"}, id="all"),
        pytest.param({"outputs": [{"name": "p", "parameters": {"binary_data": True}}]}, {"p"}, id="one"),
        pytest.param(
            {
                "outputs": [{"name": "p", "parameters": {"binary_data": False}}, {"name": "label"}],
                "parameters": {"binary_data_output": True},
            },
            {"label"},
            id="all-but-one",
        ),
    ],
)
def test_outputs_are_binary_as_the_request_asks(more: dict[str, Any], binary: set[str]) -> None:
    model = codec(spec("x", "FP32", 2), outputs=[output("label", "BYTES"), output("p", "FP32", 2)])
    assert model.decode(*(message([raw("x", "FP32", [1, 2], 8)], TWO.tobytes(), **more))).binary_outputs == binary
    plain = {"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}
    assert model.decode(message([plain], b"", **more)[0]).binary_outputs == binary


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        pytest.param({"binary_data": 1}, "outputs: 'score': binary_data is 1, must be true or false", id="no-flag"),
        pytest.param({"classification": 3}, "asks for classification, which is not done here", id="classification"),
        pytest.param({"shared_memory_region": "r"}, "asks for shared memory, which is not written here", id="shared"),
    ],
)
def test_an_output_that_cannot_be_given_as_asked_is_refused(parameters: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        X.decode(
            *message([raw("x", "FP32", [1, 2], 8)], TWO.tobytes(), outputs=[{"name": "score", "parameters": parameters}])
        )
    assert text in str(refused.value)


def test_an_answer_holds_json_and_binary_outputs_side_by_side() -> None:
    model = codec(spec("x", "FP32", 2), outputs=[output("label", "BYTES"), output("p", "FP32", 2), output("n", "INT64")])
    columns: Columns = {
        "label": np.array(["yes", "nö"], object),
        "p": np.array([[0.25, 0.75], [1, 0]], np.float32),
        "n": np.array([1, 2]),
    }
    framed = model.encode_binary(columns, "churn", "3", "r-1", binary=frozenset({"label", "p"}))
    assert json.loads(framed.body[: framed.header_length]) == {
        "model_name": "churn",
        "model_version": "3",
        "id": "r-1",
        "outputs": [
            {"name": "label", "datatype": "BYTES", "shape": [2], "parameters": {"binary_data_size": 14}},
            {"name": "p", "datatype": "FP32", "shape": [2, 2], "parameters": {"binary_data_size": 16}},
            {"name": "n", "datatype": "INT64", "shape": [2], "data": [1, 2]},
        ],
    }
    assert framed.body[framed.header_length :] == elements(b"yes", "nö".encode()) + columns["p"].tobytes()
    assert framed.header_length % 8 == 0
    back = model.decode_answer(framed.body, 2, framed.header_length)
    assert {name: array.tolist() for name, array in back.items()} == {
        name: array.tolist() for name, array in columns.items()
    }


def test_only_the_outputs_that_were_asked_for_are_sent() -> None:
    model = codec(spec("x", "FP32", 2), outputs=[output("label", "BYTES"), output("n", "INT64")])
    framed = model.encode_binary({"label": np.array(["a"], object), "n": np.array([1])}, "churn", "3", "", ("n",))
    assert list(model.decode_answer(framed.body, 1, framed.header_length)) == ["n"]


def test_an_answer_of_another_pod_that_does_not_fit_is_refused() -> None:
    answer = X.encode_binary({"score": np.array([[np.nan], [np.inf]], np.float32)}, "churn", "3", "")
    assert np.isnan(X.decode_answer(answer.body, 2, answer.header_length)["score"][0, 0])  # the model's own answer
    for rows, body, length in (
        (1, answer.body, answer.header_length),
        (2, answer.body[:-1], answer.header_length),
        (2, answer.body, 8),
        (2, answer.body.replace(b"FP32", b"FP64"), answer.header_length),
        (2, b'{"model_name":"m","outputs":[]}', 31),
    ):
        with pytest.raises(InvalidRequest):
            X.decode_answer(body, rows, length)


def values_of(datatype: str, rows: int, width: int) -> st.SearchStrategy[Any]:
    dtype = np.dtype(NUMPY_TYPES[datatype])  # type: ignore[index]
    size = rows * width
    if dtype.kind == "O":
        texts = st.lists(st.text(st.characters(codec="utf-8"), max_size=6), min_size=size, max_size=size)
        return texts.map(lambda values: np.array(values, object).reshape(rows, width))
    if dtype.kind == "f":
        numbers: st.SearchStrategy[Any] = st.floats(width=dtype.itemsize * 8, allow_nan=False, allow_infinity=False)  # type: ignore[arg-type]
    elif dtype.kind == "b":
        numbers = st.booleans()
    else:
        numbers = st.integers(np.iinfo(dtype).min, np.iinfo(dtype).max)
    return st.lists(numbers, min_size=size, max_size=size).map(lambda values: np.array(values, dtype).reshape(rows, width))


@settings(max_examples=80)
@given(st.data())
def test_what_one_pod_packs_another_unpacks_in_every_datatype(data: st.DataObject) -> None:
    rows, width = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 3))
    datatypes = data.draw(st.lists(st.sampled_from(DATATYPES), min_size=1, max_size=4))
    specs = [output(f"t{index}", datatype, width) for index, datatype in enumerate(datatypes)]
    columns: Columns = {f"t{index}": data.draw(values_of(datatype, rows, width)) for index, datatype in enumerate(datatypes)}
    model = codec(*specs, outputs=specs)
    for _ in range(2):  # the second time what the head says is known
        request = model.pack_inputs(dict(reversed(columns.items())), ("t0",))
        decoded = model.decode(request.body, request.header_length)
        assert same(decoded.columns, columns)
        assert (decoded.rows, decoded.wanted_outputs, decoded.binary_outputs) == (rows, ("t0",), frozenset({"t0"}))
        answer = model.encode_binary(columns, "churn", "3", "")
        assert same(model.decode_answer(answer.body, rows, answer.header_length), columns)


def same(one: Columns, other: Columns) -> bool:
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype and one[name].shape == other[name].shape and (one[name] == other[name]).all()
        for name in one
    )


def test_a_column_that_is_not_contiguous_is_packed_all_the_same() -> None:
    wide = np.arange(8, dtype=np.float32).reshape(2, 4)
    request = X.pack_inputs({"x": wide[:, ::2]})
    assert X.decode(request.body, request.header_length).columns["x"].tolist() == [[0, 2], [4, 6]]


@pytest.mark.parametrize("datatype", DATATYPES)
def test_one_tensor_from_bytes_of_its_own(datatype: str) -> None:
    schema = codec(spec("t", datatype, 2)).inputs["t"]
    array = np.array([["a", ""]], object) if datatype == "BYTES" else np.array([[1, 0]], schema.dtype)
    assert array_of_bytes(schema, [1, 2], bytes_of_array(array)).tolist() == array.tolist()
    with pytest.raises(InvalidRequest, match="input 't'"):
        array_of_bytes(schema, [2, 2], bytes_of_array(array))


@settings(max_examples=200)
@given(st.binary(max_size=24), st.integers(-2, 60), st.lists(st.integers(-3, 9), max_size=3), st.integers(-1, 30))
def test_any_bytes_shape_and_size_are_taken_or_refused(tail: bytes, cut: int, shape: list[int], size: int) -> None:
    model = codec(spec("s", "BYTES", -1), spec("f", "FP16", 1, nullable=True))
    inputs = [raw("s", "BYTES", shape, size), raw("f", "FP16", [1, 1], 2)]
    body, length = message(inputs, tail)
    for header_length in (length, cut):
        try:
            decoded = model.decode(body, header_length)
        except InvalidRequest:
            continue
        assert decoded.columns["s"].shape == tuple(shape)


def test_heads_that_never_repeat_are_not_kept_without_end() -> None:
    for index in range(200):
        X.decode(*message([raw("x", "FP32", [1, 2], 8)], TWO.tobytes(), parameters={"n": index}))
        X.pack_inputs({"x": np.zeros((index + 1, 2), np.float32)})
    assert len(X._known_requests) <= 64
    assert len(X._input_heads) <= 64
