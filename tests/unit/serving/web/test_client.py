"""The client against servers that are scripted byte by byte: what it sends, takes, bounds, and keeps."""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from podium_serving.web.addresses import NoAddress
from podium_serving.web.client import Client
from podium_serving.web.link import BrokenReply, CannotConnect
from ports import free_port
from security_fixtures import make_certificate

pytestmark = pytest.mark.process

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n"
UNASKED = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 3\r\n\r\nnot"


Meet = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(meet: Meet, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """The port where `meet` is called for each connection. Close clients first: it waits until all have ended."""
    serving: set[asyncio.Task[None]] = set()

    async def kept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        try:
            await meet(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(kept, "127.0.0.1", 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1]
    async with asyncio.timeout(60):
        await asyncio.gather(*serving)


@dataclass
class Scripted:
    """Answers each request with the next of `answers`; b"" closes the connection. What follows a NUL is sent late."""

    answers: list[bytes]
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @asynccontextmanager
    async def running(self, context: ssl.SSLContext | None = None) -> AsyncIterator["Scripted"]:
        async with listening(self._serve, context) as self.port:
            yield self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while self.answers:
            head = await reader.readuntil(b"\r\n\r\n")
            answer = self.answers.pop(0)
            length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            body = await reader.readexactly(int(length[0].split(b":")[1])) if length else b""
            self.requests.append(head + body)
            if not answer:
                return
            for part in answer.split(b"\0"):
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0)
        await reader.read()  # until the client goes


async def body_of(client: Client, url: str, method: str = "GET", body: bytes = b"", *, follow: bool = False) -> bytes:
    async with client.ask(method, url, body=body, silent_seconds=60, follow=follow) as reply:
        return await reply.read(1024 * 1024)


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        pytest.param(OK, b"ok", id="with-a-length"),
        pytest.param(OK.replace(b"\r\n\r\n", b"\r\n\r\n\0"), b"ok", id="in-pieces"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n\x001\r\nk\r\n0\r\n\r\n", b"ok", id="chunked"
        ),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" + OK, b"ok", id="after-100-continue"),
        pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", b"", id="without-a-body"),
    ],
)
async def test_an_answer_is_read_and_its_connection_kept(answer: bytes, body: bytes) -> None:
    async with Scripted([answer, OK]).running() as server, Client() as client:
        assert await body_of(client, server.url + "/a b?c=d%20e") == body
        assert await body_of(client, server.url) == b"ok"
    assert server.connections == 1
    assert server.requests[0].startswith(f"GET /a%20b?c=d%20e HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n".encode())


