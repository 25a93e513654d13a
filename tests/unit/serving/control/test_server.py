"""The control port's door: who may speak, what is answered, and what is never given out."""

import asyncio
import base64
import re
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from podium_crds.package import sha256_digest
from podium_crds.plan import (
    Commit,
    ControlStatus,
    DeploymentKey,
    Envelope,
    Inquiry,
    PeerState,
    SigningKey,
)
from podium_serving.control import server
from swap_fixtures import DEPLOYMENT, KEY, TOKEN, FakeRegistry, Pod, Pods, eventually, plan, pods, prepare

pytestmark = pytest.mark.process

BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
async def registry() -> AsyncIterator[FakeRegistry]:
    async with FakeRegistry().running() as running:
        yield running


@pytest.fixture
async def group(tmp_path: Path, registry: FakeRegistry) -> AsyncIterator[Pods]:
    async with pods(tmp_path, registry) as running:
        yield running


@pytest.fixture
async def pod(group: Pods) -> Pod:
    return await group.start("127.0.0.21")


def inquiry(uid: str = DEPLOYMENT.uid, expires_in: float = 60.0) -> Inquiry:
    key = DeploymentKey(namespace="retention", name="churn", uid=uid)
    return Inquiry(deployment=key, expires_at=time.time() + expires_in)


async def post(pod: Pod, path: str, body: Any, headers: dict[str, str] | None = None) -> tuple[int, Any]:
    async with pod.session.post(pod.url(path), data=body, headers=headers) as response:
        return response.status, await response.json()


async def test_an_inquiry_is_answered_with_the_status(pod: Pod) -> None:
    status = await pod.status_after(inquiry())
    assert (status.ready, status.committed, status.pool, status.pod_uid) == (False, None, "a", "pod-127.0.0.21")
    assert status.process_id
    assert status.memory_bytes > 1_000_000


async def test_a_stranger_an_old_message_and_another_deployments_are_refused(pod: Pod) -> None:
    for message, key, sentence in (
        (inquiry(), SigningKey.generate(), "no known key"),
        (inquiry(expires_in=-60.0), KEY, r"expired [6-9]\d s ago"),
        (inquiry(uid="other"), KEY, "the message is for deployment uid other"),
        (prepare(plan(1, role="challenger")), KEY, "the plan is for challenger pods, this is a champion pod"),
    ):
        code, body = await pod.send(message, key)
        assert code == 403
        assert re.search(sentence, body["error"])


async def test_a_challenger_takes_plans_of_its_own_pool_only(group: Pods) -> None:
    challenger = await group.start("127.0.0.22", role="challenger", pool="neural-net-x")
    code, body = await challenger.send(Commit(plan=plan(1, role="challenger", pool="neural-net-y")))
    assert (code, body["error"]) == (
        403,
        "the plan is for challenger pool neural-net-y, this pod is of pool neural-net-x",
    )
    assert (await challenger.send(Commit(plan=plan(1, role="challenger", pool="neural-net-x"))))[0] == 200


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"not json", Envelope(body="%%", signature="", key_id="").model_dump_json().encode()],
    ids=["empty", "no-envelope", "no-json", "no-base64"],
)
async def test_what_is_no_message_is_refused_in_words(pod: Pod, body: bytes) -> None:
    code, answer = await post(pod, "/control/v1/messages", body)
    assert code == 403
    assert answer["error"]


async def test_a_tampered_message_is_refused(pod: Pod) -> None:
    envelope = KEY.sign(inquiry())
    changed = base64.b64decode(envelope.body).replace(b"Inquiry", b"inquiry")
    tampered = envelope.model_copy(update={"body": base64.b64encode(changed).decode()})
    assert (await post(pod, "/control/v1/messages", tampered.model_dump_json()))[0] == 403


async def test_a_lower_message_is_a_conflict_with_the_status(pod: Pod, registry: FakeRegistry, tmp_path: Path) -> None:
    digest = registry.add_made(tmp_path / "p1")
    await pod.preparation_of(plan(5, digest=digest, uri=registry.uri))
    await pod.status_after(Commit(plan=plan(5, digest=digest, uri=registry.uri)))
    code, body = await pod.send(prepare(plan(4, digest=digest, uri=registry.uri)))
    assert code == 409
    assert body["error"] == "epoch 4 is not above the committed epoch 5: prepare a higher one"
    held = ControlStatus.model_validate(body["status"]).committed
    assert held is not None
    assert held.epoch == 5


