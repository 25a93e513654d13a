"""What a client can get wrong frame by frame: it ends the stream or the connection, as RFC 9113 says, and nothing else."""

import struct
from pathlib import Path

import pytest

from podium_serving.rpc.http2.frames import PREFACE, ErrorCode, Flag, Kind, Setting, frame, settings, window_update
from rpc_fixtures import http2_client, raw_request, raw_scores, rpc_site

pytestmark = pytest.mark.process

WHOLE = Flag.END_HEADERS | Flag.END_STREAM
MESSAGE = raw_request([1, 2]).SerializeToString()


def data(stream: int, content: bytes, flags: int = 0) -> bytes:
    return frame(Kind.DATA, flags, stream, content)


ATTACKS = [
    pytest.param(b"GET / HTTP/1.1\r\n\r\n" * 2, None, ErrorCode.PROTOCOL_ERROR, id="http-1"),
    pytest.param(PREFACE + frame(Kind.PING, 0, 0, b"8" * 8), None, ErrorCode.PROTOCOL_ERROR, id="no-settings-first"),
    pytest.param(None, frame(Kind.PING, 0, 0, b"7" * 7), ErrorCode.FRAME_SIZE_ERROR, id="short-ping"),
    pytest.param(None, frame(Kind.PING, 0, 1, b"8" * 8), ErrorCode.PROTOCOL_ERROR, id="ping-on-a-stream"),
    pytest.param(None, struct.pack(">HBBBI", 0x40, 1, 0, 0, 1), ErrorCode.FRAME_SIZE_ERROR, id="too-large-a-frame"),
    pytest.param(None, data(1, b"x"), ErrorCode.PROTOCOL_ERROR, id="data-on-an-idle-stream"),
    pytest.param(None, data(0, b"x"), ErrorCode.PROTOCOL_ERROR, id="data-without-a-stream"),
    pytest.param(None, frame(Kind.HEADERS, WHOLE, 2, b"\x82"), ErrorCode.PROTOCOL_ERROR, id="even-stream"),
    pytest.param(None, frame(Kind.HEADERS, WHOLE, 1, b"\xff\xff\xff\xff\x7f"), ErrorCode.COMPRESSION_ERROR, id="bad-index"),
    pytest.param(None, frame(Kind.HEADERS, WHOLE, 1, b"\x40\x7f"), ErrorCode.COMPRESSION_ERROR, id="half-a-literal"),
    pytest.param(None, frame(Kind.HEADERS, WHOLE | Flag.PADDED, 1, b"\x09x"), ErrorCode.PROTOCOL_ERROR, id="all-padding"),
    pytest.param(None, frame(Kind.CONTINUATION, 4, 1, b""), ErrorCode.PROTOCOL_ERROR, id="continuation-of-nothing"),
    pytest.param(
        None,
        frame(Kind.HEADERS, 0, 1, b"\x82") + frame(Kind.PING, 0, 0, b"8" * 8),
        ErrorCode.PROTOCOL_ERROR,
        id="interleaved",
    ),
    pytest.param(None, frame(Kind.PUSH_PROMISE, 4, 1, b"\0\0\0\2"), ErrorCode.PROTOCOL_ERROR, id="push"),
    pytest.param(None, frame(Kind.RST_STREAM, 0, 1, b"\0\0\0\0"), ErrorCode.PROTOCOL_ERROR, id="reset-of-an-idle-stream"),
    pytest.param(None, frame(Kind.RST_STREAM, 0, 1, b"\0"), ErrorCode.FRAME_SIZE_ERROR, id="short-reset"),
    pytest.param(None, window_update(0, 0), ErrorCode.PROTOCOL_ERROR, id="no-increment"),
    pytest.param(None, window_update(0, 2**31 - 1) * 2, ErrorCode.FLOW_CONTROL_ERROR, id="window-overflow"),
    pytest.param(None, window_update(5, 1), ErrorCode.PROTOCOL_ERROR, id="window-of-an-idle-stream"),
    pytest.param(None, frame(Kind.SETTINGS, 0, 0, b"12345"), ErrorCode.FRAME_SIZE_ERROR, id="settings-cut"),
    pytest.param(None, frame(Kind.SETTINGS, 0, 1), ErrorCode.PROTOCOL_ERROR, id="settings-on-a-stream"),
    pytest.param(None, frame(Kind.SETTINGS, 1, 0, b"x" * 6), ErrorCode.FRAME_SIZE_ERROR, id="full-acknowledgement"),
    pytest.param(
        None, settings({Setting.INITIAL_WINDOW_SIZE: 2**31}), ErrorCode.FLOW_CONTROL_ERROR, id="initial-window-too-large"
    ),
    pytest.param(None, settings({Setting.MAX_FRAME_SIZE: 100}), ErrorCode.PROTOCOL_ERROR, id="max-frame-too-small"),
    pytest.param(None, settings({Setting.ENABLE_PUSH: 2}), ErrorCode.PROTOCOL_ERROR, id="enable-push"),
    pytest.param(None, frame(Kind.PING, 0, 0, b"8" * 8) * 10_100, ErrorCode.ENHANCE_YOUR_CALM, id="ping-flood"),
    pytest.param(None, settings({}) * 10_100, ErrorCode.ENHANCE_YOUR_CALM, id="settings-flood"),
    pytest.param(None, frame(42, 0, 0, b"x") * 10_100, ErrorCode.ENHANCE_YOUR_CALM, id="unknown-frames-flood"),
    pytest.param(
        None,
        frame(Kind.HEADERS, 0, 1, b"\x82") + frame(Kind.CONTINUATION, 0, 1) * 10_100,
        ErrorCode.ENHANCE_YOUR_CALM,
        id="empty-continuations",
    ),
    pytest.param(
        None,
        frame(Kind.HEADERS, 0, 1, b"\x82") + frame(Kind.CONTINUATION, 0, 1, b"\0\1a" + b"\1b" * 5000) * 20,
        ErrorCode.ENHANCE_YOUR_CALM,
        id="endless-header-block",
    ),
]


