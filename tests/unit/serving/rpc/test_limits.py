"""Large, compressed, damaged and too many messages of calls."""

import asyncio
import gzip
import struct
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import pytest

from podium_serving.rpc import inference_pb2 as wire
from podium_serving.rpc.framing import framed
from podium_serving.rpc.http2.frames import Flag, Kind, Setting, frame, window_update
from rpc_fixtures import http2_client, raw_request, raw_scores, rpc_site
from serving_lane_fixtures import until

pytestmark = pytest.mark.process


async def test_large_messages_go_both_ways_beyond_every_window(tmp_path: Path) -> None:
    rows = 700_000
    async with rpc_site(tmp_path) as pod:
        await pod.site.serve("1", weights=[1, 2])
        request = wire.ModelInferRequest(model_name="churn")
        columns = [np.arange(rows, dtype=np.float32), np.full(rows, 0.5, np.float32)]
        for index, column in enumerate(columns):
            request.inputs.add(name=f"x{index}", datatype="FP32", shape=[rows, 1])
            request.raw_input_contents.append(column.tobytes())
        for _ in range(3):
            answer = await pod.infer(request)
            np.testing.assert_array_equal(np.frombuffer(answer.raw_output_contents[0], np.float32), columns[0] + 1)
        assert pod.server.load.buffered_bytes == 0


async def test_a_message_above_the_limit_is_refused_and_the_connection_lives(tmp_path: Path) -> None:
    async with rpc_site(tmp_path, max_body_bytes=100_000) as pod:
        await pod.site.serve("1")
        error = await pod.refusal(raw_request(*[[1.0, 1.0]] * 20_000))
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "at most 100000 are taken" in str(error.details())
        assert raw_scores(await pod.infer(raw_request([1, 2]))) == [3]


