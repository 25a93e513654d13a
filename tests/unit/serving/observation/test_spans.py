"""Spans of real requests through real pods, read by a collector that takes OTLP over HTTP."""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from observation_fixtures import FakeCollector, ObservedPod, observed_pod, values
from podium_crds.plan import PlannedRoute
from podium_serving.settings import ObservationSettings
from ports import free_port
from serving_lane_fixtures import Reply, client, infer_body, infer_request, until
from traffic_fixtures import HOST, plan, route

pytestmark = pytest.mark.process

TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"
SAMPLED = f"00-{TRACE}-{CALLER}-01"
UNSAMPLED = f"00-{TRACE}-{CALLER}-00"


@pytest.fixture
async def collector() -> AsyncIterator[FakeCollector]:
    async with FakeCollector().running() as made:
        yield made


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spans are given up only where a test says so: a busy machine may stand still for as long as a collector has."""
    monkeypatch.setattr("podium_serving.observation.spans._EXPORT_SECONDS", 60.0)
    monkeypatch.setattr("podium_serving.observation.observer._CLOSE_SECONDS", 60.0)


def traced(collector: FakeCollector, percent: float = 0.0) -> ObservationSettings:
    return ObservationSettings(otlp_endpoint=collector.url, trace_percent=percent)


async def ask(pod: ObservedPod, **headers: str) -> Reply:
    async with client(pod.public) as connection:
        return await connection.ask(infer_request(infer_body(1, 2), "/v2/models/churn/infer", **headers))


def outcomes(pod: ObservedPod) -> dict[str, float]:
    return {labels[0]: value.value for labels, value in pod.metrics.traced_requests.children.items() if value.value}


async def test_a_request_is_a_server_span_with_its_queue_and_inference(tmp_path: Path, collector: FakeCollector) -> None:
    before = time.time_ns()
    async with observed_pod(tmp_path, traced(collector), weights=[1, 1]) as pod:
        await pod.commit(plan())
        reply = await ask(pod, traceparent=SAMPLED, tracestate="congo=t61", x_request_id="r-1")
        assert reply.status == 200
    server = collector.named("POST /v2/models/{model}/infer")
    assert server.kind == Span.SPAN_KIND_SERVER
    assert (server.trace_id.hex(), server.parent_span_id.hex(), server.trace_state) == (TRACE, CALLER, "congo=t61")
    assert server.status.code == Status.STATUS_CODE_UNSET
    said = values(server.attributes)
    assert said["http.response.status_code"] == 200
    assert (said["http.request.method"], said["url.path"]) == ("POST", "/v2/models/churn/infer")
    assert (said["podium.version"], said["podium.arm"], said["podium.rows"]) == ("churn-3", "champion", 1)
    assert said["podium.request_id"] == "r-1"
    assert "podium.fallback" not in said
    inference, queue = collector.named("inference"), collector.named("queue")
    for child in (inference, queue):
        assert child.kind == Span.SPAN_KIND_INTERNAL
        assert (child.trace_id, child.parent_span_id) == (server.trace_id, server.span_id)
    assert before <= server.start_time_unix_nano < server.end_time_unix_nano <= time.time_ns()
    assert queue.end_time_unix_nano == pytest.approx(inference.start_time_unix_nano, abs=2)
    assert inference.end_time_unix_nano <= server.end_time_unix_nano
    assert len({server.span_id, inference.span_id, queue.span_id}) == 3
    resource = collector.resources[0]
    assert (resource["service.name"], resource["service.namespace"]) == ("churn", "shop")
    assert outcomes(pod) == {"Written": 1}


@pytest.mark.parametrize(
    ("percent", "headers", "spans"),
    [
        pytest.param(0.0, {}, 0, id="nobody-asked"),
        pytest.param(100.0, {}, 3, id="all-are-traced"),
        pytest.param(100.0, {"traceparent": UNSAMPLED}, 0, id="the-caller-said-no"),
        pytest.param(0.0, {"traceparent": "rubbish"}, 0, id="no-traceparent"),
    ],
)
async def test_who_called_decides_what_is_traced(
    tmp_path: Path, collector: FakeCollector, percent: float, headers: dict[str, str], spans: int
) -> None:
    async with observed_pod(tmp_path, traced(collector, percent), weights=[1, 1]) as pod:
        await pod.commit(plan())
        assert (await ask(pod, **headers)).status == 200
    assert len(collector.spans) == spans
    assert all(not span.parent_span_id for span in collector.spans if span.kind == Span.SPAN_KIND_SERVER)


@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [
        pytest.param("/v2/models/churn/infer", 400, "InvalidRequest", id="the-callers-fault"),
        pytest.param("/v2/models/other/infer", 404, "NotFound", id="refused-by-its-head"),
    ],
)
async def test_failures_are_spans_without_what_was_sent(
    tmp_path: Path, collector: FakeCollector, path: str, status: int, reason: str
) -> None:
    async with observed_pod(tmp_path, traced(collector), weights=[1, 1]) as pod, client(pod.public) as connection:
        await pod.commit(plan())
        reply = await connection.ask(infer_request(b"{}", path, traceparent=SAMPLED, authorization="Bearer secret"))
        assert reply.status == status
    [span] = collector.spans
    said = values(span.attributes)
    assert (said["http.response.status_code"], said["error.type"]) == (status, reason)
    assert span.status.code == Status.STATUS_CODE_UNSET, "the caller's fault is no error of this span"
    assert "secret" not in str(said)


def nanoseconds(span: Span) -> int:
    return span.end_time_unix_nano - span.start_time_unix_nano


def challengers(of: PlannedRoute) -> Any:
    return plan(champion=of.version.name).model_copy(update={"role": "challenger"})


async def test_a_forwarded_request_is_one_trace_over_both_pods(tmp_path: Path, collector: FakeCollector) -> None:
    port, canary = free_port(), route("neural-net", HOST, percent=100)
    async with (
        observed_pod(tmp_path / "a", traced(collector), host="127.0.0.4", forward_port=port, weights=[1, 1]) as champion,
        observed_pod(tmp_path / "b", traced(collector, 100), host=HOST, forward_port=port, weights=[9, 9]) as challenger,
    ):
        await challenger.commit(challengers(canary))
        await champion.commit(plan(canary))
        reply = await ask(champion, traceparent=SAMPLED, tracestate="congo=t61")
        assert (reply.headers["podium-arm"], reply.score) == ("neural-net", 27.0)
        plain = await ask(champion)
        assert plain.headers["podium-arm"] == "neural-net"
    forward = collector.named("forward neural-net")
    public = collector.named("POST /v2/models/{model}/infer")
    own = collector.named("POST /v2/models/{model}/versions/{version}/infer")
    assert forward.kind == Span.SPAN_KIND_CLIENT
    assert (public.parent_span_id.hex(), forward.parent_span_id) == (CALLER, public.span_id)
    assert own.parent_span_id == forward.span_id
    assert collector.named("inference").parent_span_id == own.span_id
    assert {span.trace_id.hex() for span in collector.spans} == {TRACE}, "the forward port begins no traces"
    assert own.trace_state == "congo=t61"
    # Where the forward lies is reckoned back from the answer; how long it took is measured, and encloses the other pod's.
    assert public.start_time_unix_nano <= forward.start_time_unix_nano
    assert forward.end_time_unix_nano <= public.end_time_unix_nano
    assert nanoseconds(own) <= nanoseconds(forward) + 1000 <= nanoseconds(public) + 2000  # what floats round away


async def test_a_fallback_shows_the_forward_that_failed(tmp_path: Path, collector: FakeCollector) -> None:
    port, canary = free_port(), route("neural-net", HOST, percent=100)
    async with observed_pod(tmp_path, traced(collector), host="127.0.0.4", forward_port=port, weights=[1, 1]) as pod:
        await pod.commit(plan(canary))
        reply = await ask(pod, traceparent=SAMPLED)
        assert (reply.headers["podium-fallback"], reply.headers["podium-arm"]) == ("Error", "champion")
    forward = collector.named("forward neural-net")
    assert (forward.status.code, values(forward.attributes)["error.type"]) == (Status.STATUS_CODE_ERROR, "Error")
    assert forward.end_time_unix_nano <= collector.named("queue").start_time_unix_nano + 2
    assert values(collector.named("POST /v2/models/{model}/infer").attributes)["podium.fallback"] == "Error"


async def test_without_a_collector_the_trace_context_is_passed_on_as_it_came(
    tmp_path: Path, collector: FakeCollector
) -> None:
    port, canary = free_port(), route("neural-net", HOST, percent=100)
    async with (
        observed_pod(tmp_path / "a", ObservationSettings(), host="127.0.0.4", forward_port=port, weights=[1, 1]) as champion,
        observed_pod(tmp_path / "b", traced(collector), host=HOST, forward_port=port, weights=[9, 9]) as challenger,
    ):
        await challenger.commit(challengers(canary))
        await champion.commit(plan(canary))
        assert (await ask(champion, traceparent=UNSAMPLED)).headers["podium-arm"] == "neural-net"
    assert collector.spans == []


async def test_a_collector_that_is_down_or_hangs_costs_no_request_and_ends_with_the_pod(
    tmp_path: Path, collector: FakeCollector, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("podium_serving.observation.observer._TRACE_PAUSE_SECONDS", 0.02)
    monkeypatch.setattr("podium_serving.observation.observer._CLOSE_SECONDS", 0.5)
    monkeypatch.setattr("podium_serving.observation.observer._MOST_TRACED", 50)
    collector.status = 400
    async with observed_pod(tmp_path, traced(collector, 100), weights=[1, 1]) as pod, client(pod.public) as connection:
        await pod.commit(plan())
        assert (await connection.ask(infer_request(infer_body(1, 2)))).status == 200
        await until(lambda: outcomes(pod) == {"Failed": 1})
        collector.status = 200
        assert (await connection.ask(infer_request(infer_body(1, 2)))).status == 200
        await until(lambda: outcomes(pod) == {"Failed": 1, "Written": 1})
        collector.held = asyncio.Event()
        for _ in range(200):
            assert (await asyncio.wait_for(connection.ask(infer_request(infer_body(1, 2))), 60)).status == 200
        assert outcomes(pod)["Dropped"] > 0
        began = time.monotonic()
    assert time.monotonic() - began < 30  # the collector holds what it took for ever
    assert caplog.text.count("does not take spans") >= 1
    assert "takes spans again" in caplog.text
    collector.held.set()
    await until(lambda: all(thread.name != "spans" for thread in threading.enumerate()))
