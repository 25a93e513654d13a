"""ModelStreamInfer: an answer for each request, in their order, with a bound on what is worked on."""

import asyncio
import gc
import weakref
from pathlib import Path
from typing import Any

import grpc
import pytest

from podium_serving.rpc import inference_pb2 as wire
from podium_serving.rpc.framing import framed
from podium_serving.rpc.http2.frames import Flag, Kind, Setting, frame, window_update
from podium_serving.rpc.server import INFERENCE
from rpc_fixtures import RpcSite, http2_client, raw_request, raw_scores, rpc_site
from serving_lane_fixtures import until

pytestmark = pytest.mark.process


def stream(pod: RpcSite, **options: Any) -> Any:
    return pod.channel.stream_stream(
        f"/{INFERENCE}/ModelStreamInfer",
        wire.ModelInferRequest.SerializeToString,
        wire.ModelStreamInferResponse.FromString,
    )(timeout=60, **options)


async def test_answers_come_in_the_order_of_their_requests(tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod:
        await pod.site.serve("1", weights=[1, 10])
        call = stream(pod)

        async def ask() -> None:
            for number in range(200):
                await call.write(raw_request([number, 1], id=str(number)))
            await call.done_writing()

        asking = asyncio.ensure_future(ask())
        got = [answer async for answer in call]
        await asking
        assert [answer.infer_response.id for answer in got] == [str(number) for number in range(200)]
        assert [raw_scores(answer.infer_response) for answer in got] == [[number + 10] for number in range(200)]
        assert {answer.error_message for answer in got} == {""}
        assert (await call.code()) is grpc.StatusCode.OK
    assert pod.server.load.calls == 0


async def test_a_request_that_fails_is_told_so_in_its_place_and_the_stream_goes_on(tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod:
        await pod.site.serve("1")
        call = stream(pod)
        for name, model in (("a", "churn"), ("b", "other"), ("c", "churn")):
            await call.write(raw_request([1, 1], id=name, model=model))
        await call.done_writing()
        got = [answer async for answer in call]
        assert [answer.infer_response.id for answer in got] == ["a", "", "c"]
        assert got[1].error_message == "no model 'other' here; this endpoint serves 'churn'"
        assert pod.site.state.current is not None
        assert pod.site.state.current.open_requests == 0


async def test_only_so_many_requests_of_a_stream_are_worked_on_at_a_time(tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod:
        await pod.site.serve("1")
        held = pod.site.responder.held = asyncio.Event()
        call = stream(pod)
        for number in range(100):
            await call.write(raw_request([number, 1]))
        await until(lambda: len(pod.site.responder.asked) == 16)
        await asyncio.sleep(0.05)
        assert len(pod.site.responder.asked) == 16
        held.set()
        await call.done_writing()
        assert len([answer async for answer in call]) == 100


async def test_a_client_that_does_not_read_is_not_worked_for_without_end(tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod, http2_client(pod.server, greet=False) as client:
        await pod.site.serve("1")
        await client.greet({Setting.INITIAL_WINDOW_SIZE: 100})
        message = framed(raw_request([1, 1]).SerializeToString())
        await client.send(client.head(1, Flag.END_HEADERS, _path=f"/{INFERENCE}/ModelStreamInfer"))
        await client.send(*[frame(Kind.DATA, 0, 1, message)] * 300, frame(Kind.DATA, Flag.END_STREAM, 1))
        await client.send(frame(Kind.PING, 0, 0, b"all read"))
        await client.until(Kind.PING)
        asked = len(pod.site.responder.asked)
        assert asked < 100
        await client.send(window_update(1, 1_000_000))
        fields, content = await client.answer(1)
        assert fields["grpc-status"] == "0"
        assert len(pod.site.responder.asked) == 300
        assert len(content) > 299 * 40


async def test_a_client_that_leaves_within_its_stream_leaves_nothing_behind(tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod:
        await pod.site.serve("1")
        pod.site.responder.held = asyncio.Event()
        call = stream(pod)
        for number in range(50):
            await call.write(raw_request([number, 1]))
        await until(lambda: len(pod.site.responder.asked) == 16)
        call.cancel()
        await until(lambda: pod.server.load.calls == 0)
        assert pod.server.load.buffered_bytes == 0
        assert pod.site.state.current is not None
        assert pod.site.state.current.open_requests == 0


async def test_a_stream_ends_at_its_deadline(tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod:
        await pod.site.serve("1")
        call = pod.channel.stream_stream(
            f"/{INFERENCE}/ModelStreamInfer",
            wire.ModelInferRequest.SerializeToString,
            wire.ModelStreamInferResponse.FromString,
        )(timeout=0.3)
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await call.read()
        assert error.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        await until(lambda: pod.server.load.calls == 0)


async def test_a_message_that_is_too_large_ends_its_stream(tmp_path: Path) -> None:
    async with rpc_site(tmp_path, max_body_bytes=10_000) as pod:
        await pod.site.serve("1")
        call = stream(pod)
        await call.write(raw_request(*[[1.0, 1.0]] * 5000))
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await call.read()
        assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert pod.server.load.buffered_bytes == 0


async def test_an_answered_request_is_freed_at_once_and_not_by_the_garbage_collector(tmp_path: Path) -> None:
    """The collector comes after 50,000 new objects: by then large messages would have filled the memory."""
    async with rpc_site(tmp_path) as pod:
        await pod.site.serve("1")
        responder = pod.site.responder
        gc.disable()
        try:
            call = stream(pod)
            for _ in range(3):
                await pod.infer(raw_request([1, 2]))
                await call.write(raw_request([1, 2]))
                assert (await call.read()).error_message == ""
            asked = [weakref.ref(request) for request in responder.asked]
            responder.asked.clear()
            responder.after.clear()
            await until(lambda: [request for request in asked if request() is not None] == [])
            await call.done_writing()
        finally:
            gc.enable()
    assert len(asked) == 6