async def test_many_large_messages_at_once_are_refused_before_memory_is_full(tmp_path: Path) -> None:
    async with rpc_site(tmp_path, max_buffered_bytes=300_000) as pod:
        await pod.site.serve("1")
        errors = await asyncio.gather(
            *(pod.infer(raw_request(*[[1.0, 1.0]] * 20_000)) for _ in range(6)), return_exceptions=True
        )
        refused = [error for error in errors if isinstance(error, grpc.aio.AioRpcError)]
        assert refused
        assert {error.code() for error in refused} == {grpc.StatusCode.UNAVAILABLE}
        assert pod.server.load.buffered_bytes == 0


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
async def test_compressed_messages_are_read(compression: grpc.Compression, tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod:
        await pod.site.serve("1")
        assert raw_scores(await pod.infer(raw_request([1, 2]), compression=compression)) == [3]


async def test_a_compressed_message_that_grows_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    async with rpc_site(tmp_path, max_body_bytes=100_000) as pod:
        await pod.site.serve("1")
        async with http2_client(pod.server) as client:
            bomb = gzip.compress(b"\0" * 10_000_000)
            content = b"\1" + struct.pack(">I", len(bomb)) + bomb
            await client.send(client.head(1, grpc_encoding="gzip"), b"".join(_data_frames(1, content)))
            fields, _ = await client.answer(1)
            assert fields["grpc-status"] == str(grpc.StatusCode.RESOURCE_EXHAUSTED.value[0])


def _data_frames(stream: int, content: bytes) -> list[bytes]:
    parts = [content[at : at + 16_384] for at in range(0, len(content), 16_384)]
    return [
        frame(Kind.DATA, Flag.END_STREAM if index == len(parts) - 1 else 0, stream, part) for index, part in enumerate(parts)
    ]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        pytest.param(b"", "the call has no message", id="none"),
        pytest.param(b"\0\0", "ended within its message", id="half-a-prefix"),
        pytest.param(b"\0\0\0\0\x09abc", "ended within its message", id="half-a-message"),
        pytest.param(framed(b"") * 2, "more than one message", id="two"),
        pytest.param(b"\1\0\0\0\1x", "has the flag 1", id="compressed-by-nothing"),
        pytest.param(b"\7\0\0\0\1x", "has the flag 7", id="unknown-flag"),
        pytest.param(framed(b"\xff" * 20), "not a ModelInferRequest", id="no-protobuf"),
    ],
)
async def test_a_call_that_is_no_single_message_is_refused(content: bytes, text: str, tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod:
        await pod.site.serve("1")
        async with http2_client(pod.server) as client:
            await client.send(client.head(1), frame(Kind.DATA, Flag.END_STREAM, 1, content))
            fields, _ = await client.answer(1)
            assert fields["grpc-status"] == "3"
            assert text in fields["grpc-message"].replace("%25", "%")


async def test_a_large_compressed_message_is_undone_beside_the_loop(tmp_path: Path) -> None:
    rows = 4000
    async with rpc_site(tmp_path) as pod:
        await pod.site.serve("1")
        values = [[float(n), 0.5] for n in range(rows)]
        answer = await pod.infer(raw_request(*values), compression=grpc.Compression.Gzip)
        assert raw_scores(answer) == [n + 0.5 for n in range(rows)]
        async with http2_client(pod.server) as client:
            broken = gzip.compress(np.random.default_rng(0).bytes(20_000))[:-9]
            content = b"\1" + struct.pack(">I", len(broken)) + broken
            await client.send(client.head(1, grpc_encoding="gzip"), b"".join(_data_frames(1, content)))
            fields, _ = await client.answer(1)
            assert (fields["grpc-status"], fields["grpc-message"]) == ("3", "a message is not one whole gzip stream")
        assert pod.server.load.calls == 0


async def test_a_compressed_message_of_a_stream_is_bounded_more_tightly(tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod, http2_client(pod.server) as client:
        await pod.site.serve("1")
        bomb = gzip.compress(b"\0" * 5_000_000)
        content = b"\1" + struct.pack(">I", len(bomb)) + bomb
        head = client.head(1, grpc_encoding="gzip", _path="/inference.GRPCInferenceService/ModelStreamInfer")
        await client.send(head, b"".join(_data_frames(1, content)))
        fields, _ = await client.answer(1)
        assert fields["grpc-status"] == str(grpc.StatusCode.RESOURCE_EXHAUSTED.value[0])


@pytest.mark.parametrize("compressed", [False, True])
async def test_a_large_message_that_is_called_off_before_it_is_read_is_forgotten(compressed: bool, tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod, http2_client(pod.server, greet=False) as client:
        await pod.site.serve("1")
        await client.greet({Setting.INITIAL_WINDOW_SIZE: 1 << 20})
        await client.send(window_update(0, 1 << 20))
        load, busy = pod.server.load, threading.Event()
        reading = asyncio.ensure_future(load.reading.read(busy.wait, 0))
        message = raw_request(*[[float(n), 0.5] for n in range(140_000)]).SerializeToString()
        packed = gzip.compress(message, 1)
        content = b"\1" + struct.pack(">I", len(packed)) + packed if compressed else framed(message)
        for number in (1, 3, 5):
            await client.send(client.head(number, grpc_encoding="gzip"), b"".join(_data_frames(number, content)))
        await until(lambda: load.buffered_bytes == 3 * len(content))
        await client.send(*(frame(Kind.RST_STREAM, 0, number, b"\0\0\0\x08") for number in (1, 3)))
        await until(lambda: load.buffered_bytes == len(content))
        busy.set()
        await reading
        fields, _ = await client.answer(5)
        assert fields["grpc-status"] == "0"
        await until(lambda: load.buffered_bytes == 0)


async def test_a_message_that_is_called_off_while_it_is_read_counts_until_the_thread_is_done(
    tmp_path: Path,
) -> None:
    async with rpc_site(tmp_path) as pod:
        load, busy = pod.server.load, threading.Event()
        reading = asyncio.ensure_future(load.reading.read(busy.wait, 1000))
        await until(lambda: load.buffered_bytes == 1000)
        reading.cancel()
        await asyncio.wait([reading])
        assert load.buffered_bytes == 1000
        busy.set()
        await until(lambda: load.buffered_bytes == 0)
        assert await load.reading.read(int, 1000) == 0


async def test_what_a_compressed_message_becomes_is_of_the_ports_buffer(tmp_path: Path) -> None:
    async with rpc_site(tmp_path, max_buffered_bytes=100_000) as pod:
        await pod.site.serve("1")
        zeros = [[0.0, 0.0]] * 20_000
        error = await pod.refusal(raw_request(*zeros), compression=grpc.Compression.Gzip)
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert pod.server.load.buffered_bytes == 0
        small = await pod.infer(raw_request(*zeros[:5000]), compression=grpc.Compression.Gzip)
        assert raw_scores(small) == [0.0] * 5000
    assert pod.server.load.buffered_bytes == 0


async def test_a_call_that_no_thread_can_read_is_answered_and_the_next_one_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with rpc_site(tmp_path) as pod:
        await pod.site.serve("1")
        request = raw_request(*[[float(n), 0.5] for n in range(4000)])
        loop, ended = asyncio.get_running_loop(), ThreadPoolExecutor(1)
        ended.shutdown()
        loop.set_default_executor(ended)
        error = await pod.refusal(request, compression=grpc.Compression.Gzip)
        assert (error.code(), error.details()) == (grpc.StatusCode.INTERNAL, "this server failed; its log says more")
        loop.set_default_executor(ThreadPoolExecutor(1))
        assert len(raw_scores(await pod.infer(request, compression=grpc.Compression.Gzip))) == 4000
        assert (pod.server.load.calls, pod.server.load.buffered_bytes) == (0, 0)
    assert "a call of /inference.GRPCInferenceService/ModelInfer failed" in caplog.text
