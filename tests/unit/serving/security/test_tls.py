"""TLS of the public port: what is accepted, and how a certificate takes the place of another."""

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from podium_serving.security import folder as mounted
from podium_serving.security import tls as tls_module
from podium_serving.security.tls import Certificate
from podium_serving.settings import InvalidSettings
from security_fixtures import Made, make_certificate, mount, served_serial
from serving_lane_fixtures import Client, Site, client, infer_body, infer_request, site, until

pytestmark = pytest.mark.process


@asynccontextmanager
async def tls_site(folder: Path, made: Made) -> AsyncIterator[tuple[Site, Certificate]]:
    mount(folder / "tls", made.files)
    certificate = Certificate(folder / "tls")
    certificate.start()
    try:
        async with site(folder, tls=certificate.context("http/1.1")) as here:
            await here.serve("1", weights=[1, 1])
            yield here, certificate
    finally:
        await certificate.close()


@pytest.fixture(autouse=True)
def _quick_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mounted, "POLL_SECONDS", 0.02)


def serial(connection: Client) -> int:
    return served_serial(connection.writer.get_extra_info("ssl_object"))


async def test_a_request_is_answered_by_tls(tmp_path: Path) -> None:
    made = make_certificate()
    async with tls_site(tmp_path, made) as (here, _), client(here.public, made.client()) as connection:
        assert serial(connection) == made.serial
        reply = await connection.ask(infer_request(infer_body(1, 2)))
        assert (reply.status, reply.score) == (200, 3.0)
        reply = await connection.ask(b"GET /v2/health/ready HTTP/1.1\r\nhost: test\r\n\r\n")
        assert reply.status == 200


async def test_a_new_certificate_is_shown_to_new_connections_and_drops_no_open_one(tmp_path: Path) -> None:
    first, second = make_certificate(), make_certificate()
    async with tls_site(tmp_path, first) as (here, certificate), client(here.public, first.client()) as open_one:
        assert (await open_one.ask(infer_request(infer_body(1, 2)))).status == 200
        mount(tmp_path / "tls", second.files)
        await until(lambda: certificate.pair.serial == second.serial)
        async with client(here.public, second.client()) as fresh:
            assert serial(fresh) == second.serial
            assert (await fresh.ask(infer_request(infer_body(1, 2)))).status == 200
        assert (await open_one.ask(infer_request(infer_body(1, 3)))).score == 4.0


async def test_a_client_that_names_the_server_gets_the_same_certificate(tmp_path: Path) -> None:
    made = make_certificate()
    async with tls_site(tmp_path, made) as (here, _):
        _reader, writer = await asyncio.open_connection(
            "127.0.0.1", here.public.port, ssl=made.client(), server_hostname="localhost"
        )
        assert served_serial(writer.get_extra_info("ssl_object")) == made.serial
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param({"tls.crt": b"no certificate"}, "no certificate with its unencrypted key", id="not-pem"),
        pytest.param({"tls.crt": make_certificate().certificate}, "KEY_VALUES_MISMATCH", id="another-key"),
        pytest.param(make_certificate(password=b"secret").files, "unencrypted", id="encrypted-key"),
        pytest.param(make_certificate(days=-1).files, "tls.crt ended on", id="ended"),
        pytest.param({"tls.key": b""}, "unencrypted", id="empty-key"),
    ],
)
async def test_a_bad_new_certificate_changes_nothing_and_is_said_once(
    tmp_path: Path, change: dict[str, bytes], says: str, caplog: pytest.LogCaptureFixture
) -> None:
    made = make_certificate()
    async with tls_site(tmp_path, made) as (here, certificate):
        mount(tmp_path / "tls", made.files | change)
        await until(lambda: says in caplog.text)
        async with client(here.public, made.client()) as connection:
            assert (await connection.ask(infer_request(infer_body(1, 2)))).status == 200
        assert certificate.pair.serial == made.serial
        assert "PRIVATE KEY" not in caplog.text
        mount(tmp_path / "tls", (after := make_certificate()).files)
        await until(lambda: certificate.pair.serial == after.serial)
        assert sum(says in record.getMessage() for record in caplog.records) == 1


@pytest.mark.parametrize(
    ("files", "says"),
    [
        pytest.param({}, "tls.crt", id="nothing"),
        pytest.param(make_certificate(password=b"secret").files, "unencrypted", id="encrypted-key"),
    ],
)
def test_no_port_opens_with_a_certificate_that_cannot_be_used(tmp_path: Path, files: dict[str, bytes], says: str) -> None:
    mount(tmp_path / "tls", files)
    with pytest.raises(InvalidSettings, match=rf"PODIUM_TLS_DIR: .*{says}"):
        Certificate(tmp_path / "tls")


