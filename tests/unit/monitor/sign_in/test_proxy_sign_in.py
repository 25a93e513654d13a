"""A proxy's headers count over mutual TLS from that proxy alone: real handshakes, with certificates of two authorities."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from fastapi import FastAPI

from dashboard_fixtures import Rights, StillWorld, Story, sources, watched
from oidc_fixtures import Authority, Held
from podium_monitor.dashboard.routes import dashboard
from podium_monitor.sign_in.listener import mutual_tls
from podium_monitor.sign_in.opening import reception
from podium_monitor.sign_in.proxy import names_of
from podium_monitor.sign_in.settings import Proxy
from ports import free_port
from web_fixtures import served

pytestmark = pytest.mark.process

PROXY = "proxy.gateway.svc"
SIGNED_IN = {"X-Forwarded-User": "ada", "X-Forwarded-Groups": "analysts, system:masters"}


class Setting:
    """The dashboard on its two ports, and the authorities of who may come."""

    def __init__(self, folder: Path) -> None:
        self.servers = Authority(folder, "servers")
        self.proxies = Authority(folder, "proxies")
        own = self.servers.signed("monitor")
        self.settings = Proxy(frozenset({PROXY}), self.proxies.file, own.certificate, own.key, free_port())
        self.rights = Rights({("analysts", "retention"), ("system:masters", "payments")})
        stories = [Story(days=2, columns=("age",)), Story(name="fraud", namespace="payments", days=2, columns=("age",))]
        self.app = FastAPI()
        world = StillWorld([watched(story) for story in stories])
        self.app.include_router(dashboard(reception(self.settings), world, sources(stories), self.rights))

    def client(self, held: Held | None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.servers.file))
        if held is not None:
            context.load_cert_chain(held.certificate, held.key)
        return context

    @asynccontextmanager
    async def asking(self, held: Held | None, headers: dict[str, str]) -> AsyncIterator[aiohttp.ClientResponse]:
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.get(f"https://127.0.0.1:{self.settings.port}/", ssl=self.client(held)) as response,
        ):
            yield response


@pytest.fixture
async def setting(tmp_path: Path) -> AsyncIterator[Setting]:
    made = Setting(tmp_path)
    async with mutual_tls(made.app, made.settings, "127.0.0.1"):
        yield made


async def test_whom_the_named_proxy_names_sees_their_namespaces(setting: Setting) -> None:
    async with setting.asking(setting.proxies.signed("proxy", PROXY), SIGNED_IN) as response:
        body = await response.text()
    assert response.status == 200
    assert "churn" in body
    assert "fraud" not in body, "a proxy cannot hand out Kubernetes' own groups"


async def test_another_certificate_of_the_same_authority_names_nobody(setting: Setting) -> None:
    for held in (setting.proxies.signed("other", "other.gateway.svc"), setting.proxies.signed(PROXY, "other.svc")):
        async with setting.asking(held, SIGNED_IN) as response:
            assert response.status == 401
            assert "churn" not in await response.text()


async def test_a_certificate_of_another_authority_or_none_gets_no_connection(setting: Setting, tmp_path: Path) -> None:
    strange = Authority(tmp_path, "strange").signed("strange-proxy", PROXY)
    for held in (strange, None):
        with pytest.raises(aiohttp.ClientError):
            async with setting.asking(held, SIGNED_IN) as response:
                await response.read()


async def test_the_headers_are_worth_nothing_on_the_plain_port(setting: Setting) -> None:
    async with served(setting.app) as url, aiohttp.ClientSession(headers=SIGNED_IN) as session, session.get(url) as response:
        assert response.status == 401
        assert "churn" not in await response.text()


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="no-user"),
        pytest.param({"X-Forwarded-User": ""}, id="an-empty-user"),
        pytest.param({"X-Forwarded-User": "system:admin"}, id="a-user-of-the-cluster"),
    ],
)
async def test_a_header_that_names_nobody_lets_nobody_in(setting: Setting, headers: dict[str, str]) -> None:
    async with setting.asking(setting.proxies.signed("proxy", PROXY), headers) as response:
        assert response.status == 403


async def test_two_users_in_one_request_are_none(setting: Setting) -> None:
    held = setting.proxies.signed("proxy", PROXY)
    async with (
        aiohttp.ClientSession() as session,
        session.get(
            f"https://127.0.0.1:{setting.settings.port}/",
            ssl=setting.client(held),
            headers=[("X-Forwarded-User", "ada"), ("X-Forwarded-User", "eve")],
        ) as response,
    ):
        assert response.status == 403


def test_the_common_name_counts_for_nothing() -> None:
    certificate = {"subject": ((("commonName", PROXY),),), "subjectAltName": (("DNS", "a.svc"), ("URI", "spiffe://x/y"))}
    assert names_of(certificate) == {"a.svc", "spiffe://x/y"}
    assert names_of({}) == frozenset()
