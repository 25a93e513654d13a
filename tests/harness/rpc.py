"""The stock gRPC client at a deployed endpoint."""

import struct
from collections.abc import Sequence

import grpc

from podium_serving.rpc import inference_pb2 as wire
from security_fixtures import Made


def sum_request(*values: float, model: str = "demo") -> wire.ModelInferRequest:
    """One row for a package that adds its inputs."""
    request = wire.ModelInferRequest(model_name=model)
    for index, value in enumerate(values):
        request.inputs.add(name=f"x{index}", datatype="FP32", shape=[1, 1])
        request.raw_input_contents.append(struct.pack("<f", value))
    return request


async def infer(
    target: str, request: wire.ModelInferRequest, *, certificate: Made | None = None, key: str = ""
) -> tuple[str, float]:
    """The version that answered, and its score. `target` is `host:port`. Raises grpc.aio.AioRpcError."""
    options: Sequence[tuple[str, str | int]] = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]
    if certificate is None:
        channel = grpc.aio.insecure_channel(target, options=options)
    else:
        trust = grpc.ssl_channel_credentials(root_certificates=certificate.certificate)
        options = [*options, ("grpc.ssl_target_name_override", "localhost")]
        channel = grpc.aio.secure_channel(target, trust, options=options)
    async with channel:
        call = channel.unary_unary(
            "/inference.GRPCInferenceService/ModelInfer",
            wire.ModelInferRequest.SerializeToString,
            wire.ModelInferResponse.FromString,
        )
        answer = await call(request, timeout=60, metadata=(("x-api-key", key),) if key else ())
    (content,) = answer.raw_output_contents
    return answer.model_version, struct.unpack("<f", content)[0]
