"""The least that grpc.aio can do: a constant answer to a unary call, without reading or writing a message.

python -m bench.serving.peers.constant_grpc PORT ANSWER        the answer in hexadecimal
"""

import asyncio
import sys
from typing import Any

import grpc
import grpc.aio

METHOD = "ModelInfer"
SERVICE = "inference.GRPCInferenceService"


async def main() -> None:
    answer = bytes.fromhex(sys.argv[2])

    async def constant(request: bytes, context: object) -> bytes:
        return answer

    server = grpc.aio.server()
    handler: Any = grpc.unary_unary_rpc_method_handler(constant)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {METHOD: handler}),))
    server.add_insecure_port(f"127.0.0.1:{sys.argv[1]}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main())
