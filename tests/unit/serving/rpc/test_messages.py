"""ModelInferRequest to columns and columns to ModelInferResponse, typed and raw, of every datatype; and what is refused."""

from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from podium_crds.package import Datatype
from podium_serving.exchange import Columns
from podium_serving.oip.binary import bytes_of_array
from podium_serving.oip.codec import Codec
from podium_serving.oip.tensors import NUMPY_TYPES
from podium_serving.rpc import inference_pb2 as wire
from podium_serving.rpc.reading import CONTENTS, RequestReader, opened
from podium_serving.rpc.writing import AnswerWriter, field, stream_error, streamed
from rpc_messages import descriptor, read, request_of, spec

DATATYPES = list(NUMPY_TYPES)
TYPED = [name for name in DATATYPES if name != "FP16"]


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
