"""A connection's streams, windows and ends, frame by frame: what stock clients would not send is sent here."""

import asyncio
import struct
from pathlib import Path

import pytest

from podium_serving.rpc import inference_pb2 as wire
from podium_serving.rpc.framing import framed
from podium_serving.rpc.http2.frames import (
    LAST_STREAM,
    PREFACE,
    ErrorCode,
    Flag,
    Kind,
    Setting,
    frame,
    settings,
    window_update,
)
from rpc_fixtures import http2_client, raw_request, raw_scores, rpc_site
from serving_lane_fixtures import until

pytestmark = pytest.mark.process

WHOLE = Flag.END_HEADERS | Flag.END_STREAM
MESSAGE = raw_request([1, 2]).SerializeToString()


def data(stream: int, content: bytes, flags: int = 0) -> bytes:
    return frame(Kind.DATA, flags, stream, content)


def scores(content: bytes) -> list[float]:
    assert content[0] == 0
    assert struct.unpack(">I", content[1:5])[0] == len(content) - 5
    return raw_scores(wire.ModelInferResponse.FromString(content[5:]))


async def test_many_calls_share_a_connection_whose_header_blocks_change_its_table(tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod, http2_client(pod.server) as client:
        await pod.site.serve("1")
        for number in range(1, 400, 2):
            changes: dict[str, str | None] = {"x-request-id": f"request-{number // 20}", "traceparent": None}
            await client.send(client.ask(number, MESSAGE, **changes))
            fields, content = await client.answer(number)
            assert fields["podium-request-id"] == f"request-{number // 20}"
            assert scores(content) == [3]


async def test_frames_may_come_byte_by_byte(tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod, http2_client(pod.server, greet=False) as client:
        await pod.site.serve("1")
        for byte in PREFACE + settings({}) + client.ask(1, MESSAGE):
            await client.send(bytes([byte]))
        _, content = await client.answer(1)
        assert scores(content) == [3]


async def test_a_header_block_may_come_in_parts_and_data_padded(tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod, http2_client(pod.server) as client:
        await pod.site.serve("1")
        whole = client.head(1)[9:]
        parts = [frame(Kind.CONTINUATION, 0, 1, whole[at : at + 7]) for at in range(7, len(whole), 7)]
        await client.send(frame(Kind.HEADERS, 0, 1, whole[:7]), *parts, frame(Kind.CONTINUATION, Flag.END_HEADERS, 1))
        content = framed(MESSAGE)
        await client.send(data(1, b"\x05" + content[:50] + b"\0" * 5, Flag.PADDED))
        await client.send(data(1, b"\xff" + content[50:] + b"\0" * 255, Flag.PADDED | Flag.END_STREAM))
        _, answer = await client.answer(1)
        assert scores(answer) == [3]


async def test_a_call_may_end_with_trailers(tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod, http2_client(pod.server) as client:
        await pod.site.serve("1")
        trailers = frame(Kind.HEADERS, WHOLE, 1, client.encoder.encode([("x-end", "1")]))
        await client.send(client.head(1), data(1, framed(MESSAGE)), trailers)
        _, answer = await client.answer(1)
        assert scores(answer) == [3]


async def test_an_answer_waits_for_the_clients_windows(tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod, http2_client(pod.server, greet=False) as client:
        await pod.site.serve("1")
        await client.greet({Setting.INITIAL_WINDOW_SIZE: 10})
        await client.send(client.ask(1, MESSAGE), client.ask(3, MESSAGE))
        got = {1: b"", 3: b""}
        for size in (10, 10):
            part = await client.until(Kind.DATA)
            assert len(part.payload) == size
            got[part.stream] += part.payload
        await client.send(settings({Setting.INITIAL_WINDOW_SIZE: 12}))
        for size in (2, 2):
            part = await client.until(Kind.DATA)
            assert len(part.payload) == size
            got[part.stream] += part.payload
        for stream in (3, 1):
            await client.send(window_update(stream, 1_000_000))
            fields, rest = await client.answer(stream)
            assert scores(got[stream] + rest) == [3]
            assert fields["grpc-status"] == "0"


async def test_the_connections_window_is_shared_by_its_streams(tmp_path: Path) -> None:
    rows = 10_000  # 40 KB each: two answers do not fit the 64 KB that a client grants at first
    async with rpc_site(tmp_path) as pod, http2_client(pod.server, greet=False) as client:
        await pod.site.serve("1")
        await client.greet({Setting.INITIAL_WINDOW_SIZE: 1_000_000})
        content = framed(raw_request(*[[1.0, 2.0]] * rows).SerializeToString())
        got = {1: b"", 3: b""}
        for stream in got:
            parts = [data(stream, content[at : at + 16_384]) for at in range(0, len(content), 16_384)]
            await client.send(client.head(stream), *parts, data(stream, b"", Flag.END_STREAM))
            while not got[stream]:  # the next call only then: so many rows may not wait for the model
                part = await client.until(Kind.DATA)
                got[part.stream] += part.payload
        while sum(map(len, got.values())) < 65_535:
            part = await client.until(Kind.DATA)
            got[part.stream] += part.payload
        assert sum(map(len, got.values())) == 65_535
        await client.send(window_update(0, 1_000_000))
        while sum(map(len, got.values())) < 80_000:
            part = await client.until(Kind.DATA)
            got[part.stream] += part.payload
        assert [scores(content) for content in got.values()] == [[3.0] * rows] * 2


async def test_a_window_may_become_negative_and_grow_again(tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod, http2_client(pod.server, greet=False) as client:
        await pod.site.serve("1")
        await client.greet({Setting.INITIAL_WINDOW_SIZE: 30})
        await client.send(client.ask(1, MESSAGE))
        content = (await client.until(Kind.DATA)).payload
        await client.send(settings({Setting.INITIAL_WINDOW_SIZE: 0}))
        await client.send(window_update(1, 29), window_update(1, 1), window_update(1, 1_000))
        _, rest = await client.answer(1)
        assert scores(content + rest) == [3]


async def test_a_client_that_takes_nothing_is_cut_off(tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod, http2_client(pod.server, greet=False) as client:
        await pod.site.serve("1")
        await client.greet({Setting.INITIAL_WINDOW_SIZE: 0})
        await client.send(client.ask(1, MESSAGE))
        await client.until(Kind.HEADERS, 1)
        (link,) = pod.server.links
        link.sweep(asyncio.get_running_loop().time() + 21)
        assert (await client.until(Kind.RST_STREAM)).code == ErrorCode.CANCEL


async def test_a_silent_client_is_asked_and_then_dropped(tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod, http2_client(pod.server) as client:
        await client.send(frame(Kind.PING, 0, 0, b"12345678"))
        assert (await client.until(Kind.PING)).payload == b"12345678"
        (link,) = pod.server.links
        now = asyncio.get_running_loop().time()
        link.sweep(now + 76)
        asked = await client.until(Kind.PING)
        await client.send(frame(Kind.PING, 1, 0, asked.payload))
        await client.send(frame(Kind.PING, 0, 0, b"87654321"))
        await client.until(Kind.PING)
        link.sweep(now + 30)
        assert pod.server.connections == 1
        link.sweep(now + 76 * 2)
        link.sweep(now + 76 * 2 + 21)
        assert await client.closed()


@pytest.mark.parametrize("begun", [b"", PREFACE[:10], PREFACE])
async def test_a_client_that_does_not_say_what_it_speaks_is_dropped(begun: bytes, tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod, http2_client(pod.server, greet=False) as client:
        await client.send(begun)
        await until(lambda: pod.server.links)
        (link,) = pod.server.links
        link.sweep(asyncio.get_running_loop().time() + 11)
        assert await client.closed()


async def test_a_message_that_does_not_come_ends_its_call_and_no_other(tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod, http2_client(pod.server) as client:
        await pod.site.serve("1")
        await client.send(client.head(1), data(1, framed(MESSAGE)[:20]))
        await until(lambda: pod.server.load.buffered_bytes)
        (link,) = pod.server.links
        link.sweep(asyncio.get_running_loop().time() + 61)
        fields, _ = await client.answer(1)
        assert fields["grpc-status"] == "4"
        assert "did not arrive within" in fields["grpc-message"]
        await client.send(client.ask(3, MESSAGE))
        assert scores((await client.answer(3))[1]) == [3]
        assert pod.server.load.buffered_bytes == 0


async def test_data_for_a_call_that_is_over_is_refused_and_the_next_call_works(tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod, http2_client(pod.server) as client:
        await pod.site.serve("1")
        await client.send(client.head(1, Flag.END_HEADERS, _path="/nothing/here"))
        fields, _ = await client.answer(1)
        assert fields["grpc-status"] == "12"
        await client.send(*[data(1, b"x" * 100)] * 5)
        await client.send(client.ask(3, MESSAGE))
        assert scores((await client.answer(3))[1]) == [3]


async def test_more_streams_than_are_allowed_are_refused_so_that_they_may_be_tried_again(tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod, http2_client(pod.server) as client:
        await pod.site.serve("1")
        limit = pod.server.limits.streams
        await client.send(*(client.head(number) for number in range(1, limit * 2 + 2, 2)))
        refused = await client.until(Kind.RST_STREAM)
        assert (refused.stream, refused.code) == (limit * 2 + 1, ErrorCode.REFUSED_STREAM)
        assert pod.server.load.calls == limit
    await until(lambda: pod.server.load.calls == 0)


async def test_calls_that_are_begun_and_reset_at_once_cost_the_connection(tmp_path: Path) -> None:
    async with rpc_site(tmp_path, frames_per_second=1000) as pod, http2_client(pod.server) as client:
        await pod.site.serve("1")
        head = client.head(1)
        block = client.head(3)[9:]  # only indices: the table has all of it
        await client.send(head, frame(Kind.RST_STREAM, 0, 1, b"\0\0\0\x08"))
        for start in range(3, 24_000, 2000):
            numbers = range(start, start + 2000, 2)
            await client.send(
                *(
                    frame(Kind.HEADERS, Flag.END_HEADERS, n, block) + frame(Kind.RST_STREAM, 0, n, b"\0\0\0\x08")
                    for n in numbers
                )
            )
        assert (await client.until(Kind.GOAWAY)).code == ErrorCode.ENHANCE_YOUR_CALM
        assert pod.server.load.calls == 0


async def test_more_data_than_the_window_has_room_for_resets_the_stream(tmp_path: Path) -> None:
    async with rpc_site(tmp_path, max_body_bytes=64 * 1024 * 1024) as pod, http2_client(pod.server) as client:
        await pod.site.serve("1")
        stream = client.head(1, Flag.END_HEADERS, _path="/inference.GRPCInferenceService/ModelStreamInfer")
        waiting = framed(b"")  # it is held back: the service answers 16 at a time, and these wait
        pod.site.responder.held = asyncio.Event()
        await client.send(stream, data(1, framed(MESSAGE) * 17))
        sent = 0
        while sent <= pod.server.limits.stream_window:
            await client.send(data(1, waiting * 3000))
            sent += len(waiting) * 3000
        assert (await client.until(Kind.RST_STREAM, 1)).code == ErrorCode.FLOW_CONTROL_ERROR
        pod.site.responder.held.set()


async def test_a_server_that_leaves_says_goodbye_twice_and_answers_what_came_in_between(tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod, http2_client(pod.server) as client:
        await pod.site.serve("1")
        await client.send(client.ask(1, MESSAGE))
        await client.answer(1)
        stopping = asyncio.ensure_future(pod.server.stop(60.0))
        first = await client.until(Kind.GOAWAY)
        assert struct.unpack(">II", first.payload[:8]) == (LAST_STREAM, ErrorCode.NO_ERROR)
        ping = await client.until(Kind.PING)
        await client.send(client.ask(3, MESSAGE), frame(Kind.PING, 1, 0, ping.payload))
        last = await client.until(Kind.GOAWAY)  # it may overtake the answer
        assert struct.unpack(">II", last.payload[:8]) == (3, ErrorCode.NO_ERROR)
        _, content = await client.answer(3)
        assert scores(content) == [3]
        assert await client.closed()
        await asyncio.wait_for(stopping, 60)


async def test_a_client_that_never_answers_does_not_hold_the_servers_end_up(tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod, http2_client(pod.server) as client:
        await client.until(Kind.SETTINGS)
        await client.send(client.head(1))
        await until(lambda: pod.server.load.calls == 1)
        await asyncio.wait_for(pod.server.stop(1.5), 30)
        assert pod.server.load.calls == 0
        assert await client.closed()


async def test_windows_that_open_byte_by_byte_are_shared_and_cost_little(tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod, http2_client(pod.server, greet=False) as client:
        await pod.site.serve("1")
        await client.greet({Setting.INITIAL_WINDOW_SIZE: 1_000_000})
        big = framed(raw_request(*[[1.0, 2.0]] * 2000).SerializeToString())
        numbers = range(1, 41, 2)  # 160 KB of answers for a window of 64 KB
        for number in numbers:
            parts = [data(number, big[at : at + 16_384]) for at in range(0, len(big), 16_384)]
            await client.send(client.head(number), *parts, data(number, b"", Flag.END_STREAM))
            await until(lambda: len(pod.site.responder.after) * 2 > number)  # noqa: B023 - it is called at once
        got = dict.fromkeys(numbers, b"")
        while sum(map(len, got.values())) < 65_535:
            part = await client.until(Kind.DATA)
            got[part.stream] += part.payload
        waiting = {number for number, content in got.items() if len(content) < 8000}
        await client.send(window_update(0, 1) * len(waiting))
        moved = {(await client.until(Kind.DATA)).stream for _ in waiting}
        assert moved == waiting


async def test_health_is_answered_when_no_other_call_is(tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod:
        await pod.site.serve("1")
        pod.server.load.max_calls = 0
        error = await pod.refusal(raw_request([1, 2]))
        assert (error.code().name, error.details()) == ("UNAVAILABLE", "0 calls are open; try again")
        assert (await pod.call("ServerReady", wire.ServerReadyRequest(), wire.ServerReadyResponse)).ready