@pytest.mark.parametrize(("instead", "attack", "code"), ATTACKS)
async def test_what_breaks_the_protocol_ends_the_connection_and_nothing_else(
    instead: bytes | None, attack: bytes | None, code: ErrorCode, tmp_path: Path
) -> None:
    async with rpc_site(tmp_path, frames_per_second=1000) as pod:
        await pod.site.serve("1")
        async with http2_client(pod.server, greet=False) as client:
            await client.send(instead if instead is not None else PREFACE + settings({}))
            if attack is not None:
                await client.send(attack)
            assert (await client.until(Kind.GOAWAY)).code == code
            assert await client.closed()
        assert raw_scores(await pod.infer(raw_request([1, 2]))) == [3]


async def test_a_header_list_that_unpacks_too_large_ends_the_connection(tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod, http2_client(pod.server) as client:
        one = client.encoder.encode([("x-large", "v" * 3000)])
        await client.send(frame(Kind.HEADERS, WHOLE, 1, one + b"\xbe" * 100))  # the same entry of the table, 100 times
        assert (await client.until(Kind.GOAWAY)).code == ErrorCode.COMPRESSION_ERROR


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"_method": None}, id="no-method"),
        pytest.param({"_path": None}, id="no-path"),
        pytest.param({"_scheme": None}, id="no-scheme"),
        pytest.param({"connection": "close"}, id="connection-header"),
        pytest.param({"te": "gzip"}, id="te"),
        pytest.param({"X-Large": "1"}, id="upper-case"),
        pytest.param({"_status": "200"}, id="foreign-pseudo-header"),
    ],
)
async def test_a_malformed_request_is_reset_alone(changes: dict[str, str | None], tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod, http2_client(pod.server) as client:
        await pod.site.serve("1")
        if "_status" in changes:  # at the end, where it is wrong in two ways
            changes = {"__never": None, **changes}
        await client.send(client.head(1, WHOLE, **changes))
        assert (await client.until(Kind.RST_STREAM)).code == ErrorCode.PROTOCOL_ERROR
        await client.send(client.ask(3, MESSAGE))
        assert (await client.answer(3))[0]["grpc-status"] == "0"


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        pytest.param({"_method": "GET"}, "405", id="get"),
        pytest.param({"content-type": "application/json"}, "415", id="json"),
        pytest.param({"content-type": None}, "415", id="no-type"),
        pytest.param({"content-type": "application/grpc-web"}, "415", id="web"),
    ],
)
async def test_what_is_no_grpc_gets_a_plain_status(changes: dict[str, str | None], status: str, tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod, http2_client(pod.server) as client:
        await client.send(client.head(1, WHOLE, **changes))
        fields, _ = await client.answer(1)
        assert fields[":status"] == status
