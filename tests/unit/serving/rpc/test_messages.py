"""ModelInferRequest to columns and columns to ModelInferResponse, typed and raw, of every datatype; and what is refused."""

import struct
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from podium_crds.package import Datatype, Descriptor, InputSpec, OutputSpec
from podium_serving.exchange import Columns, InvalidRequest
from podium_serving.oip.binary import bytes_of_array
from podium_serving.oip.codec import Codec
from podium_serving.oip.tensors import NUMPY_TYPES
from podium_serving.rpc import inference_pb2 as wire
from podium_serving.rpc.reading import CONTENTS, Decoded, RequestReader, opened
from podium_serving.rpc.writing import AnswerWriter, field, stream_error, streamed

DATATYPES = list(NUMPY_TYPES)
TYPED = [name for name in DATATYPES if name != "FP16"]


def descriptor(*inputs: InputSpec) -> Descriptor:
    """A model whose outputs are its inputs."""
    outputs = [OutputSpec(name=spec.name, datatype=spec.datatype, shape=spec.shape, kind="Value") for spec in inputs]
    return Descriptor(name="m", version="1", task="Regression", inputs=list(inputs), outputs=outputs)


def spec(name: str, datatype: Datatype, shape: list[int] | None = None, *, nullable: bool = False) -> InputSpec:
    return InputSpec(name=name, datatype=datatype, shape=shape or [-1, 2], nullable=nullable)


def read(codec: Codec, request: wire.ModelInferRequest) -> Decoded:
    message = request.SerializeToString()
    return RequestReader(codec).decode(opened(message), message)


def request_of(codec: Codec, columns: Columns, *, raw: bool) -> wire.ModelInferRequest:
    request = wire.ModelInferRequest(model_name="m")
    for name, schema in codec.inputs.items():
        column = columns[name]
        tensor = request.inputs.add(name=name, datatype=schema.datatype, shape=column.shape)
        if raw:
            request.raw_input_contents.append(bytes_of_array(column))
        else:
            values = column.ravel().tolist()
            values = [value.encode() for value in values] if schema.datatype == "BYTES" else values
            getattr(tensor.contents, CONTENTS[schema.datatype]).extend(values)
    return request


SAMPLES: dict[str, npt.NDArray[Any]] = {
    name: np.array([["a", "é"], ["", "\U0001f409"]], object)
    if name == "BYTES"
    else np.array([[0, 1], [1, 0]], NUMPY_TYPES[name])
    for name in DATATYPES
}
SAMPLES["INT64"][0, 0] = -(2**63)
SAMPLES["UINT64"][0, 0] = 2**64 - 1
SAMPLES["INT8"][0, 0] = -128
SAMPLES["FP64"][0, 0] = 0.1


@pytest.mark.parametrize("raw", [pytest.param(True, id="raw"), pytest.param(False, id="typed")])
@pytest.mark.parametrize("datatype", DATATYPES)
def test_every_datatype_goes_in_and_comes_out_as_it_was(datatype: Datatype, raw: bool) -> None:
    if datatype == "FP16" and not raw:
        pytest.skip("FP16 has no typed contents")
    codec = Codec(descriptor(spec("x", datatype), spec("y", datatype)))
    columns = {"x": SAMPLES[datatype], "y": SAMPLES[datatype][::-1].copy()}
    decoded = read(codec, request_of(codec, columns, raw=raw))
    assert (decoded.rows, decoded.raw) == (2, raw)
    for name, column in columns.items():
        assert decoded.columns[name].dtype == column.dtype
        assert decoded.columns[name].tolist() == column.tolist()
    answer = wire.ModelInferResponse.FromString(AnswerWriter(codec, "m").encode(columns, "1", "", (), raw=raw))
    assert [out.datatype for out in answer.outputs] == [datatype, datatype]
    assert [list(out.shape) for out in answer.outputs] == [[2, 2], [2, 2]]
    if raw:
        assert list(answer.raw_output_contents) == [bytes_of_array(column) for column in columns.values()]
    else:
        values = list(getattr(answer.outputs[0].contents, CONTENTS[datatype]))
        assert [v.decode() if isinstance(v, bytes) else v for v in values] == SAMPLES[datatype].ravel().tolist()


def test_fp16_comes_out_raw_even_to_those_who_sent_typed_and_takes_the_others_with_it() -> None:
    codec = Codec(descriptor(spec("x", "FP16"), spec("y", "INT32")))
    columns: Columns = {"x": np.ones((1, 2), np.float16), "y": np.ones((1, 2), np.int32)}
    answer = wire.ModelInferResponse.FromString(AnswerWriter(codec, "m").encode(columns, "1", "", (), raw=False))
    assert len(answer.raw_output_contents) == 2
    assert not any(out.HasField("contents") for out in answer.outputs)


def test_an_answer_repeats_id_model_and_version_and_only_what_was_wanted() -> None:
    codec = Codec(descriptor(spec("x", "FP32"), spec("y", "FP32")))
    columns: Columns = {"x": np.ones((1, 2), np.float32), "y": np.zeros((1, 2), np.float32), "more": np.ones(1)}
    writer = AnswerWriter(codec, "churn")
    for raw in (True, True, False):  # twice: the second time its form is known
        answer = wire.ModelInferResponse.FromString(writer.encode(columns, "v7", "é-1", ("y",), raw=raw))
        assert (answer.model_name, answer.model_version, answer.id) == ("churn", "v7", "é-1")
        assert [out.name for out in answer.outputs] == ["y"]