async def test_a_head_has_no_body_whatever_its_length_says() -> None:
    async with Scripted([b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", OK]).running() as server, Client() as client:
        async with client.ask("HEAD", server.url) as reply:
            assert (reply.status, reply.header("Content-Length"), await reply.read(10)) == (200, "9", b"")
        assert await body_of(client, server.url) == b"ok"
    assert server.connections == 1


async def test_an_answer_without_a_length_ends_with_its_connection() -> None:
    async def closes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nall of it")

    async with listening(closes) as port, Client() as client:
        assert await body_of(client, f"http://127.0.0.1:{port}") == b"all of it"


async def test_a_connection_that_ended_while_it_was_kept_is_replaced() -> None:
    async with Scripted([OK, b"", OK]).running() as server, Client() as client:
        assert await body_of(client, server.url) == b"ok"
        assert await body_of(client, server.url, "POST", b"body") == b"ok"
    assert server.connections == 2
    assert [request.endswith(b"\r\n\r\nbody") for request in server.requests] == [False, True, True]


@pytest.mark.parametrize("between", [b"", b"\0"], ids=["at-once", "late"])
async def test_an_answer_that_nobody_asked_for_is_no_answer_to_the_next_request(between: bytes) -> None:
    async with Scripted([OK + between + UNASKED, OK]).running() as server, Client() as client:
        async with client.ask("GET", server.url) as reply:
            assert (reply.status, await reply.read(10)) == (200, b"ok")
            for _ in range(10):
                await asyncio.sleep(0)  # what is late has arrived by now
        async with client.ask("GET", server.url) as reply:
            assert (reply.status, await reply.read(10)) == (200, b"ok")
    assert server.connections == 2


async def test_a_first_connection_that_ends_is_an_error() -> None:
    async with Scripted([b"", OK]).running() as server, Client() as client:
        with pytest.raises(BrokenReply, match="ended before the answer was whole"):
            await body_of(client, server.url)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        pytest.param(b"SSH-2.0-OpenSSH\r\n", "is no HTTP", id="another-protocol"),
        pytest.param(b"HTTP/1.1 200 OK\r\nA: " + b"a" * 70_000, "head has more than 65536 bytes", id="endless-head"),
        pytest.param(CHUNKED + b"A: " + b"a" * 600_000, "head has more than 65536 bytes", id="endless-trailer"),
        pytest.param(CHUNKED + b"A: b\r\n" * 100_000, "head has more than 65536 bytes", id="endless-trailers"),
    ],
)
async def test_what_is_no_answer_is_refused(answer: bytes, says: str) -> None:
    async with Scripted([answer]).running() as server, Client() as client:
        with pytest.raises(BrokenReply, match=says):
            await body_of(client, server.url)


