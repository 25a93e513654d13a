"""The requests that the benchmark asks, read by what reads them in earnest."""

import base64
import json

import numpy as np

from bench.serving import messages
from bench.serving.judgement import Row
from bench.serving.table import text
from podium_serving.rpc import inference_pb2 as wire

ROWS = np.array([[1.5, -2.25, 0.1], [3.0, 4.0, 5.0]], dtype=np.float32)


def test_a_grpc_request_is_the_protocols_message() -> None:
    said = wire.ModelInferRequest.FromString(messages.grpc_body(7, ROWS))
    assert (said.model_name, said.id) == ("bench", messages.identity(7))
    assert [(tensor.name, tensor.datatype, list(tensor.shape)) for tensor in said.inputs] == [("x", "FP32", [2, 3])]
    assert np.array_equal(np.frombuffer(said.raw_input_contents[0], "<f4").reshape(2, 3), ROWS)


def test_the_constant_grpc_answer_is_the_protocols_message() -> None:
    said = wire.ModelInferResponse.FromString(messages.grpc_answer(1, [0.25, 0.75]))
    assert [tensor.name for tensor in said.outputs] == ["label", "probabilities"]
    assert np.frombuffer(said.raw_output_contents[1], "<f4").tolist() == [0.25, 0.75]


def test_json_numbers_are_those_of_the_rows() -> None:
    said = json.loads(messages.json_body(1, ROWS))["inputs"][0]
    assert np.array_equal(np.array(said["data"], dtype=np.float32).reshape(said["shape"]), ROWS)
    named = json.loads(messages.named_body(1, ROWS))["inputs"]
    assert [tensor["data"] for tensor in named] == ROWS.T.astype(float).round(6).tolist()


def test_a_binary_request_says_where_its_head_ends() -> None:
    body, headers = messages.binary_body(3, ROWS)
    head = json.loads(body[: int(headers[0].split(": ")[1])])
    assert body[-head["inputs"][0]["parameters"]["binary_data_size"] :] == ROWS.tobytes()


def test_neighbours_differ_in_length() -> None:
    lengths = {len(messages.json_body(number, ROWS)) for number in range(10)}
    assert len(lengths) > 5


def test_a_line_carries_the_body_and_the_answers_by_version() -> None:
    said = json.loads(messages.line(b"asked", {"rf-1": [0.5]}, ["a: b"]))
    assert base64.b64decode(said["body"]) == b"asked"
    assert (said["headers"], said["expect"]) == (["a: b"], {"rf-1": [0.5]})


def test_the_table_has_a_line_per_row_and_a_head_per_part() -> None:
    lines = text([Row("one", "rate", "5 /s", "≥ 4 /s", 1.25, "reached"), Row("two", "size", "3 MB")]).splitlines()
    assert [line.split()[0] for line in lines] == ["measure", "--", "rate", "--", "size"]
    assert "1.25" in lines[2]
    assert "reached" in lines[2]
