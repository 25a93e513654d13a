"""Heads that were read before are looked up: what is kept, and that no client can tell."""

import asyncio
import random
import re
from pathlib import Path

import pytest

from podium_serving.http.known_heads import MAX_HEADS, KnownHeads
from podium_serving.http.server import HttpServer
from serving_lane_fixtures import Client, client, infer_body, infer_request, site, until

pytestmark = pytest.mark.process


def head(*lines: str, path: str = "/v2/models/churn/infer", method: str = "POST", version: str = "1.1") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/{version}", *lines]).encode() + b"\r\n\r\n"


def heads(**changes: int | bool) -> KnownHeads:
    return KnownHeads(
        forwarded=bool(changes.get("forwarded", False)), max_body_bytes=int(changes.get("max_body_bytes", 1000))
    )


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(head("host: t", "content-length: 7"), id="plain"),
        pytest.param(head("Host: t", "Content-Type: application/json", "Content-Length:7"), id="any-case-and-space"),
        pytest.param(head("host: t", "content-length: 7", "connection: keep-alive"), id="says-that-it-stays"),
        pytest.param(head("host: t", "content-length: 7", "authorization: Bearer x"), id="with-a-key"),
    ],
)
def test_a_plain_head_is_kept_as_the_parser_reads_it(content: bytes) -> None:
    known = heads()
    known.learn(content)
    kept = known.heads[content]
    assert (kept.target.model, kept.target.version) == ("churn", "")
    assert (kept.head.content_length, kept.body_at, kept.end) == (7, len(content), len(content) + 7)
    assert (b"content-length", b"7") in kept.headers


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(head("host: t"), id="no-length"),
        pytest.param(head("content-length: 0"), id="no-body"),
        pytest.param(head("content-length: +7"), id="odd-length"),
        pytest.param(head("content-length: 07"), id="another-way-to-write-a-length"),
        pytest.param(head("content-length: 7", "content-length: 7"), id="two-lengths"),
        pytest.param(head("content-length: 7", "transfer-encoding: chunked"), id="length-and-chunks"),
        pytest.param(head("transfer-encoding: chunked"), id="chunks"),
        pytest.param(head("content-length: 7", "expect: 100-continue"), id="asks-first"),
        pytest.param(head("content-length: 7", "connection: close"), id="closes"),
        pytest.param(head("content-length: 7", "connection: keep-alive, close"), id="closes-too"),
        pytest.param(head("content-length: 7", "connection: upgrade", "upgrade: h2c"), id="offers-another-protocol"),
        pytest.param(head("content-length: 7", version="1.0"), id="http-1.0"),
        pytest.param(head("content-length: 7", method="GET"), id="another-method"),
        pytest.param(head("content-length: 7", path="/v2/health/live"), id="another-path"),
        pytest.param(head("content-length: 7", "podium-timeout-milliseconds: soon"), id="refused-by-the-head"),
        pytest.param(head("content-length: 1001"), id="too-large-a-body"),
        pytest.param(head("content-length: 7", "x: " + "x" * 2048), id="too-long"),
        pytest.param(head("content-length: 7")[:-2], id="not-whole"),
        pytest.param(head("content-length: 7") + b"{}", id="more-than-a-head"),
        pytest.param(b"\r\n" + head("content-length: 7", " folded: x"), id="folded"),
        pytest.param(b"POST /v2/models/churn/infer HTTP/1.1\ncontent-length: 7\n\n\r\n\r\n", id="bare-line-feeds"),
        pytest.param(b"\r\n\r\n", id="nothing"),
        pytest.param(b"BLAH\r\n\r\n", id="no-http"),
    ],
)
def test_any_other_head_is_left_to_the_parser(content: bytes) -> None:
    known = heads()
    known.learn(content)
    assert known.heads == {}


def test_the_number_of_heads_is_bounded() -> None:
    known = heads()
    for number in range(MAX_HEADS + 10):
        known.learn(head("content-length: 7", f"x-number: {number}"))
    assert len(known.heads) == MAX_HEADS
    assert head("content-length: 7", "x-number: 9") not in known.heads