async def test_a_body_that_is_cut_short_is_an_error() -> None:
    async def cuts(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")

    async with listening(cuts) as port, Client() as client:
        with pytest.raises(BrokenReply, match="before the answer was whole"):
            await body_of(client, f"http://127.0.0.1:{port}")


async def test_nobody_there_and_nobody_answering_are_told_apart() -> None:
    async def never_answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with listening(never_answers) as port, Client() as client:
        with pytest.raises(CannotConnect, match=r"cannot connect to 127\.0\.0\.1") as refused:
            await body_of(client, f"http://127.0.0.1:{free_port()}")
        assert refused.value.refused
        with pytest.raises(TimeoutError, match=r"no answer within 0\.05 s"):
            async with client.ask("GET", f"http://127.0.0.1:{port}", silent_seconds=0.05):
                pass


async def test_who_refuses_a_large_body_early_is_heard() -> None:
    async def refuses(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        await reader.read()

    async with listening(refuses) as port, Client() as client:
        url = f"http://127.0.0.1:{port}"
        async with client.ask("PUT", url, body=b"x" * 30_000_000, silent_seconds=60) as reply:
            assert reply.status == 413


async def test_a_large_body_arrives_whole() -> None:
    body = bytes(range(256)) * 20_000
    async with Scripted([OK]).running() as server, Client() as client:
        assert await body_of(client, server.url, "PUT", body) == b"ok"
    assert server.requests[0].endswith(body)


async def test_a_large_answer_comes_in_chunks_of_about_the_size_that_is_asked() -> None:
    content = b"x" * 1_000_000
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + content
    async with Scripted([answer]).running() as server, Client() as client, client.ask("GET", server.url) as reply:
        chunks = [chunk async for chunk in reply.chunks(100_000)]
    assert b"".join(chunks) == content
    assert min(map(len, chunks[:-1])) >= 100_000


async def test_redirects_are_followed_if_asked_and_credentials_stay_with_their_origin() -> None:
    async with Scripted([OK]).running() as other:
        away = f"HTTP/1.1 307 See\r\nLocation: http://127.0.0.1:{other.port}/there?a=b\r\nContent-Length: 0\r\n\r\n".encode()
        near = b"HTTP/1.1 302 See\r\nLocation: near\r\nContent-Length: 0\r\n\r\n"
        async with Scripted([near, away, away]).running() as server, Client() as client:
            headers = {"Authorization": "Bearer secret"}
            async with client.ask("GET", f"{server.url}/a/b", headers, follow=True) as reply:
                assert await reply.read(10) == b"ok"
            async with client.ask("GET", server.url, headers) as reply:
                assert reply.status == 307
    assert server.requests[1].startswith(b"GET /a/near ")
    assert b"secret" in server.requests[1]
    assert other.requests[0].startswith(b"GET /there?a=b ")
    assert b"secret" not in other.requests[0]


async def test_endless_redirects_end() -> None:
    around = b"HTTP/1.1 302 See\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"
    async with (
        Scripted([around] * 20).running() as server,
        Client() as client,
        client.ask("GET", server.url, follow=True) as reply,
    ):
        assert reply.status == 302
    assert len(server.requests) == 11


@pytest.mark.parametrize("url", ["", "ftp://host/", "http://", "http://host:99999/", "//host/path"])
async def test_what_is_no_address_is_said(url: str) -> None:
    async with Client() as client:
        with pytest.raises(NoAddress):
            await body_of(client, url)


async def test_a_header_with_a_line_break_is_refused_before_anything_is_sent() -> None:
    async with Client() as client:
        with pytest.raises(ValueError, match="'A' holds a line break"):
            async with client.ask("GET", f"http://127.0.0.1:{free_port()}", {"A": "b\r\nC: d"}):
                pass


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A server's context that the machine's trust reaches."""
    made = make_certificate()
    chain, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    chain.write_bytes(made.files["tls.crt"])
    key.write_bytes(made.files["tls.key"])
    monkeypatch.setenv("SSL_CERT_FILE", str(chain))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(chain, key)
    return context


async def test_https_is_spoken_to_whom_the_machine_trusts(trusted: ssl.SSLContext) -> None:
    async with Scripted([OK, OK]).running(trusted) as server, Client() as client:
        assert await body_of(client, f"https://127.0.0.1:{server.port}") == b"ok"
        assert await body_of(client, f"https://127.0.0.1:{server.port}") == b"ok"
    assert server.connections == 1


async def test_a_stranger_is_not_spoken_to(trusted: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere")
    async with Scripted([OK]).running(trusted) as server, Client() as client:
        with pytest.raises(CannotConnect, match="self-signed certificate"):
            await body_of(client, f"https://127.0.0.1:{server.port}")
    assert server.requests == []


async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    writer.close()


@asynccontextmanager
async def proxy(seen: list[bytes]) -> AsyncIterator[int]:
    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        seen.append(head)
        if not head.startswith(b"CONNECT "):
            writer.write(OK)
            return
        host, _, port = head.split()[1].decode().partition(":")
        there = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(pour(reader, there[1]), pour(there[0], writer))

    async with listening(meet) as port:
        yield port


async def test_a_proxy_of_the_environment_is_used_by_who_asks_for_it(
    trusted: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bytes] = []
    credential = base64.b64encode(b"me:p@ss")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    async with proxy(seen) as port, Scripted([OK]).running() as plain, Scripted([OK]).running(trusted) as secure:
        for name in ("http_proxy", "https_proxy"):
            monkeypatch.setenv(name, f"http://me:p%40ss@127.0.0.1:{port}")
        async with Client(proxied=True) as client:
            assert await body_of(client, f"{plain.url}/path") == b"ok"
            assert await body_of(client, f"https://127.0.0.1:{secure.port}/path") == b"ok"
        async with Client() as client:
            assert await body_of(client, plain.url) == b"ok"
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        async with Scripted([OK]).running() as direct, Client(proxied=True) as client:
            assert await body_of(client, direct.url) == b"ok"
    assert seen[0].startswith(b"GET %s/path HTTP/1.1\r\n" % plain.url.encode())
    assert seen[1].startswith(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\n" % secure.port)
    assert len(seen) == 2
    assert all(b"Proxy-Authorization: Basic " + credential in head for head in seen)
    assert b"Proxy" not in secure.requests[0]
