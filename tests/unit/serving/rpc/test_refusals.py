"""ModelInferRequests that do not fit: refused in words that name what is wrong, whatever the bytes are."""

import struct
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium_serving.exchange import Columns, InvalidRequest
from podium_serving.oip.codec import Codec
from podium_serving.rpc import inference_pb2 as wire
from podium_serving.rpc.reading import RequestReader, opened
from rpc_messages import descriptor, read, request_of, spec

INT8 = np.array([[-128, 1], [1, 0]], np.int8)
GOOD: Columns = {"x": np.ones((2, 2), np.float32), "s": np.array([["a", "b"], ["c", "d"]], object)}
CODEC = Codec(descriptor(spec("x", "FP32"), spec("s", "BYTES")))

Change = Callable[[wire.ModelInferRequest], object]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        pytest.param(lambda r: r.raw_input_contents.pop(), "raw_input_contents has 1 entries", id="too-few-raw"),
        pytest.param(lambda r: r.raw_input_contents.append(b""), "raw_input_contents has 3 entries", id="too-many-raw"),
        pytest.param(lambda r: r.raw_input_contents.__setitem__(0, b"123"), "3 bytes are given", id="raw-too-short"),
        pytest.param(lambda r: r.raw_input_contents.__setitem__(0, b"1" * 20), "20 bytes are given", id="raw-too-long"),
        pytest.param(
            lambda r: r.raw_input_contents.__setitem__(0, struct.pack("<4f", 1, 2, float("nan"), 4)),
            "input 'x': value 2 is nan, must be a number",
            id="nan",
        ),
        pytest.param(
            lambda r: r.raw_input_contents.__setitem__(0, struct.pack("<4f", 1, 2, 3, float("-inf"))),
            "input 'x': value 3 is -inf",
            id="infinity",
        ),
        pytest.param(
            lambda r: r.raw_input_contents.__setitem__(1, struct.pack("<I", 2**32 - 1) * 4), "input 's'", id="bytes-beyond"
        ),
        pytest.param(
            lambda r: r.raw_input_contents.__setitem__(1, b"\1\0\0\0a" * 5), "4 elements end at byte 20", id="bytes-too-many"
        ),
        pytest.param(lambda r: r.raw_input_contents.__setitem__(1, b"\1\0\0\0\xff" * 4), "not UTF-8", id="bytes-not-text"),
        pytest.param(lambda r: r.inputs[0].contents.fp32_contents.append(1), "send one of them", id="both"),
        pytest.param(lambda r: r.inputs.pop(), "input 's' is missing", id="missing-input"),
        pytest.param(lambda r: r.inputs.add(name="z"), "the model has no input 'z'", id="unknown-input"),
        pytest.param(lambda r: r.inputs.append(r.inputs[0]), "input 'x' is there 2 times", id="input-twice"),
        pytest.param(lambda r: setattr(r.inputs[0], "datatype", "FP64"), "has datatype FP64", id="wrong-datatype"),
        pytest.param(lambda r: setattr(r.inputs[0], "datatype", ""), "has datatype ", id="no-datatype"),
        pytest.param(lambda r: r.inputs[0].shape.pop(), "has shape [2]", id="too-few-axes"),
        pytest.param(lambda r: r.inputs[0].shape.__setitem__(0, -2), "has shape [-2, 2]", id="negative"),
        pytest.param(lambda r: r.inputs[0].shape.__setitem__(0, 0), "at least one row", id="no-rows"),
        pytest.param(lambda r: [t.shape.__setitem__(0, 2**62) for t in r.inputs], "at most", id="product-overflows"),
        pytest.param(lambda r: [t.shape.__setitem__(0, 2**63 - 1) for t in r.inputs], "at most", id="largest-shape"),
        pytest.param(lambda r: r.inputs[1].shape.__setitem__(0, 3), "input 's' has 3 rows", id="rows-differ"),
        pytest.param(lambda r: r.outputs.add(name="z"), "outputs asks for 'z'; the model has 'x', 's'", id="unknown-output"),
    ],
)
def test_a_raw_request_that_does_not_fit_is_refused_in_words(change: Change, text: str) -> None:
    request = request_of(CODEC, GOOD, raw=True)
    read(CODEC, request)
    change(request)
    with pytest.raises(InvalidRequest) as refused:
        read(CODEC, request)
    assert text in str(refused.value)