async def test_a_head_is_learned_when_it_comes_again(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        await here.serve("3", weights=[1, 1])
        known = here.public.lane.known.heads
        async with client(here.public) as connection:
            for number in range(5):
                assert (await connection.ask(infer_request(infer_body(number, 1), x_request_id=f"r-{number}"))).status == 200
            assert not known
            content = infer_request(infer_body(1, 1))
            assert (await connection.ask(content)).score == 2.0
            assert not known
            assert (await connection.ask(content)).score == 2.0
            assert list(known) == [content[: content.index(b"\r\n\r\n") + 4]]
            assert (await connection.ask(infer_request(infer_body(2, 5)))).score == 7.0
            assert (await connection.ask(content * 3)).score == 2.0
            assert [(await connection.reply()).score for _ in range(2)] == [2.0, 2.0]


def test_heads_that_take_turns_are_learned_and_those_that_never_come_again_make_room() -> None:
    known = heads()
    of_lengths = [head(f"content-length: {length}") for length in range(1, 51)]
    for content in (*of_lengths, *of_lengths):
        known.meet(content)
    assert list(known.heads) == of_lengths
    alone = head("content-length: 7", "x-request-id: first")
    known.meet(alone)
    for number in range(200):
        known.meet(head("content-length: 7", f"x-request-id: {number}"))
    known.meet(alone)
    assert alone not in known.heads
    known.meet(alone)
    assert alone in known.heads


async def test_a_known_head_is_admitted_under_the_plan_of_its_own_time(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        old = await here.serve("3", weights=[1, 1])
        content = infer_request(infer_body(1, 1))
        async with client(here.public) as connection:
            for _ in range(3):
                await connection.ask(content)
            new = await here.serve("4", epoch=2, weights=[10, 10])
            reply = await connection.ask(content)
            assert (reply.headers["podium-version"], reply.score) == ("churn-4", 20.0)
            here.state.current = None
            assert (await connection.ask(content)).status == 503
        assert (old.open_requests, new.open_requests, here.public.lane.open_requests) == (0, 0, 0)
        assert here.public.lane.buffered_bytes == 0


async def test_what_follows_a_request_that_closes_is_not_answered(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        await here.serve("3", weights=[1, 1])
        content = infer_request(infer_body(1, 1))
        async with client(here.public) as connection:
            for _ in range(3):
                await connection.ask(content)
            assert (await connection.ask(infer_request(infer_body(1, 3), connection="close") + content)).score == 4.0
            assert await connection.closed()


async def test_known_requests_count_into_the_bound_on_what_is_received(tmp_path: Path) -> None:
    async with site(tmp_path, max_buffered_bytes=1500) as here:
        await here.serve("3")
        content = infer_request(infer_body(1, 1))
        async with client(here.public) as first, client(here.public) as second:
            for _ in range(3):
                assert (await second.ask(content)).status == 200
            await first.send(infer_request(b"x" * 1450)[:-1])
            await until(lambda: here.public.lane.buffered_bytes == 1449)
            assert (await second.ask(content)).status == 503


WHOLE = [
    infer_request(infer_body(1, 2, request_id="a")),
    infer_request(infer_body(2, 2, request_id="b")),
    infer_request(infer_body(3, 2, request_id="c"), connection="keep-alive"),
    infer_request(b"{}"),
    infer_request(infer_body(1, 2, request_id="d"), "/v2/models/other/infer"),
    infer_request(infer_body(4, 2, request_id="e"), "/v2/models/churn/versions/churn-3/infer"),
    b"GET /v2/health/live HTTP/1.1\r\nhost: t\r\n\r\n",
    b"\r\n" + infer_request(infer_body(5, 2, request_id="f")),
    head("transfer-encoding: chunked") + b"2\r\n{}\r\n0\r\n\r\n",
    infer_request(infer_body(6, 2, request_id="g"), podium_timeout_milliseconds="60000"),
    infer_request(infer_body(7, 2, request_id="h"), podium_timeout_milliseconds="soon"),
]
LAST = [
    b"GET /v2/health/live HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n",
    infer_request(infer_body(1, 2, request_id="z"), connection="close"),
    b"BLAH BLAH\r\n\r\n",
    infer_request(infer_body(1, 2, request_id="y")).replace(b"HTTP/1.1", b"HTTP/1.0"),
    head("content-length: 2", "content-length: 3") + b"{}}",
    head("content-length: 2", "transfer-encoding: chunked") + b"{}",
]


async def test_the_parsers_road_and_the_short_road_answer_alike_however_the_bytes_are_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(7)
    async with site(tmp_path / "short") as short, site(tmp_path / "long") as long:
        await short.serve("3", weights=[1, 1])
        await long.serve("3", weights=[1, 1])
        long.public.lane.known.learn = lambda content: None  # type: ignore[method-assign]
        for whole in WHOLE:
            short.public.lane.known.learn(whole[: whole.index(b"\r\n\r\n") + 4])
        assert len(short.public.lane.known.heads) >= 4
        for _ in range(120):
            last = chance.choice(LAST)
            # The application's answers end a connection at once, so what is sent behind them may cut them off.
            before = WHOLE if last in LAST[:2] else [whole for whole in WHOLE if not whole.startswith(b"GET")]
            pieces = _cut(b"".join([*(chance.choice(before) for _ in range(chance.randrange(1, 12))), last]), chance)
            assert await _said(short.public, pieces) == await _said(long.public, pieces)
        assert short.metrics.requests.children.keys() == long.metrics.requests.children.keys()
        for labels, counted in short.metrics.requests.children.items():
            assert counted.value == long.metrics.requests.children[labels].value
        assert long.public.lane.known.heads == {}


def _cut(content: bytes, chance: random.Random) -> list[bytes]:
    """In one piece, in a few, at the ends of heads, or byte by byte for a while."""
    places = sorted(chance.sample(range(len(content)), chance.choice([0, 0, 1, 3, 20])))
    if chance.random() < 0.3:
        places = sorted({*places, *(found.end() for found in re.finditer(rb"\r\n\r\n", content))})
    return [content[start:end] for start, end in zip([0, *places], [*places, len(content)], strict=True) if start < end]


async def _said(server: HttpServer, pieces: list[bytes]) -> bytes:
    """All that the server writes until it closes. Made ids are blanked."""
    async with client(server) as connection:
        reading = asyncio.create_task(_all(connection))
        for piece in pieces:
            await connection.send(piece)
            await asyncio.sleep(0)
        said = await reading
    return re.sub(rb"podium-request-id: [0-9a-f]{16}-[0-9a-f]+", b"podium-request-id: made", said)


async def _all(connection: Client) -> bytes:
    said = b""
    while part := await asyncio.wait_for(connection.reader.read(65536), 60):
        said += part
    return said