@pytest.mark.parametrize("size", [0, 1, 127, 128, 16_383, 16_384, 3_000_000])
def test_a_field_of_any_size_is_read_back(size: int) -> None:
    encoded = streamed(field(6 << 3 | 2, b"x" * size))
    response = wire.ModelStreamInferResponse.FromString(encoded).infer_response
    assert [len(content) for content in response.raw_output_contents] == [size]


def test_an_error_in_a_stream_keeps_the_requests_id() -> None:
    response = wire.ModelStreamInferResponse.FromString(stream_error("no", "7"))
    assert (response.error_message, response.infer_response.id) == ("no", "7")


def test_inputs_of_different_types_in_any_order_are_told_apart() -> None:
    codec = Codec(descriptor(spec("a", "INT64"), spec("b", "BYTES"), spec("c", "INT64"), spec("d", "BOOL")))
    columns: Columns = {"a": SAMPLES["INT64"], "b": SAMPLES["BYTES"], "c": SAMPLES["INT64"] // 2, "d": SAMPLES["BOOL"]}
    request = request_of(codec, columns, raw=True)
    turned = wire.ModelInferRequest(
        inputs=list(request.inputs)[::-1], raw_input_contents=list(request.raw_input_contents)[::-1]
    )
    for one in (request, turned):
        decoded = read(codec, one)
        assert {name: column.tolist() for name, column in decoded.columns.items()} == {
            name: column.tolist() for name, column in columns.items()
        }


def test_layouts_are_kept_for_equal_inputs_and_no_values_are() -> None:
    codec = Codec(descriptor(spec("x", "FP32", [-1, 1]), spec("y", "FP32", [-1, 1])))
    reader = RequestReader(codec)
    for start in range(200):
        rows = start % 3 + 1
        columns: Columns = {"x": np.full((rows, 1), start, np.float32), "y": np.full((rows, 1), -start, np.float32)}
        message = request_of(codec, columns, raw=True).SerializeToString()
        decoded = reader.decode(opened(message), message)
        assert decoded.rows == start % 3 + 1
        assert decoded.columns["x"].tolist() == [[start]] * decoded.rows
        assert decoded.columns["y"].tolist() == [[-start]] * decoded.rows


def test_parameters_come_as_what_they_are() -> None:
    codec = Codec(descriptor(spec("x", "FP32")))
    request = request_of(codec, {"x": np.ones((1, 2), np.float32)}, raw=True)
    request.parameters["flag"].bool_param = True
    request.parameters["count"].int64_param = -3
    request.parameters["text"].string_param = "é"
    request.parameters["share"].double_param = 0.5
    request.parameters["large"].uint64_param = 2**64 - 1
    request.parameters["nothing"].SetInParent()
    assert read(codec, request).parameters == {
        "flag": True,
        "count": -3,
        "text": "é",
        "share": 0.5,
        "large": 2**64 - 1,
        "nothing": "",
    }


def test_missing_values_are_nan_where_an_input_is_nullable() -> None:
    codec = Codec(descriptor(spec("x", "FP32", nullable=True), spec("y", "FP64", nullable=True)))
    columns: Columns = {"x": np.array([[np.nan, 1]], np.float32), "y": np.array([[1, np.nan]], np.float64)}
    for raw in (True, False):
        decoded = read(codec, request_of(codec, columns, raw=raw))
        np.testing.assert_array_equal(decoded.columns["x"], columns["x"])
        np.testing.assert_array_equal(decoded.columns["y"], columns["y"])


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
    request = request_of(codec, {"x": SAMPLES["INT8"], "y": SAMPLES["INT8"]}, raw=False)
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


@st.composite
def any_columns(draw: st.DrawFn, typed: bool) -> tuple[Codec, Columns]:
    rows = draw(st.integers(1, 4))
    datatypes = draw(st.lists(st.sampled_from(TYPED if typed else DATATYPES), min_size=1, max_size=6))
    specs, columns = [], cast(Columns, {})
    for index, datatype in enumerate(datatypes):
        tail = draw(st.lists(st.integers(1, 3), max_size=2))
        specs.append(spec(f"c{index}", datatype, [-1, *tail], nullable=datatype.startswith("FP")))
        shape = (rows, *tail)
        if datatype == "BYTES":
            texts = draw(arrays.arrays(object, shape, elements=st.text(max_size=5), fill=st.nothing()))
            columns[f"c{index}"] = texts
        else:
            elements = {"allow_infinity": False} if datatype.startswith("FP") else {}
            columns[f"c{index}"] = draw(arrays.arrays(NUMPY_TYPES[datatype], shape, elements=elements))
    return Codec(descriptor(*specs)), columns


@given(any_columns(typed=False))
def test_any_columns_survive_the_raw_road(made: tuple[Codec, Columns]) -> None:
    _survive(*made, raw=True)


@given(any_columns(typed=True))
def test_any_columns_survive_the_typed_road(made: tuple[Codec, Columns]) -> None:
    _survive(*made, raw=False)


def _survive(codec: Codec, columns: Columns, *, raw: bool) -> None:
    decoded = read(codec, request_of(codec, columns, raw=raw))
    for name, column in columns.items():
        assert decoded.columns[name].shape == column.shape
        assert decoded.columns[name].dtype == column.dtype
        np.testing.assert_array_equal(decoded.columns[name], column)
    answer = AnswerWriter(codec, "m").encode(columns, "1", "", (), raw=raw)
    back = wire.ModelInferResponse.FromString(answer)
    request = wire.ModelInferRequest(raw_input_contents=back.raw_output_contents)
    for out in back.outputs:
        request.inputs.add(name=out.name, datatype=out.datatype, shape=out.shape)
        if not raw:
            request.inputs[-1].contents.CopyFrom(out.contents)
    again = read(codec, request)
    for name, column in columns.items():
        np.testing.assert_array_equal(again.columns[name], column)


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
