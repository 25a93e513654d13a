"""A gRPC port over a real socket, and the stock client's channel to it."""

import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from podium_serving.calls import PublicCalls
from podium_serving.http.gate import Gate
from podium_serving.rpc import inference_pb2 as wire
from podium_serving.rpc.server import INFERENCE, RpcServer
from podium_serving.settings import HttpSettings
from serving_lane_fixtures import QUICK, Site, site


@dataclass
class RpcSite:
    """Deployment `churn` behind a gRPC port, serving nothing yet."""

    site: Site
    server: RpcServer
    channel: grpc.aio.Channel

    async def call(self, method: str, request: Any, answer: Any, service: str = INFERENCE, **options: Any) -> Any:
        """One call with a single message each way."""
        call = self.channel.unary_unary(f"/{service}/{method}", type(request).SerializeToString, answer.FromString)
        return await call(request, timeout=10, **options)

    async def infer(self, request: wire.ModelInferRequest, **options: Any) -> wire.ModelInferResponse:
        answer: wire.ModelInferResponse = await self.call("ModelInfer", request, wire.ModelInferResponse, **options)
        return answer

    async def refusal(self, request: wire.ModelInferRequest, **options: Any) -> grpc.aio.AioRpcError:
        """What an inference fails with."""
        try:
            answer = await self.infer(request, **options)
        except grpc.aio.AioRpcError as error:
            return error
        raise AssertionError(f"answered: {answer}")


@asynccontextmanager
async def rpc_site(
    folder: Path, settings: HttpSettings = QUICK, *, gate: Gate | None = None, repository: Any = None, **changes: Any
) -> AsyncIterator[RpcSite]:
    async with site(folder, settings, **changes) as behind:
        calls = PublicCalls({"churn": behind.state}, behind.metrics)
        server = RpcServer(calls, gate or Gate.open_to_all(), behind.public.lane.settings, repository=repository)
        await server.start("127.0.0.1", 0)
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}", options=CHANNEL) as channel:
                yield RpcSite(behind, server, channel)
        finally:
            await server.stop(2.0)


CHANNEL = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.enable_retries", 0),
    ("grpc.use_local_subchannel_pool", 1),
]


def raw_request(*rows: Sequence[float], model: str = "churn", **more: Any) -> wire.ModelInferRequest:
    """Rows for a weighted sum with as many inputs as a row has values."""
    request = wire.ModelInferRequest(model_name=model, **more)
    for index, column in enumerate(zip(*rows, strict=True)):
        request.inputs.add(name=f"x{index}", datatype="FP32", shape=[len(rows), 1])
        request.raw_input_contents.append(struct.pack(f"<{len(rows)}f", *column))
    return request


def typed_request(*rows: Sequence[float], model: str = "churn", **more: Any) -> wire.ModelInferRequest:
    request = wire.ModelInferRequest(model_name=model, **more)
    for index, column in enumerate(zip(*rows, strict=True)):
        tensor = request.inputs.add(name=f"x{index}", datatype="FP32", shape=[len(rows), 1])
        tensor.contents.fp32_contents.extend(column)
    return request


def raw_scores(answer: wire.ModelInferResponse) -> list[float]:
    (content,) = answer.raw_output_contents
    return list(struct.unpack(f"<{len(content) // 4}f", content))
