"""The control client against real sockets: what a pod does is a fact, never an error."""

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime

import pytest
from aiohttp import web

from deployment_fixtures import KEY, SIGNER, control_status, plan
from podium_crds.plan import Commit, Envelope, Inquiry, Prepare, SigningKey, open_envelope
from podium_operator.deployments import control
from podium_operator.deployments.control import ControlClient
from podium_operator.deployments.steps import Silence
from podium_operator.errors import LeaseLost

pytestmark = pytest.mark.process

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def no_fence() -> None:
    """This one leads."""


@pytest.fixture
async def client() -> AsyncIterator[ControlClient]:
    found = ControlClient(SIGNER, no_fence, lambda: NOW)
    yield found
    await found.close()


@pytest.fixture
async def serve(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Callable[[Handler], Awaitable[None]]]:
    """Puts a handler behind the control port of 127.0.0.1."""
    runners: list[web.AppRunner] = []
    monkeypatch.setattr(control, "_INQUIRY_SECONDS", 60.0)  # a busy machine is no pod that hangs

    async def start(handler: Handler) -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        runners.append(runner)
        monkeypatch.setattr(control, "CONTROL_PORT", runner.addresses[0][1])

    yield start
    for runner in runners:
        await runner.cleanup()


async def test_a_message_is_signed_for_this_deployment_and_answered(
    client: ControlClient, serve: Callable[[Handler], Awaitable[None]]
) -> None:
    received: list[object] = []

    async def pod(request: web.Request) -> web.Response:
        envelope = Envelope.model_validate_json(await request.read())
        received.append(open_envelope(envelope, [SIGNER.public], KEY.uid, NOW.timestamp()))
        return web.Response(text=control_status("uid-a").model_dump_json())

    await serve(pod)
    assert await client.inquire("127.0.0.1", "uid-a", KEY) == control_status("uid-a")
    await client.prepare("127.0.0.1", "uid-a", plan(), 1000, None)
    assert [type(message) for message in received] == [Inquiry, Prepare]


async def test_a_pod_that_hangs_is_unreachable_in_bounded_time(
    client: ControlClient, serve: Callable[[Handler], Awaitable[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "_INQUIRY_SECONDS", 0.2)
    released = asyncio.Event()

    async def pod(request: web.Request) -> web.Response:
        await released.wait()
        return web.Response()

    await serve(pod)
    async with asyncio.timeout(60):
        assert await client.inquire("127.0.0.1", "uid-a", KEY) is Silence.UNREACHABLE
    released.set()


async def test_nobody_listens(client: ControlClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "CONTROL_PORT", 1)
    assert await client.inquire("127.0.0.1", "uid-a", KEY) is Silence.UNREACHABLE
    assert await client.peer_commit("127.0.0.1", "token", KEY) is None


async def test_a_peers_commit_counts_only_with_our_signature(
    client: ControlClient, serve: Callable[[Handler], Awaitable[None]]
) -> None:
    held = plan(epoch=9)
    signers = {"ours": SIGNER, "a stranger's": SigningKey.generate()}
    for name, signer in signers.items():

        async def pod(request: web.Request, signer: SigningKey = signer) -> web.Response:
            assert request.headers["Authorization"] == "Bearer token"
            return web.json_response({"committed": signer.sign(Commit(plan=held)).model_dump()})

        await serve(pod)
        found = await client.peer_commit("127.0.0.1", "token", KEY)
        assert (found is not None and found.plan == held) is (name == "ours")


@pytest.mark.parametrize("status", [302, 307])
async def test_a_pod_cannot_send_the_operator_elsewhere(
    client: ControlClient, serve: Callable[[Handler], Awaitable[None]], status: int
) -> None:
    """User code runs in pods: what the operator can reach, it must not reach through it."""
    paths: list[str] = []

    async def pod(request: web.Request) -> web.Response:
        paths.append(request.path)
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    await serve(pod)
    assert await client.inquire("127.0.0.1", "uid-a", KEY) is Silence.UNREACHABLE
    assert await client.peer_commit("127.0.0.1", "token", KEY) is None
    assert paths == ["/control/v1/messages", "/peer/v1/state"]


async def test_who_leads_no_more_says_nothing(serve: Callable[[Handler], Awaitable[None]]) -> None:
    asked: list[str] = []

    async def pod(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response()

    def fence() -> None:
        raise LeaseLost("somebody else may lead")

    await serve(pod)
    client = ControlClient(SIGNER, fence, lambda: NOW)
    with pytest.raises(LeaseLost):
        await client.commit("127.0.0.1", "uid-a", client.seal(plan()).envelope)
    await client.close()
    assert asked == []


def test_an_envelope_that_is_no_commit_opens_to_nothing() -> None:
    client = ControlClient(SIGNER, no_fence, lambda: NOW)
    inquiry = SIGNER.sign(Inquiry(deployment=KEY, expires_at=NOW.timestamp() + 5))
    assert client.opened(inquiry, KEY) is None
    assert client.opened(client.seal(plan()).envelope, KEY) is not None
    assert client.opened(client.seal(plan()).envelope, KEY.model_copy(update={"uid": "another"})) is None


def test_the_seal_is_over_the_exact_plan() -> None:
    sealed = ControlClient(SIGNER, no_fence, lambda: NOW).seal(plan(epoch=3))
    assert b'"epoch":3' in base64.b64decode(sealed.envelope.body)


async def test_an_endless_answer_is_cut_off_and_counts_as_none(
    client: ControlClient, serve: Callable[[Handler], Awaitable[None]]
) -> None:
    sent = 0

    async def pod(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            while sent < 64 * 2**20:
                await response.write(b" " * 65536)
                sent += 65536
        return response

    await serve(pod)
    assert await client.inquire("127.0.0.1", "uid", KEY) is Silence.UNREACHABLE
    assert sent < 16 * 2**20
