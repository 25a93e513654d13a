"""Inference over a real gRPC connection, as the stock client makes it."""

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest

from podium_serving.http.gate import Gate
from podium_serving.rpc import inference_pb2 as wire
from podium_serving.rpc.server import INFERENCE
from podium_serving.security.upkeep import Upkeep
from rpc_fixtures import has_left, http2_client, raw_request, raw_scores, rpc_site, typed_request
from serving_lane_fixtures import until

pytestmark = pytest.mark.process


async def test_raw_contents_are_answered_raw_and_typed_contents_typed(tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod:
        await pod.site.serve("1", weights=[2, 3])
        raw = await pod.infer(raw_request([1, 10], [2, 20]))
        assert raw_scores(raw) == [32, 64]
        assert [(out.name, out.datatype, list(out.shape)) for out in raw.outputs] == [("score", "FP32", [2, 1])]
        assert not raw.outputs[0].HasField("contents")
        typed = await pod.infer(typed_request([1, 10], [2, 20]))
        assert list(typed.outputs[0].contents.fp32_contents) == [32, 64]
        assert list(typed.raw_output_contents) == []
        assert (typed.model_name, typed.model_version, typed.id) == ("churn", "churn-1", "")


async def test_the_answers_metadata_says_who_answered_what(tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod:
        await pod.site.serve("1", epoch=7)
        call = pod.channel.unary_unary(
            f"/{INFERENCE}/ModelInfer", wire.ModelInferRequest.SerializeToString, wire.ModelInferResponse.FromString
        )(raw_request([1, 1], id="mine"), timeout=60)
        metadata = dict(await call.initial_metadata() or ())
        assert metadata["podium-version"] == "churn-1"
        assert metadata["podium-epoch"] == "7"
        assert metadata["podium-arm"] == "champion"
        assert metadata["podium-request-id"] == "mine"
        assert "podium-fallback" not in metadata
        assert (await call).id == "mine"


@pytest.mark.parametrize(
    ("metadata", "message_id", "request_id"),
    [
        pytest.param([("x-request-id", "theirs")], "", "theirs", id="from-metadata"),
        pytest.param([("x-request-id", "theirs")], "mine", "mine", id="the-messages-own-first"),
    ],
)
async def test_a_request_is_called_as_its_client_calls_it(
    metadata: list[tuple[str, str]], message_id: str, request_id: str, tmp_path: Path
) -> None:
    async with rpc_site(tmp_path) as pod:
        await pod.site.serve("1")
        answer = await pod.infer(raw_request([1, 1], id=message_id), metadata=metadata)
        assert answer.id == message_id
        assert pod.site.responder.asked[0].request_id == request_id


async def test_the_engine_gets_metadata_without_podiums_own_and_the_trace(tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod:
        await pod.site.serve("1")
        await pod.infer(raw_request([1, 1]), metadata=[("customer", "42"), ("podium-arm", "evil")])
        (asked,) = pod.site.responder.asked
        assert asked.headers["customer"] == "42"
        assert "podium-arm" not in asked.headers
        assert list(asked.columns) == ["x0", "x1"]
        assert len(pod.site.responder.after) == 1


@pytest.mark.parametrize(
    ("change", "code", "text"),
    [
        pytest.param({"model": "other"}, "NOT_FOUND", "no model 'other' here; this endpoint serves 'churn'", id="model"),
        pytest.param({"model_version": "9"}, "NOT_FOUND", "version '9' of model 'churn' does not serve", id="version"),
    ],
)
async def test_what_is_not_here_is_not_found(change: dict[str, str], code: str, text: str, tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod:
        await pod.site.serve("1")
        error = await pod.refusal(raw_request([1, 1], **change))
        assert error.code().name == code
        assert text in str(error.details())
        assert pod.site.state.current is not None
        assert pod.site.state.current.open_requests == 0


async def test_the_only_model_needs_no_name_and_a_version_that_serves_may_be_named(tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod:
        await pod.site.serve("1")
        assert (await pod.infer(raw_request([1, 1], model=""))).model_name == "churn"
        await pod.infer(raw_request([1, 1], model_version="churn-1"))
        assert pod.site.responder.asked[1].pinned_version == "churn-1"


async def test_before_a_version_serves_a_call_is_unavailable_and_may_be_tried_again(tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod:
        error = await pod.refusal(raw_request([1, 1]))
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert dict(error.trailing_metadata() or ())["grpc-retry-pushback-ms"] == "1000"


async def test_a_refusal_says_what_is_wrong_in_any_language(tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod:
        await pod.site.serve("1")
        request = raw_request([1, 1])
        request.inputs[0].name = "größe 100 %"
        error = await pod.refusal(request)
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert error.details() == "the model has no input 'größe 100 %'; it takes 'x0', 'x1'"
        assert raw_scores(await pod.infer(raw_request([1, 2]))) == [3]


async def test_a_call_that_is_too_late_for_its_deadline_says_so(tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod:
        await pod.site.serve("1")
        async with http2_client(pod.server) as client:
            message = raw_request([1, 1]).SerializeToString()
            await client.send(client.ask(1, message, grpc_timeout="1n"))
            fields, _ = await client.answer(1)
            assert fields["grpc-status"] == str(grpc.StatusCode.DEADLINE_EXCEEDED.value[0])


@pytest.mark.parametrize(
    ("options", "least", "most"),
    [
        pytest.param({}, 19, 20, id="the-plans"),
        pytest.param({"metadata": [("podium-timeout-milliseconds", "7000")]}, 6, 7, id="the-headers"),
        pytest.param({"metadata": [("podium-timeout-milliseconds", "70000")]}, 9, 20, id="never-above-the-plans"),
        pytest.param({"metadata": [("grpc-timeout", "12S")]}, 11, 12, id="the-calls"),
    ],
)
async def test_the_earliest_deadline_counts(
    options: dict[str, list[tuple[str, str]]], least: float, most: float, tmp_path: Path
) -> None:
    async with rpc_site(tmp_path) as pod:
        await pod.site.serve("1", timeout_milliseconds=20_000)
        async with http2_client(pod.server) as client:
            headers: dict[str, Any] = dict(options.get("metadata", []))
            await client.send(client.ask(1, raw_request([1, 1]).SerializeToString(), **headers))
            await client.answer(1)
        (asked,) = pod.site.responder.asked
        assert least < asked.deadline - asked.admitted_at < most + 3  # to the whole message


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "soon", "99999999999"])
async def test_a_timeout_that_is_none_is_refused(value: str, tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod:
        await pod.site.serve("1")
        error = await pod.refusal(raw_request([1, 1]), metadata=[("podium-timeout-milliseconds", value)])
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_client_that_gives_up_is_waited_for_no_longer(tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod:
        await pod.site.serve("1")
        assert pod.site.state.current is not None
        pod.site.responder.held = asyncio.Event()
        call = asyncio.ensure_future(pod.infer(raw_request([1, 1])))
        await until(lambda: pod.site.responder.asked)
        assert pod.site.state.current.open_requests == 1
        call.cancel()
        await until(lambda: pod.site.state.current is not None and pod.site.state.current.open_requests == 0)
        assert pod.server.load.calls == 0
        assert pod.server.load.buffered_bytes == 0
        assert b'code="499"' in pod.site.metrics.exposition()


async def test_answers_of_calls_at_the_same_time_are_not_mixed_up(tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod:
        await pod.site.serve("1", weights=[1, 1000])
        answers = await asyncio.gather(*(pod.infer(raw_request([n, n + 1], id=str(n))) for n in range(300)))
        assert [answer.id for answer in answers] == [str(n) for n in range(300)]
        assert [raw_scores(answer) for answer in answers] == [[n + 1000 * (n + 1)] for n in range(300)]


async def test_a_call_of_nothing_that_is_here_is_unimplemented(tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod:
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await pod.call("ModelConfig", wire.ModelReadyRequest(name="churn"), wire.ModelReadyResponse)
        assert error.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert error.value.details() == "nothing is called /inference.GRPCInferenceService/ModelConfig here"


class _OnlyWithKey:
    def refusal(self, authorization: bytes, api_key: bytes) -> Any:
        from podium_serving.http.responses import Unauthorized

        return None if api_key == b"k1" or authorization == b"Bearer k1" else Unauthorized("send a key")

    def caller(self, authorization: bytes, api_key: bytes) -> str:
        return "somebody"


async def test_who_may_not_ask_is_told_so_and_health_is_open_to_all(tmp_path: Path) -> None:
    async with rpc_site(tmp_path, gate=Gate(_OnlyWithKey(), Upkeep())) as pod:
        await pod.site.serve("1")
        error = await pod.refusal(raw_request([1, 2]))
        assert (error.code(), error.details()) == (grpc.StatusCode.UNAUTHENTICATED, "send a key")
        assert raw_scores(await pod.infer(raw_request([1, 2]), metadata=[("x-api-key", "k1")])) == [3]
        assert raw_scores(await pod.infer(raw_request([1, 2]), metadata=[("authorization", "Bearer k1")])) == [3]
        assert (await pod.call("ServerReady", wire.ServerReadyRequest(), wire.ServerReadyResponse)).ready
        with pytest.raises(grpc.aio.AioRpcError):
            await pod.call("ModelMetadata", wire.ModelMetadataRequest(name="churn"), wire.ModelMetadataResponse)


async def test_draining_answers_what_is_open_and_sends_clients_elsewhere(tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod:
        await pod.site.serve("1")
        held = pod.site.responder.held = asyncio.Event()
        call = asyncio.ensure_future(pod.infer(raw_request([1, 2])))
        await until(lambda: pod.site.responder.asked)
        stopping = asyncio.ensure_future(pod.server.stop(60.0))
        await asyncio.sleep(0)
        assert pod.server.connections == 1
        held.set()
        assert raw_scores(await call) == [3]
        await asyncio.wait_for(stopping, 60)
        assert pod.server.connections == 0


async def test_load_while_it_drains_fails_no_call(tmp_path: Path) -> None:
    """A client that keeps calling on one channel sees answers, and then that the server has left: refused, or told in GOAWAY
    that its stream was not looked at, which is safe to try elsewhere. Every call that was taken was answered."""
    async with rpc_site(tmp_path) as pod:
        await pod.site.serve("1")
        answered = 0
        errors: list[grpc.aio.AioRpcError] = []

        async def caller() -> None:
            nonlocal answered
            while True:
                try:
                    await pod.infer(raw_request([1, 2]), wait_for_ready=False)
                    answered += 1
                except grpc.aio.AioRpcError as error:
                    errors.append(error)
                    return

        callers = [asyncio.ensure_future(caller()) for _ in range(8)]
        await until(lambda: answered > 100)
        await pod.server.stop(60.0)
        await asyncio.gather(*callers)
        assert all(has_left(str(error.details())) for error in errors), errors
        counted = pod.site.metrics.requests.children
        assert sum(child.value for labels, child in counted.items() if labels[2] == "200") == answered
        assert [labels[2] for labels in counted] == ["200"]
        assert pod.site.state.current is not None
        assert pod.site.state.current.open_requests == 0


async def test_metrics_count_calls_as_requests(tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod:
        await pod.site.serve("1")
        await pod.infer(raw_request([1, 2], [3, 4]))
        await pod.refusal(raw_request([1, 2], model="other"))
        text = pod.site.metrics.exposition().decode()
        arm = 'namespace="retention",role="champion",version="churn-1"'
        assert f'podium_requests_total{{code="200",deployment="churn",{arm}}} 1.0' in text
        assert 'code="404"' in text
        assert 'podium_rows_total{deployment="churn",namespace="retention",role="champion",version="churn-1"} 2.0' in text