async def test_a_huge_body_is_refused(pod: Pod) -> None:
    async def large() -> AsyncIterator[bytes]:
        yield b" " * server.MAX_BODY_BYTES
        yield b" "

    code, body = await post(pod, "/control/v1/messages", large())
    assert (code, "Too Large" in body["error"]) == (413, True)


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer "}, {"Authorization": TOKEN}]
)
async def test_peers_need_the_token(pod: Pod, headers: dict[str, str]) -> None:
    for path in ("/peer/v1/state", "/peer/v1/blobs/" + "a" * 64):
        async with pod.session.get(pod.url(path), headers=headers) as response:
            assert response.status == 401
    assert (await post(pod, "/peer/v1/commit", b"{}", headers))[0] == 401


async def test_a_peer_hears_what_is_committed_and_what_is_prepared(pod: Pod, registry: FakeRegistry, tmp_path: Path) -> None:
    digest = registry.add_made(tmp_path / "p1")
    commit = Commit(plan=plan(1, digest=digest, uri=registry.uri))
    await pod.status_after(commit)
    await pod.status_after(prepare(plan(2, digest=digest, uri=registry.uri)))
    async with pod.session.get(pod.url("/peer/v1/state"), headers=BEARER) as response:
        state = PeerState.model_validate(await response.json())
    assert state.committed == KEY.sign(commit)
    assert state.preparing_epoch == 2


async def test_a_peer_hands_on_commits_and_nothing_else(pod: Pod, registry: FakeRegistry, tmp_path: Path) -> None:
    first = plan(1, digest=registry.add_made(tmp_path / "p1"), uri=registry.uri)
    code, body = await post(pod, "/peer/v1/commit", KEY.sign(prepare(first)).model_dump_json(), BEARER)
    assert (code, body["error"]) == (403, "a signed Prepare is no commit")
    forged = SigningKey.generate().sign(Commit(plan=first))
    assert (await post(pod, "/peer/v1/commit", forged.model_dump_json(), BEARER))[0] == 403
    assert (await post(pod, "/peer/v1/commit", KEY.sign(Commit(plan=first)).model_dump_json(), BEARER))[0] == 200
    await eventually(lambda: pod.epoch == 1)
    lower = KEY.sign(Commit(plan=first.model_copy(update={"term": 9})))
    assert (await post(pod, "/peer/v1/commit", lower.model_dump_json(), BEARER))[0] == 409


async def test_files_are_given_by_their_content_only(pod: Pod, registry: FakeRegistry, tmp_path: Path) -> None:
    digest = registry.add_made(tmp_path / "p1")
    await pod.preparation_of(plan(1, digest=digest, uri=registry.uri))
    async with pod.session.get(pod.url(f"/peer/v1/blobs/{digest[7:]}"), headers=BEARER) as response:
        assert response.status == 200
        assert sha256_digest(await response.read()) == digest
    for name in ("b" * 64, "A" * 64, "..%2f..%2f..%2fetc%2fpasswd", f"sha256-{digest[7:]}", ".partial-1"):
        async with pod.session.get(pod.url(f"/peer/v1/blobs/{name}"), headers=BEARER) as response:
            assert response.status == 404


async def test_metrics_and_health_need_no_credential(pod: Pod, registry: FakeRegistry, tmp_path: Path) -> None:
    first = plan(3, digest=registry.add_made(tmp_path / "p1"), uri=registry.uri)
    await pod.status_after(Commit(plan=first))
    await eventually(lambda: pod.epoch == 3)
    async with pod.session.get(pod.url("/metrics")) as response:
        assert response.content_type == "text/plain"
        assert 'podium_plan_epoch{deployment="churn",namespace="retention"} 3.0' in await response.text()
    async with pod.session.get(pod.url("/healthz")) as response:
        assert response.status == 200
    async with pod.session.get(pod.url("/nothing")) as response:
        assert (response.status, await response.json()) == (404, {"error": "Not Found"})


