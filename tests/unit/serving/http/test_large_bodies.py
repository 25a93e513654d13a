"""Large bodies: how much JSON is taken, and that nobody waits long while one is read."""

import asyncio
import gzip
import json
import struct
import threading
import time
from pathlib import Path

import pytest

from serving_lane_fixtures import Client, Reply, client, infer_request, site, until

pytestmark = pytest.mark.process

HEALTH = b"GET /v2/health/live HTTP/1.1\r\nhost: test\r\n\r\n"


def json_body(rows: int, value: object = 0.5) -> bytes:
    data = [value] * rows
    return json.dumps(
        {"inputs": [{"name": f"x{n}", "datatype": "FP32", "shape": [rows, 1], "data": data} for n in range(2)]}
    ).encode()


def binary_body(rows: int) -> tuple[bytes, str]:
    sizes = {"binary_data_size": 4 * rows}
    tensors = [{"name": f"x{n}", "datatype": "FP32", "shape": [rows, 1], "parameters": sizes} for n in range(2)]
    head = json.dumps({"inputs": tensors}).encode()
    return head + struct.pack("<f", 0.5) * rows * 2, str(len(head))


async def longest_turn(connection: Client, asked: "asyncio.Future[Reply]") -> float:
    """What part of the work until `asked` is there the loop did itself between a question about health and its answer.

    In seconds of the loop's thread, of those of all threads: how busy the machine is with others' work changes neither.
    """
    longest, first = 0.0, time.process_time()
    while not asked.done():
        began = time.thread_time()
        assert (await connection.ask(HEALTH)).status == 200
        longest = max(longest, time.thread_time() - began)
    return longest / (time.process_time() - first)


@pytest.mark.parametrize("packed", [False, True])
async def test_more_json_than_is_read_at_once_is_refused_and_binary_tensors_are_named(packed: bool, tmp_path: Path) -> None:
    async with site(tmp_path, max_json_bytes=10_000) as here, client(here.public) as connection:
        await here.serve("3")
        body = json_body(1000)
        request = infer_request(gzip.compress(body), content_encoding="gzip") if packed else infer_request(body)
        reply = await connection.ask(request)
        assert reply.status == 413
        assert "at most 10000 are taken; send fewer rows at a time, or send binary tensors" in reply.error
    assert here.public.lane.buffered_bytes == 0


async def test_binary_tensors_are_taken_where_as_much_json_is_not(tmp_path: Path) -> None:
    async with site(tmp_path, max_json_bytes=10_000) as here, client(here.public) as connection:
        await here.serve("3", weights=[2, 3])
        body, length = binary_body(3000)
        assert (await connection.ask(infer_request(body, inference_header_content_length=length))).score == 2.5
        reply = await connection.ask(infer_request(body, inference_header_content_length=str(len(body))))
        assert (reply.status, "the body's JSON has" in reply.error) == (413, True)


@pytest.mark.parametrize("path", ["/score", "/explain"])
async def test_named_columns_are_json_whatever_the_headers_say(path: str, tmp_path: Path) -> None:
    async with site(tmp_path) as here, client(here.public) as connection:
        await here.serve("3")
        reply = await connection.ask(infer_request(b'{"x0": 1, "x1": 2}', path, inference_header_content_length="3"))
        assert (reply.status, "takes JSON only" in reply.error) == (400, True)


@pytest.mark.parametrize("value", [0.5, [0.5]], ids=["numbers", "a-list-for-each"])
async def test_health_is_answered_while_large_json_is_read(value: object, tmp_path: Path) -> None:
    async with site(tmp_path) as here, client(here.public) as connection, client(here.public) as other:
        await here.serve("3", weights=[2, 3])
        body = json_body(4 * 1024 * 1024 // (2 * len(json.dumps(value) + ", ")) - 100, value)
        asked = asyncio.ensure_future(connection.ask(infer_request(body)))
        longest = await longest_turn(other, asked)
        assert (await asked).status == 200
    assert longest < 0.4  # read by the loop it is above 0.7
    assert here.public.lane.buffered_bytes == 0


async def test_a_client_that_leaves_while_its_body_waits_to_be_read_keeps_no_memory(tmp_path: Path) -> None:
    async with site(tmp_path) as here, client(here.public) as kept:
        await here.serve("3", weights=[2, 3])
        lane = here.public.lane
        busy = threading.Event()
        reading = asyncio.ensure_future(lane.reading.read(busy.wait, 0))
        async with client(here.public) as connection:
            await connection.send(infer_request(json_body(10_000)))
            await until(lambda: len(lane.tasks) == 1)
        await until(lambda: lane.open_requests == 0 and not lane.tasks)
        assert lane.buffered_bytes == 0
        busy.set()
        await reading
        assert (await kept.ask(infer_request(json_body(10_000)))).score == 2.5
    assert lane.buffered_bytes == 0
