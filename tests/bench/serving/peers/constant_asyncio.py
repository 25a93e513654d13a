"""The least that Python can do: a constant answer from a bare asyncio protocol, without a look at what was asked.

    python -m bench.serving.peers.constant_asyncio PORT

One answer per segment that arrives: right only for requests that fit one, which those of one row do.
"""

import asyncio
import sys

BODY = (
    b'{"model_name":"bench","model_version":"rf-1","outputs":[{"name":"label","datatype":"INT64","shape":[1],"data":[1]},'
    b'{"name":"probabilities","datatype":"FP32","shape":[1,2],"data":[0.25,0.75]}]}'
)
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\ncontent-type: application/json\r\n\r\n%b" % (len(BODY), BODY)


class Constant(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._write = transport.write

    def data_received(self, data: bytes) -> None:
        self._write(ANSWER)


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Constant, "127.0.0.1", int(sys.argv[1]), backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
