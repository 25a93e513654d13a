"""Health and reflection, asked by the stock implementations of their clients."""

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from podium_serving.rpc.health import HEALTH
from podium_serving.rpc.reflection import REFLECTION, REFLECTION_V1
from podium_serving.rpc.server import INFERENCE
from rpc_fixtures import RpcSite, rpc_site

pytestmark = pytest.mark.process

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


async def health(pod: RpcSite, service: str = "") -> int:
    request = health_pb2.HealthCheckRequest(service=service)
    return int((await pod.call("Check", request, health_pb2.HealthCheckResponse, HEALTH)).status)


@pytest.mark.parametrize("service", ["", INFERENCE, HEALTH])
async def test_health_follows_readiness(service: str, tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod:
        assert await health(pod, service) == NOT_SERVING
        await pod.site.serve("1")
        assert await health(pod, service) == SERVING
        pod.site.state.draining = True
        assert await health(pod, service) == NOT_SERVING


async def test_health_of_a_service_that_is_not_here_is_not_found(tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod:
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await health(pod, "other.Service")
        assert error.value.code() is grpc.StatusCode.NOT_FOUND


async def test_whoever_watches_health_is_told_of_each_change_and_of_the_end(tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod:
        call: Any = pod.channel.unary_stream(
            f"/{HEALTH}/Watch",
            health_pb2.HealthCheckRequest.SerializeToString,
            health_pb2.HealthCheckResponse.FromString,
        )(health_pb2.HealthCheckRequest(service=INFERENCE), timeout=60)
        assert (await call.read()).status == NOT_SERVING
        await pod.site.serve("1")
        assert (await call.read()).status == SERVING
        pod.site.state.draining = True
        assert (await call.read()).status == NOT_SERVING
        stopping = asyncio.ensure_future(pod.server.stop(60.0))
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await call.read()
        assert error.value.code() is grpc.StatusCode.UNAVAILABLE
        await asyncio.wait_for(stopping, 60)


async def test_watching_a_service_that_is_not_here_says_so_and_goes_on(tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod:
        call: Any = pod.channel.unary_stream(
            f"/{HEALTH}/Watch",
            health_pb2.HealthCheckRequest.SerializeToString,
            health_pb2.HealthCheckResponse.FromString,
        )(health_pb2.HealthCheckRequest(service="other"), timeout=60)
        assert (await call.read()).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
        call.cancel()


async def test_reflection_gives_the_stock_client_everything_that_it_needs_to_call(tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod:

        def look() -> tuple[list[str], list[str]]:
            with grpc.insecure_channel(f"127.0.0.1:{pod.server.port}") as channel:
                database = ProtoReflectionDescriptorDatabase(channel)
                services = list(database.get_services())
                pool = DescriptorPool(database)
                service = pool.FindServiceByName(INFERENCE)
                assert pool.FindMessageTypeByName("inference.ModelInferRequest").fields_by_name["id"].number == 3
                return services, [method.name for method in service.methods]

        services, methods = await asyncio.to_thread(look)
        assert services == [INFERENCE, HEALTH, REFLECTION]
        assert methods == [
            "ServerLive",
            "ServerReady",
            "ModelReady",
            "ServerMetadata",
            "ModelMetadata",
            "ModelInfer",
            "ModelStreamInfer",
            "RepositoryIndex",
            "RepositoryModelLoad",
            "RepositoryModelUnload",
        ]


@pytest.mark.parametrize("service", [REFLECTION, REFLECTION_V1])
async def test_reflection_says_what_it_cannot_find(service: str, tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod:
        call: Any = pod.channel.stream_stream(
            f"/{service}/ServerReflectionInfo",
            reflection_pb2.ServerReflectionRequest.SerializeToString,
            reflection_pb2.ServerReflectionResponse.FromString,
        )(timeout=60)
        for request, code in (
            (reflection_pb2.ServerReflectionRequest(file_containing_symbol="no.Such"), 5),
            (reflection_pb2.ServerReflectionRequest(file_by_filename="no.proto"), 5),
            (reflection_pb2.ServerReflectionRequest(all_extension_numbers_of_type="no.Such"), 5),
            (reflection_pb2.ServerReflectionRequest(), 3),
        ):
            await call.write(request)
            assert (await call.read()).error_response.error_code == code
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF
