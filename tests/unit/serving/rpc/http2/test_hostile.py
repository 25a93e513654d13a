"""What a client without a key, or with one and bad manners, cannot take away from the others."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from podium_serving.rpc.framing import framed
from podium_serving.rpc.health import HEALTH
from podium_serving.rpc.http2.frames import ErrorCode, Flag, Kind, Setting, frame, window_update
from podium_serving.rpc.http2.sending import LEAST_PROGRESS, Sender
from podium_serving.rpc.reflection import REFLECTION
from podium_serving.rpc.server import INFERENCE
from rpc_fixtures import http2_client, raw_request, raw_scores, rpc_site
from serving_lane_fixtures import until

pytestmark = pytest.mark.process

MESSAGE = raw_request([1, 2]).SerializeToString()


async def test_whoever_watches_health_takes_no_place_of_a_call(tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod, http2_client(pod.server) as client:
        await pod.site.serve("1")
        pod.server.load.max_calls = pod.server.open_load.max_calls = 2
        watch = health_pb2.HealthCheckRequest().SerializeToString()
        await client.send(*(client.ask(number, watch, _path=f"/{HEALTH}/Watch") for number in (1, 3, 5)))
        assert (await client.answer(5))[0]["grpc-message"] == "2 calls are open; try again"
        assert (pod.server.open_load.calls, pod.server.load.calls) == (2, 0)
        assert raw_scores(await pod.infer(raw_request([1, 2]))) == [3]
    await until(lambda: pod.server.open_load.calls == 0)


async def test_large_messages_of_those_without_a_key_take_no_room_of_a_calls(tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod, http2_client(pod.server) as client:
        await pod.site.serve("1")
        part = frame(Kind.DATA, 0, 1, framed(b"x" * 70_000)[:16_000])
        await client.send(client.head(1, Flag.END_HEADERS, _path=f"/{HEALTH}/Check"), part)
        assert (await client.answer(1))[0]["grpc-status"] == "8"
        assert pod.server.load.buffered_bytes == pod.server.open_load.buffered_bytes == 0


async def test_questions_whose_answers_nobody_reads_are_not_answered_for_ever(tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod, http2_client(pod.server, greet=False) as client:
        await client.greet({Setting.INITIAL_WINDOW_SIZE: 0})
        question = framed(reflection_pb2.ServerReflectionRequest(list_services="*").SerializeToString())
        path = f"/{REFLECTION}/ServerReflectionInfo"
        await client.send(client.head(1, Flag.END_HEADERS, _path=path), frame(Kind.DATA, 0, 1, question * 100))
        await client.until(Kind.HEADERS, 1)
        await client.send(window_update(1, 1_000_000))
        assert (await client.answer(1))[0]["grpc-message"].startswith("the answers so far are not read")


async def test_answers_that_wait_for_a_window_are_of_the_ports_buffer_until_they_are_gone(tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod, http2_client(pod.server, greet=False) as client:
        await pod.site.serve("1")
        await client.greet({Setting.INITIAL_WINDOW_SIZE: 0})
        await client.send(*(client.ask(number, MESSAGE) for number in (1, 3, 5)))
        await until(lambda: len(pod.site.responder.after) == 3)
        one = pod.server.load.buffered_bytes // 3
        assert one > 0
        await client.send(window_update(1, 1_000_000), frame(Kind.RST_STREAM, 0, 3, b"\0\0\0\x08"))
        await until(lambda: pod.server.load.buffered_bytes == one)
    await until(lambda: pod.server.load.buffered_bytes == 0)


async def test_calls_that_the_server_is_made_to_reset_cost_the_connection(tmp_path: Path) -> None:
    async with rpc_site(tmp_path, frames_per_second=1000) as pod, http2_client(pod.server) as client:
        await pod.site.serve("1")
        await client.send(client.head(1), window_update(1, 0))
        block = client.head(3)[9:]  # only indices: the table has all of it
        for start in range(3, 24_000, 2000):
            numbers = range(start, start + 2000, 2)
            await client.send(
                *(frame(Kind.HEADERS, Flag.END_HEADERS, number, block) + window_update(number, 0) for number in numbers)
            )
        assert (await client.until(Kind.GOAWAY)).code == ErrorCode.ENHANCE_YOUR_CALM
        assert pod.server.load.calls == 0


async def test_a_client_that_takes_a_byte_now_and_then_is_cut_off(tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod, http2_client(pod.server, greet=False) as client:
        await pod.site.serve("1")
        await client.greet({Setting.INITIAL_WINDOW_SIZE: 0})
        await client.send(client.ask(1, MESSAGE))
        await client.until(Kind.HEADERS, 1)
        (link,) = pod.server.links
        began = asyncio.get_running_loop().time()
        for _ in range(3):
            await client.send(window_update(1, 1))
            assert len((await client.until(Kind.DATA, 1)).payload) == 1
            link.sweep(began + 15)
        link.sweep(began + 25)
        assert (await client.until(Kind.RST_STREAM)).code == ErrorCode.CANCEL
        assert pod.server.load.buffered_bytes == 0


async def test_a_slow_client_that_takes_its_answer_bit_by_bit_is_not_cut_off() -> None:
    loop = _Clock()
    sender = Sender(loop, _Nowhere(), lambda _: None)  # type: ignore[arg-type]  # what it needs of a loop and a transport
    out = sender.opened(1)
    out.window = 0
    sender.data(out, bytes(4 * LEAST_PROGRESS))
    for _ in range(16):
        loop.now += 5
        sender.window_grew(LEAST_PROGRESS, None, 0)
        sender.window_grew(LEAST_PROGRESS // 4, out, 1)
        assert loop.now - (out.waits_since or loop.now) <= 20
    assert (sender.waiting, out.waits_since) == ([], 0)


async def test_answers_of_a_stream_that_nobody_reads_are_of_the_ports_buffer(tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod, http2_client(pod.server, greet=False) as client:
        await pod.site.serve("1")
        await client.greet({Setting.INITIAL_WINDOW_SIZE: 0})
        path = f"/{INFERENCE}/ModelStreamInfer"
        for number in (1, 3):
            await client.send(
                client.head(number, Flag.END_HEADERS, _path=path), frame(Kind.DATA, 0, number, framed(MESSAGE) * 10)
            )
        await until(lambda: len(pod.site.responder.after) == 20)
        one = pod.server.load.buffered_bytes // 2
        assert one > 10 * len(MESSAGE) // 2
        await client.send(frame(Kind.RST_STREAM, 0, 3, b"\0\0\0\x08"))
        await until(lambda: pod.server.load.buffered_bytes == one)
        await client.send(window_update(1, 1_000_000))
        await until(lambda: pod.server.load.buffered_bytes == 0)


async def test_trailers_of_a_call_that_was_answered_before_its_end_are_passed_over(tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod, http2_client(pod.server) as client:
        await pod.site.serve("1")
        await client.send(client.head(1, Flag.END_HEADERS, _path="/nothing/here"))
        assert (await client.answer(1))[0]["grpc-status"] == "12"
        trailers = frame(Kind.HEADERS, Flag.END_HEADERS | Flag.END_STREAM, 1, client.encoder.encode([("last", "word")]))
        await client.send(trailers, client.ask(3, MESSAGE))
        fields, _ = await client.answer(3)
        assert fields["grpc-status"] == "0"


async def test_a_connection_that_cannot_be_swept_is_cut_off_and_the_others_still_are_swept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with rpc_site(tmp_path) as pod, http2_client(pod.server) as broken, http2_client(pod.server) as other:
        await until(lambda: len(pod.server.links) == 2)
        for client in (broken, other):
            await client.send(client.head(1, Flag.END_HEADERS))
        await until(lambda: pod.server.load.calls == 2)
        port = broken.writer.get_extra_info("sockname")[1]
        link = next(link for link in pod.server.links if _peer_port(link) == port)
        link._asked_at = None  # type: ignore[attr-defined]
        assert await broken.closed()
        assert (await other.answer(1))[0]["grpc-status"] == "4"
    assert "cannot be swept" in caplog.text


def _peer_port(link: Any) -> int:
    return int(link._transport.get_extra_info("peername")[1])


class _Clock:
    now = 100.0

    def time(self) -> float:
        return self.now

    def call_soon(self, work: Any) -> None: ...


class _Nowhere:
    def is_closing(self) -> bool:
        return True
