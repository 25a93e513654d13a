"""The least that an ASGI application can do under uvicorn: a constant answer; httptools, asyncio, no access log.

python -m bench.serving.peers.constant_uvicorn PORT
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn

from bench.serving.peers.constant_asyncio import BODY

START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(BODY)).encode())],
}
END = {"type": "http.response.body", "body": BODY}


async def constant(scope: Any, receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
    await send(START)
    await send(END)


def main() -> None:
    config = uvicorn.Config(
        constant,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        http="httptools",
        loop="asyncio",
        lifespan="off",
        access_log=False,
        log_level="warning",
    )
    asyncio.run(uvicorn.Server(config).serve())


if __name__ == "__main__":
    main()
