"""Binary tensors, packed bodies and the first protocol over real sockets, through a real model."""

import gzip
import json
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest

from serving_lane_fixtures import Reply, client, infer_body, infer_request, site

pytestmark = pytest.mark.process

RAW = [
    {"name": f"x{index}", "datatype": "FP32", "shape": [1, 1], "parameters": {"binary_data_size": 4}} for index in range(2)
]


def binary_request(first: float, second: float, *, pad: int = 0, **more: object) -> tuple[bytes, dict[str, str]]:
    head = json.dumps({"inputs": RAW, **more}).encode() + b" " * pad
    return head + struct.pack("<ff", first, second), {"inference_header_content_length": str(len(head))}


def binary_outputs(reply: Reply) -> tuple[dict[str, object], bytes]:
    length = int(reply.headers["inference-header-content-length"])
    return json.loads(reply.body[:length]), reply.body[length:]


@pytest.mark.parametrize("pad", [0, 1, 2, 3])
async def test_binary_tensors_give_the_same_answer_as_json(pad: int, tmp_path: Path) -> None:
    async with site(tmp_path) as here, client(here.public) as connection:
        await here.serve("3", weights=[2, 3])
        body, headers = binary_request(1.5, -2, pad=pad)
        reply = await connection.ask(infer_request(body, **headers))
        assert reply.json == (await connection.ask(infer_request(infer_body(1.5, -2)))).json
        assert reply.headers["content-type"] == "application/json"


async def test_an_output_comes_as_bytes_where_the_request_asks_for_it(tmp_path: Path) -> None:
    async with site(tmp_path) as here, client(here.public) as connection:
        await here.serve("3", weights=[2, 3])
        body, headers = binary_request(1, 2, id="r-1", outputs=[{"name": "score", "parameters": {"binary_data": True}}])
        reply = await connection.ask(infer_request(body, **headers))
        head, tail = binary_outputs(reply)
        assert head == {
            "model_name": "churn",
            "model_version": "churn-3",
            "id": "r-1",
            "outputs": [{"name": "score", "datatype": "FP32", "shape": [1, 1], "parameters": {"binary_data_size": 4}}],
        }
        assert np.frombuffer(tail, "<f4").tolist() == [8.0]
        assert reply.headers["content-type"] == "application/octet-stream"
        asked_in_json = infer_body(1, 2, parameters={"binary_data_output": True})
        assert binary_outputs(await connection.ask(infer_request(asked_in_json)))[1] == tail


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [pytest.param("gzip", gzip.compress, id="gzip"), pytest.param("deflate", zlib.compress, id="deflate")],
)
async def test_packed_bodies_are_unpacked_up_to_the_limit(encoding: str, pack: object, tmp_path: Path) -> None:
    assert callable(pack)
    async with site(tmp_path, max_body_bytes=4096) as here, client(here.public) as connection:
        await here.serve("3", weights=[2, 3])
        body, headers = binary_request(1, 2)
        assert (await connection.ask(infer_request(pack(body), content_encoding=encoding, **headers))).score == 8.0
        assert (await connection.ask(infer_request(pack(infer_body(1, 2)), content_encoding=encoding))).score == 8.0
        reply = await connection.ask(infer_request(pack(bytes(100_000)), content_encoding=encoding))
        assert (reply.status, "at most 4096 are taken" in reply.error) == (413, True)
        assert (await connection.ask(infer_request(b"{}", content_encoding=encoding))).status == 400


async def test_the_first_protocol_is_answered_row_by_row(tmp_path: Path) -> None:
    async with site(tmp_path) as here, client(here.public) as connection:
        await here.serve("3", weights=[2, 3])
        for instances in ([{"x0": 1, "x1": 2}, {"x0": 0, "x1": 1}], [[1, 2], [0, 1]]):
            body = json.dumps({"instances": instances}).encode()
            reply = await connection.ask(infer_request(body, "/v1/models/churn:predict"))
            assert (reply.status, reply.json) == (200, {"predictions": [[8.0], [3.0]]})
        assert (await connection.ask(infer_request(body, "/v1/models/other:predict"))).status == 404
        assert (await connection.ask(infer_request(b"{}", "/v1/models/churn:predict"))).status == 400
        refused = infer_request(body, "/v1/models/churn:predict", inference_header_content_length="3")
        assert "takes JSON only" in (await connection.ask(refused)).error


async def test_a_requests_own_timeout_shortens_its_deadline(tmp_path: Path) -> None:
    async with site(tmp_path) as here, client(here.public) as connection:
        await here.serve("3")
        await connection.ask(infer_request(infer_body(1, 2, parameters={"timeout": 5_000_000})))
        assert here.responder.asked[-1].deadline < time.monotonic() + 5.1
        for none in (0, 10**30):
            await connection.ask(infer_request(infer_body(1, 2, parameters={"timeout": none})))
            assert here.responder.asked[-1].deadline > time.monotonic() + 10
        for wrong in (-1, 1.5, True, "1"):
            reply = await connection.ask(infer_request(infer_body(1, 2, parameters={"timeout": wrong})))
            assert (reply.status, "must be a number of microseconds" in reply.error) == (400, True)


async def test_parameters_that_stock_clients_send_change_nothing(tmp_path: Path) -> None:
    async with site(tmp_path) as here, client(here.public) as connection:
        await here.serve("3", weights=[2, 3])
        parameters = {"sequence_id": 7, "sequence_start": True, "priority": 1, "content_type": "np", "headers": {"a": "b"}}
        assert (await connection.ask(infer_request(infer_body(1, 2, parameters=parameters)))).score == 8.0


KEEPS = "def after(outputs, inputs):\n    return outputs\n"
READS = "def before(columns):\n    return {**columns, 'key': [[value.hex() for value in row] for row in columns['key']]}\n"
LEAVES = "def before(columns):\n    return columns\n"


@pytest.mark.parametrize(
    ("transform", "status", "text"),
    [
        pytest.param(None, 400, "input 'key': value 0 is not UTF-8", id="no-hook"),
        pytest.param(KEEPS, 400, "input 'key': value 0 is not UTF-8", id="a-hook-that-does-not-read-inputs"),
        pytest.param(READS, 200, "", id="a-hook-that-makes-text-of-it"),
        pytest.param(LEAVES, 500, "'key' holds b'\\xff\\xd8', must be", id="a-hook-that-leaves-it"),
    ],
)
async def test_bytes_that_are_no_text_reach_a_hook_but_never_the_model(
    transform: str | None, status: int, text: str, tmp_path: Path
) -> None:
    """ONNX Runtime would take them as the text that Python shows for them."""
    async with site(tmp_path) as here, client(here.public) as connection:
        await here.serve("3", key_input="key", transform=transform)
        key = {"name": "key", "datatype": "BYTES", "shape": [1, 1], "parameters": {"binary_data_size": 6}}
        head = json.dumps({"inputs": [*RAW, key]}).encode()
        body = head + struct.pack("<ffI", 1, 2, 2) + b"\xff\xd8"
        reply = await connection.ask(infer_request(body, inference_header_content_length=str(len(head))))
        assert reply.status == status
        assert status == 200 or text in reply.error
