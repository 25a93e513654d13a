"""A pod's process by gRPC: it serves beside HTTP, and drains without losing a call."""

import asyncio
import signal
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2

from podium_crds.plan import Commit
from podium_serving.rpc import inference_pb2 as wire
from podium_serving.rpc.health import HEALTH
from podium_serving.rpc.server import INFERENCE
from rpc_fixtures import CHANNEL, has_left, raw_request, raw_scores
from serving_process_fixtures import serving
from swap_fixtures import KEY, FakeRegistry, eventually, plan

pytestmark = pytest.mark.process


async def test_a_pod_answers_grpc_until_its_clients_had_time_to_leave(tmp_path: Path) -> None:
    async with FakeRegistry().running() as registry:
        only = plan(1, digest=registry.add_made(tmp_path / "one", weights=[1, 1]), uri=registry.uri)
        (tmp_path / "record").mkdir()
        (tmp_path / "record" / "commit.json").write_text(KEY.sign(Commit(plan=only)).model_dump_json())
        async with serving(tmp_path, registry, PODIUM_DRAIN_SECONDS="15") as pod:
            await eventually(pod.ready)
            async with grpc.aio.insecure_channel(f"127.0.0.1:{pod.ports[3]}", options=CHANNEL) as channel:
                infer = channel.unary_unary(
                    f"/{INFERENCE}/ModelInfer", wire.ModelInferRequest.SerializeToString, wire.ModelInferResponse.FromString
                )
                check = channel.unary_unary(
                    f"/{HEALTH}/Check",
                    health_pb2.HealthCheckRequest.SerializeToString,
                    health_pb2.HealthCheckResponse.FromString,
                )
                assert raw_scores(await infer(raw_request([1, 2]))) == [3]
                assert (await check(health_pb2.HealthCheckRequest())).status == health_pb2.HealthCheckResponse.SERVING

                answered = 0
                failed: list[str] = []

                async def load() -> None:
                    nonlocal answered
                    while True:
                        try:
                            await infer(raw_request([1, 2]))
                            answered += 1
                        except grpc.aio.AioRpcError as error:
                            failed.append(str(error.details()))
                            return

                callers = [asyncio.ensure_future(load()) for _ in range(4)]
                await eventually(lambda: answered > 50)
                pod.process.send_signal(signal.SIGTERM)

                async def leaving() -> bool:
                    status = (await check(health_pb2.HealthCheckRequest())).status
                    return bool(status == health_pb2.HealthCheckResponse.NOT_SERVING)

                await eventually(leaving)
                many = answered + 50
                await eventually(lambda: answered > many)
                await asyncio.gather(*callers)
                # Only what was asked after it had gone: no call that it took was lost.
                assert all(has_left(text) for text in failed), failed
            assert await asyncio.wait_for(pod.process.wait(), 60) == 0
