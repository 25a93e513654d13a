"""A gRPC port over a real socket, and the stock client's channel to it."""

import asyncio
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc
from hpack import Decoder, Encoder

from podium_serving.calls import PublicCalls
from podium_serving.http.gate import Gate
from podium_serving.repository import IN_A_CLUSTER, Repository
from podium_serving.rpc import inference_pb2 as wire
from podium_serving.rpc.framing import framed
from podium_serving.rpc.http2.frames import HEAD_BYTES, PREFACE, Flag, Kind, Setting, frame, parse_head, settings
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
        return await call(request, timeout=60, **options)

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
    folder: Path,
    settings: HttpSettings = QUICK,
    *,
    gate: Gate | None = None,
    repository: Repository = IN_A_CLUSTER,
    frames_per_second: int | None = None,
    **changes: Any,
) -> AsyncIterator[RpcSite]:
    """`frames_per_second`: fewer than usual, where a slow machine needs many seconds for more than are allowed."""
    async with site(folder, settings, **changes) as behind:
        calls = PublicCalls({"churn": behind.state}, behind.metrics)
        server = RpcServer(calls, gate or Gate.open_to_all(), behind.public.lane.settings, repository=repository)
        if frames_per_second is not None:
            server.limits = replace(server.limits, frames_per_second=frames_per_second)
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


@dataclass
class Frame:
    kind: int
    flags: int
    stream: int
    payload: bytes

    @property
    def code(self) -> int:
        """Of RST_STREAM; of GOAWAY it is the second word."""
        return int.from_bytes(self.payload[4:8] if self.kind == Kind.GOAWAY else self.payload[:4], "big")


class Http2Client:
    """A connection that speaks frames: what stock clients would not send can be sent."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.encoder = Encoder()
        self.decoder = Decoder()

    async def greet(self, values: dict[Setting, int] | None = None) -> None:
        await self.send(PREFACE, settings(values or {}))

    async def send(self, *frames: bytes) -> None:
        self.writer.write(b"".join(frames))
        await self.writer.drain()

    def head(self, stream: int, flags: int = Flag.END_HEADERS, **changes: str | None) -> bytes:
        """HEADERS of a ModelInfer. Names are written with underscores; None takes one away."""
        fields: dict[str, str | None] = {
            ":method": "POST",
            ":scheme": "http",
            ":path": f"/{INFERENCE}/ModelInfer",
            ":authority": "test",
            "content-type": "application/grpc",
            "te": "trailers",
        }
        for name, value in changes.items():
            fields[(":" + name[1:] if name.startswith("_") else name).replace("_", "-")] = value
        block = self.encoder.encode([(name, value) for name, value in fields.items() if value is not None])
        return frame(Kind.HEADERS, flags, stream, block)

    def ask(self, stream: int, message: bytes, **changes: str | None) -> bytes:
        """A whole call, with a message of at most one frame."""
        return self.head(stream, Flag.END_HEADERS, **changes) + frame(Kind.DATA, Flag.END_STREAM, stream, framed(message))

    async def next(self) -> Frame:
        """Raises IncompleteReadError when the server closed."""
        async with asyncio.timeout(60):
            high, low, kind, flags, stream = parse_head(await self.reader.readexactly(HEAD_BYTES), 0)
            return Frame(kind, flags, stream, await self.reader.readexactly(high << 8 | low))

    async def until(self, kind: Kind, stream: int | None = None) -> Frame:
        """The next frame of a kind; those before it are passed over."""
        while (got := await self.next()).kind != kind or (stream is not None and got.stream != stream):
            if got.kind == Kind.HEADERS:
                self.decoder.decode(got.payload)
        return got

    async def answer(self, stream: int) -> tuple[dict[str, str], bytes]:
        """Headers and trailers of one call, and its messages' bytes."""
        fields: dict[str, str] = {}
        content = b""
        while True:
            got = await self.next()
            if got.kind == Kind.GOAWAY:
                raise AssertionError(f"GOAWAY {got.code}: {got.payload[8:]!r}")
            if got.kind == Kind.HEADERS:
                read = {str(name): str(value) for name, value in self.decoder.decode(got.payload)}
                fields |= read if got.stream == stream else {}
            if got.stream == stream and got.kind == Kind.DATA:
                content += got.payload
            if got.stream == stream and (got.kind == Kind.RST_STREAM or (got.flags & Flag.END_STREAM and got.kind < 2)):
                return fields, content

    async def closed(self) -> bool:
        """Reads on until the server closes. False: it says nothing for a minute."""
        try:
            while True:
                await self.next()
        except (asyncio.IncompleteReadError, ConnectionResetError):
            return True
        except TimeoutError:
            return False


@asynccontextmanager
async def http2_client(server: RpcServer, *, greet: bool = True) -> AsyncIterator[Http2Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    client = Http2Client(reader, writer)
    try:
        if greet:
            await client.greet()
        yield client
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


def has_left(details: str) -> bool:
    """Whether a failed call says that it was never taken: nobody listens, or its stream came after GOAWAY's last one."""
    return "onnect" in details or "GOAWAY" in details
