"""gRPC over TLS by the stock client; a new certificate is taken without dropping a connection."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import grpc
import pytest

from podium_serving.calls import PublicCalls
from podium_serving.http.gate import Gate
from podium_serving.rpc import inference_pb2 as wire
from podium_serving.rpc.server import INFERENCE, RpcServer
from podium_serving.security import folder as mounted
from podium_serving.security.tls import Certificate
from rpc_fixtures import raw_request, raw_scores
from security_fixtures import Made, make_certificate, mount
from serving_lane_fixtures import QUICK, site, until

pytestmark = pytest.mark.process


@pytest.fixture(autouse=True)
def _quick_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mounted, "POLL_SECONDS", 0.02)


@asynccontextmanager
async def tls_server(folder: Path, made: Made) -> AsyncIterator[tuple[RpcServer, Certificate]]:
    mount(folder / "tls", made.files)
    certificate = Certificate(folder / "tls")
    certificate.start()
    async with site(folder) as behind:
        await behind.serve("1")
        calls = PublicCalls({"churn": behind.state}, behind.metrics)
        server = RpcServer(calls, Gate.open_to_all(), QUICK, tls=certificate.context("h2"))
        await server.start("127.0.0.1", 0)
        try:
            yield server, certificate
        finally:
            await server.stop(2.0)
            await certificate.close()


async def scores(channel: grpc.aio.Channel) -> list[float]:
    call = channel.unary_unary(
        f"/{INFERENCE}/ModelInfer", wire.ModelInferRequest.SerializeToString, wire.ModelInferResponse.FromString
    )
    return raw_scores(await call(raw_request([1, 2]), timeout=60))


def channel_to(server: RpcServer, made: Made) -> grpc.aio.Channel:
    credentials = grpc.ssl_channel_credentials(made.certificate)
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]
    return grpc.aio.secure_channel(f"127.0.0.1:{server.port}", credentials, options=options)


async def test_stock_clients_call_over_tls_and_a_new_certificate_drops_nobody(tmp_path: Path) -> None:
    first, second = make_certificate(), make_certificate()
    async with tls_server(tmp_path, first) as (server, certificate), channel_to(server, first) as old:
        assert await scores(old) == [3]
        mount(tmp_path / "tls", second.files)
        await until(lambda: certificate.pair.serial == second.serial)
        async with channel_to(server, second) as new:
            assert await scores(new) == [3]
        assert await scores(old) == [3]
        async with channel_to(server, first) as stranger:
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await scores(stranger)
            assert error.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_who_speaks_plain_or_http_1_to_it_is_let_go_and_the_next_client_is_served(tmp_path: Path) -> None:
    made = make_certificate()
    async with tls_server(tmp_path, made) as (server, _):
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as plain:
            with pytest.raises(grpc.aio.AioRpcError):
                await scores(plain)
        context = made.client()
        context.set_alpn_protocols(["http/1.1"])
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=context)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        await asyncio.wait_for(reader.read(), 60)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        async with channel_to(server, made) as channel:
            assert await scores(channel) == [3]
