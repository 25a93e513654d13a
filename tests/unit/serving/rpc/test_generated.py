"""The committed messages are what the compiler makes of the .proto files, and those say what the protocol says."""

from pathlib import Path

import pytest
from grpc_tools import protoc

import podium_serving
from podium_serving.rpc import inference_pb2 as wire
from podium_serving.rpc.envelope_pb2 import Envelope

SERVING = Path(podium_serving.__file__).parent.parent
FOLDER = SERVING / "podium_serving" / "rpc"


@pytest.mark.parametrize("name", ["inference", "envelope"])
def test_make_generate_would_change_nothing(name: str, tmp_path: Path) -> None:
    proto = FOLDER / f"{name}.proto"
    assert protoc.main(["", f"-I{SERVING}", f"--python_out={tmp_path}", f"--pyi_out={tmp_path}", str(proto)]) == 0
    for ending in ("_pb2.py", "_pb2.pyi"):
        made = (tmp_path / "podium_serving" / "rpc" / f"{name}{ending}").read_text()
        assert made == (FOLDER / f"{name}{ending}").read_text(), "run `make generate`"


def test_field_numbers_are_the_protocols() -> None:
    numbers = {field.name: field.number for field in wire.ModelInferRequest.DESCRIPTOR.fields}
    assert numbers == {
        "model_name": 1,
        "model_version": 2,
        "id": 3,
        "parameters": 4,
        "inputs": 5,
        "outputs": 6,
        "raw_input_contents": 7,
    }
    assert {field.name: field.number for field in wire.ModelInferResponse.DESCRIPTOR.fields} == {
        "model_name": 1,
        "model_version": 2,
        "id": 3,
        "parameters": 4,
        "outputs": 5,
        "raw_output_contents": 6,
    }
    assert {field.name: field.number for field in wire.InferTensorContents.DESCRIPTOR.fields} == {
        "bool_contents": 1,
        "int_contents": 2,
        "int64_contents": 3,
        "uint_contents": 4,
        "uint64_contents": 5,
        "fp32_contents": 6,
        "fp64_contents": 7,
        "bytes_contents": 8,
    }
    assert {field.name: field.number for field in wire.ModelInferRequest.InferInputTensor.DESCRIPTOR.fields} == {
        "name": 1,
        "datatype": 2,
        "shape": 3,
        "parameters": 4,
        "contents": 5,
    }
    assert wire.DESCRIPTOR.services_by_name["GRPCInferenceService"].full_name == "inference.GRPCInferenceService"


def test_an_envelope_has_the_numbers_of_the_request_that_it_wraps() -> None:
    request = {field.name: field.number for field in wire.ModelInferRequest.DESCRIPTOR.fields}
    assert {field.name: field.number for field in Envelope.DESCRIPTOR.fields} == request