def _into_shared_memory(request: wire.ModelInferRequest) -> None:
    request.inputs[0].ClearField("contents")
    request.inputs[0].parameters["shared_memory_region"].string_param = "m"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        pytest.param(lambda r: r.inputs[0].contents.fp32_contents.pop(), "data has 3", id="too-few"),
        pytest.param(lambda r: r.inputs[0].contents.fp32_contents.append(1), "data has 5", id="too-many"),
        pytest.param(lambda r: r.inputs[0].ClearField("contents"), "data has 0", id="nothing"),
        pytest.param(
            lambda r: (r.inputs[0].ClearField("contents"), r.inputs[0].contents.fp64_contents.extend([1] * 4)),
            "input 'x' has fp64_contents; values of FP32 are sent as fp32_contents",
            id="wrong-field",
        ),
        pytest.param(
            lambda r: r.inputs[0].contents.fp32_contents.__setitem__(1, float("nan")), "value 1 is nan, must be", id="nan"
        ),
        pytest.param(
            lambda r: r.inputs[0].contents.fp32_contents.__setitem__(1, float("inf")), "value 1 is inf, must be", id="inf"
        ),
        pytest.param(
            lambda r: r.inputs[1].contents.bytes_contents.__setitem__(3, b"\xff"), "value 3 is not UTF-8", id="text"
        ),
        pytest.param(lambda r: r.inputs[0].shape.__setitem__(0, 2**62), "at most", id="product-overflows"),
        pytest.param(lambda r: r.inputs[0].shape.__setitem__(0, -2), "has shape [-2, 2]", id="negative"),
        pytest.param(lambda r: setattr(r.inputs[0], "datatype", "FP16"), "FP16", id="no-typed-fp16"),
        pytest.param(lambda r: setattr(r.inputs[0], "name", "z"), "the model has no input 'z'", id="unknown-input"),
        pytest.param(
            _into_shared_memory,
            "input 'x' is in shared memory",
            id="shared-memory",
        ),
    ],
)
def test_a_typed_request_that_does_not_fit_is_refused_in_words(change: Change, text: str) -> None:
    request = request_of(CODEC, GOOD, raw=False)
    read(CODEC, request)
    change(request)
    with pytest.raises(InvalidRequest) as refused:
        read(CODEC, request)
    assert text in str(refused.value)


def test_a_small_integer_that_does_not_fit_its_datatype_is_named() -> None:
    codec = Codec(descriptor(spec("x", "INT8"), spec("y", "INT8")))
    request = request_of(codec, {"x": INT8, "y": INT8}, raw=False)
    request.inputs[1].contents.int_contents[2] = 128
    with pytest.raises(InvalidRequest, match="input 'y': value 2 is 128, which does not fit INT8"):
        read(codec, request)


@pytest.mark.parametrize("content", [b"\x00", b"\xff" * 40, b"\x0a\x02\xff\xff", b"\x2a\xff\xff\xff\xff\x7f"])
def test_bytes_that_are_no_message_are_refused(content: bytes) -> None:
    with pytest.raises(InvalidRequest, match="the message is not a ModelInferRequest"):
        opened(content)


def test_an_input_that_cannot_be_read_is_refused() -> None:
    message = b"\x2a\x02\x0a\x7f" + b"\x3a\x01x"  # an input whose name goes beyond it, and raw contents
    with pytest.raises(InvalidRequest, match="inputs of the ModelInferRequest cannot be read"):
        RequestReader(CODEC).decode(opened(message), message)


def test_a_request_without_inputs_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="input 'x' is missing"):
        read(CODEC, wire.ModelInferRequest(model_name="m"))


@given(st.binary(max_size=300))
def test_no_bytes_do_more_than_be_refused(content: bytes) -> None:
    with pytest.raises(InvalidRequest):
        RequestReader(CODEC).decode(opened(content), content)


@pytest.mark.parametrize("raw", [pytest.param(True, id="raw"), pytest.param(False, id="typed")])
def test_rows_without_values_that_are_too_many_for_memory_are_refused(raw: bool) -> None:
    codec = Codec(descriptor(spec("x", "FP32", [-1, -1]), spec("y", "FP32", [-1, -1])))
    request = wire.ModelInferRequest(raw_input_contents=[b"", b""] if raw else [])
    for name in ("x", "y"):
        request.inputs.add(name=name, datatype="FP32", shape=[2**62, 0])
    with pytest.raises(InvalidRequest, match="shape"):
        read(codec, request)
