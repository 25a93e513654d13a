"""Peers as a pod sees them: those that answer, those that are starting, and those that nobody can tell anything of."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from podium_crds.plan import Commit
from podium_serving.fetch.peers import Peers, PeersUnknown
from podium_serving.model.package import read_package
from podium_serving.web.client import Client
from swap_fixtures import KEY, TOKEN, FakeRegistry, Pods, eventually, plan, pods

pytestmark = pytest.mark.process


@pytest.fixture
async def registry() -> AsyncIterator[FakeRegistry]:
    async with FakeRegistry().running() as running:
        yield running


@pytest.fixture
async def group(tmp_path: Path, registry: FakeRegistry) -> AsyncIterator[Pods]:
    async with pods(tmp_path, registry) as running:
        yield running


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with Client() as made:
        yield made


def peers_of(client: Client, group: Pods, hosts: str, token: str = TOKEN) -> Peers:
    return Peers(client, hosts, group.port, token, own_address="127.0.0.43")


async def test_names_and_addresses_may_be_listed_and_this_pod_is_none_of_its_peers(client: Client, group: Pods) -> None:
    peers = peers_of(client, group, "127.0.0.41, 127.0.0.42,127.0.0.43,,127.0.0.41")
    assert sorted(await peers.addresses()) == ["127.0.0.41", "127.0.0.42"]
    assert await peers_of(client, group, "").addresses() == []


async def test_a_starting_peer_holds_nothing_and_a_mute_one_is_silent(
    client: Client, group: Pods, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("podium_serving.fetch.peers._SHORT_SECONDS", 60.0)
    await group.start("127.0.0.41")

    async def never_answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    mute = await asyncio.start_server(never_answers, "127.0.0.42", group.port)
    answers = await peers_of(client, group, "").ask(["127.0.0.41", "127.0.0.44"])
    assert (len(answers.states), answers.silent) == (2, 0)
    assert all(state.committed is None for state in answers.states)
    monkeypatch.setattr("podium_serving.fetch.peers._SHORT_SECONDS", 0.1)
    async with mute:
        answers = await peers_of(client, group, "").ask(["127.0.0.42"])
    assert (answers.states, answers.silent) == ((), 1)


async def test_a_peer_that_refuses_the_token_is_silent(client: Client, group: Pods) -> None:
    await group.start("127.0.0.41")
    answers = await peers_of(client, group, "", token="wrong").ask(["127.0.0.41"])
    assert (answers.states, answers.silent) == ((), 1)


async def test_a_name_that_nobody_can_resolve_is_not_the_same_as_no_peers(client: Client, group: Pods) -> None:
    async def broken(host: str, port: int) -> list[str]:
        raise PeersUnknown(f"{host} did not resolve")

    peers = Peers(client, "churn-peers", group.port, TOKEN, "", broken)
    with pytest.raises(PeersUnknown):
        await peers.addresses()
    await peers.hand_on(KEY.sign(Commit(plan=plan(1))))  # Nobody to give it to: said in the log, no error.


async def test_a_resolver_that_hangs_is_asked_once(client: Client, group: Pods, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podium_serving.fetch.peers._LOOKUP_SECONDS", 0.05)
    answers, asked = asyncio.Event(), 0

    async def hanging(host: str, port: int) -> list[str]:
        nonlocal asked
        asked += 1
        await answers.wait()
        return ["127.0.0.41"]

    peers = Peers(client, "churn-peers", group.port, TOKEN, "", hanging)
    for _ in range(3):
        with pytest.raises(PeersUnknown, match="did not resolve within"):
            await peers.addresses()
    monkeypatch.setattr("podium_serving.fetch.peers._LOOKUP_SECONDS", 60.0)
    answers.set()
    assert await peers.addresses() == ["127.0.0.41"]
    assert asked == 1


async def test_a_peer_with_wrong_bytes_is_passed_over(registry: FakeRegistry, group: Pods, tmp_path: Path) -> None:
    first = plan(1, digest=registry.add_made(tmp_path / "p1"), uri=registry.uri)
    liar = await group.start("127.0.0.41")
    await liar.preparation_of(first)
    cache = liar.hot_swap.packages.cache
    for name in ("model.onnx", "manifest.json"):
        path = cache.package(first.champion.version.digest) / name
        path.chmod(0o644)
        path.write_bytes(b"wrong")
    other = await group.start("127.0.0.42")
    status = await other.preparation_of(first)
    assert status.prepared is not None
    folder = other.hot_swap.packages.cache.package(first.champion.version.digest)
    assert read_package(folder).digest == first.champion.version.digest


async def test_when_the_registry_fails_every_peer_is_asked(
    registry: FakeRegistry, group: Pods, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("podium_serving.fetch.sources.PEERS_FIRST", 0)
    first = plan(1, digest=registry.add_made(tmp_path / "p1"), uri=registry.uri)
    holder = await group.start("127.0.0.41")
    await holder.preparation_of(first)
    registry.manifests.clear()
    registry.blobs.clear()
    other = await group.start("127.0.0.42")
    assert (await other.preparation_of(first)).prepared is not None


async def test_a_pod_among_starting_ones_begins_at_once(registry: FakeRegistry, group: Pods, tmp_path: Path) -> None:
    first = plan(1, digest=registry.add_made(tmp_path / "p1"), uri=registry.uri)
    group.record(first)
    pod = await group.start("127.0.0.41")
    group.running["127.0.0.42"] = pod  # A name that resolves to an address where nobody listens yet.
    try:
        await eventually(lambda: pod.epoch == 1)
    finally:
        del group.running["127.0.0.42"]