def test_a_certificate_that_ended_still_serves_at_a_start_and_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ends: list[float] = []
    mount(tmp_path / "tls", make_certificate(days=-1).files)
    Certificate(tmp_path / "tls", ends.append)
    assert "the certificate ended on" in caplog.text
    assert [round((end - time.time()) / 86_400) for end in ends] == [-1]


async def test_old_protocols_are_refused(tmp_path: Path) -> None:
    made = make_certificate()
    async with tls_site(tmp_path, made) as (here, _):
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old = made.client(maximum_version=ssl.TLSVersion.TLSv1_1)
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            async with client(here.public, old):
                pass


async def test_plain_http_on_the_tls_port_gets_no_answer(tmp_path: Path) -> None:
    async with tls_site(tmp_path, make_certificate()) as (here, _), client(here.public) as connection:
        await connection.send(infer_request(infer_body(1, 2)))
        first = await asyncio.wait_for(connection.reader.read(4), 60)
        assert not first.startswith(b"HTTP")


async def test_a_handshake_that_does_not_end_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podium_serving.http.server.HANDSHAKE_SECONDS", 5.0)
    assert tls_module.HANDSHAKE_SECONDS == 10.0
    made = make_certificate()
    async with tls_site(tmp_path, made) as (here, _), client(here.public) as silent:
        await silent.send(b"\x16\x03\x01")
        assert await silent.closed()
        async with client(here.public, made.client()) as connection:
            assert (await connection.ask(infer_request(infer_body(1, 2)))).status == 200


async def test_a_refused_request_is_answered_before_its_tls_connection_ends(tmp_path: Path) -> None:
    made = make_certificate()
    async with tls_site(tmp_path, made) as (here, _), client(here.public, made.client()) as connection:
        await connection.send(b"no http at all\r\n\r\n")
        assert (await connection.reply()).status == 400
        assert await connection.closed()


@pytest.mark.parametrize(("protocol", "agreed"), [("http/1.1", "http/1.1"), ("h2", "h2")])
async def test_a_socket_agrees_on_its_own_protocol(tmp_path: Path, protocol: str, agreed: str) -> None:
    made = make_certificate()
    mount(tmp_path / "tls", made.files)
    server = await asyncio.start_server(
        lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=Certificate(tmp_path / "tls").context(protocol)
    )
    async with server:
        asking = made.client()
        asking.set_alpn_protocols(["h2", "http/1.1"])
        _reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname(), ssl=asking)
        assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == agreed
        writer.close()
        await writer.wait_closed()


async def test_clients_that_keep_their_tls_connections_lose_nothing_while_a_pod_drains(tmp_path: Path) -> None:
    made = make_certificate()
    trusted = made.client()
    answered: list[int] = []
    lost: list[BaseException] = []
    leaving = asyncio.Event()

    async def ask_again_and_again(here: Site) -> None:
        while not leaving.is_set():
            try:
                async with client(here.public, trusted) as connection:
                    while not leaving.is_set():
                        reply = await connection.ask(infer_request(infer_body(1, 2)))
                        answered.append(reply.status)
                        if reply.headers.get("connection") == "close":
                            break
            except (OSError, asyncio.IncompleteReadError) as error:
                lost.append(error)

    async with tls_site(tmp_path, made) as (here, _), asyncio.TaskGroup() as clients:
        for _ in range(4):
            clients.create_task(ask_again_and_again(here))
        await until(lambda: len(answered) > 50)
        here.state.draining = True
        many = len(answered) + 50
        await until(lambda: len(answered) > many)
        leaving.set()
    assert lost == []
    assert set(answered) == {200}


async def test_a_large_body_arrives_through_tls_piece_by_piece(tmp_path: Path) -> None:
    made = make_certificate()
    async with tls_site(tmp_path, made) as (here, _), client(here.public, made.client()) as connection:
        rows = 20_000
        inputs = [{"name": f"x{i}", "datatype": "FP32", "shape": [rows, 1], "data": [float(i)] * rows} for i in range(2)]
        reply = await connection.ask(infer_request(json.dumps({"inputs": inputs}).encode()))
        assert (reply.status, len(reply.json["outputs"][0]["data"])) == (200, rows)