@pytest.mark.parametrize(
    ("method", "path", "statuses"),
    [
        ("POST", "/control/v1/messages", {403}),
        ("GET", "/control/v1/messages", {405}),
        ("PUT", "/control/v1/messages", {405}),
        ("GET", "/peer/v1/state", {401}),
        ("HEAD", "/peer/v1/state", {401}),
        ("POST", "/peer/v1/commit", {401}),
        ("GET", "/peer/v1/blobs/" + "0" * 64, {401}),
        ("GET", "/peer/v1/blobs/../../../etc/passwd", {404}),
        ("GET", "/control", {404}),
        ("GET", "/", {404}),
        ("GET", "/docs", {404}),
    ],
)
async def test_who_shows_nothing_commands_nothing_and_learns_nothing(
    group: Pods, pod: Pod, registry: FakeRegistry, tmp_path: Path, method: str, path: str, statuses: set[int]
) -> None:
    held = plan(1, digest=registry.add_made(tmp_path / "one"), uri=registry.uri)
    await group.swap_to(held)
    unsigned = Envelope(body=KEY.sign(inquiry()).body, signature="", key_id="").model_dump_json()
    forged = SigningKey.generate().sign(inquiry()).model_dump_json()
    for body in (unsigned, forged, "{}", ""):
        async with pod.session.request(method, pod.url(path), data=body) as response:
            text = await response.text()
        assert response.status in statuses
        for secret in (held.champion.version.name, held.champion.version.digest, TOKEN, "epoch", "process_id"):
            assert secret not in text
    assert pod.epoch == 1


async def test_an_inquiry_that_was_overheard_is_good_for_a_while_only(pod: Pod) -> None:
    assert (await pod.send(inquiry(expires_in=-3600)))[0] == 403


async def test_a_message_that_does_not_arrive_holds_no_connection(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "BODY_SECONDS", 0.05)
    reader, writer = await asyncio.open_connection(pod.address, pod.port)
    writer.write(b"POST /control/v1/messages HTTP/1.1\r\nhost: pod\r\ncontent-length: 10\r\n\r\n{")
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
    assert head.startswith(b"HTTP/1.1 403")
    writer.close()
    await writer.wait_closed()


def from_address(address: str) -> aiohttp.ClientSession:
    """Whose connections come from there."""
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(local_addr=(address, 0)))


async def test_a_body_that_says_it_is_huge_is_refused_before_it_comes_and_the_connection_ends(pod: Pod) -> None:
    reader, writer = await asyncio.open_connection(pod.address, pod.port)
    writer.write(b"POST /control/v1/messages HTTP/1.1\r\nhost: pod\r\ncontent-length: 5000000\r\n\r\n")
    async with asyncio.timeout(60):
        answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 413")
    writer.close()
    await writer.wait_closed()


async def test_messages_that_do_not_end_leave_room_for_those_of_another_address(pod: Pod) -> None:
    gate, begun = asyncio.Event(), 0

    async def slowly() -> AsyncIterator[bytes]:
        nonlocal begun
        yield b"{"
        begun += 1
        await gate.wait()

    async def send(session: aiohttp.ClientSession, body: Any) -> tuple[int, str | None]:
        async with session.post(pod.url("/control/v1/messages"), data=body) as response:
            await response.read()
            return response.status, response.headers.get("Retry-After")

    signed = KEY.sign(inquiry()).model_dump_json()
    async with from_address("127.0.0.90") as stranger, from_address("127.0.0.91") as operator:
        slow = [asyncio.ensure_future(send(stranger, slowly())) for _ in range(2)]
        await eventually(lambda: begun == 2)
        async with asyncio.timeout(60):
            while await send(stranger, "{") != (429, "1"):  # noqa: ASYNC110  the two are coming
                await asyncio.sleep(0.01)
        assert await send(operator, signed) == (200, None)
        gate.set()
        assert {status for status, _ in await asyncio.gather(*slow)} == {403}
        assert await send(stranger, signed) == (200, None)


async def test_an_address_whose_messages_were_refused_again_and_again_is_heard_no_more_for_a_while(pod: Pod) -> None:
    forged = SigningKey.generate().sign(inquiry()).model_dump_json()
    signed = KEY.sign(inquiry()).model_dump_json()

    async def status(session: aiohttp.ClientSession, body: str) -> int:
        async with session.post(pod.url("/control/v1/messages"), data=body) as response:
            return response.status

    async with from_address("127.0.0.90") as stranger, from_address("127.0.0.91") as operator:
        assert [await status(operator, signed) for _ in range(50)] == [200] * 50
        found = Counter([await status(stranger, forged) for _ in range(200)])
        assert set(found) == {403, 429}
        assert found[403] < 150
        assert await status(operator, signed) == 200
