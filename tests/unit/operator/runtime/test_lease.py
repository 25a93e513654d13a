import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import pytest
from aiohttp import web

from operator_fixtures import FakeClock, scripted_cluster, settings, until
from podium_operator.cluster import Cluster
from podium_operator.errors import LeaseLost
from podium_operator.kinds import Manifest
from podium_operator.runtime.lease import Lease, claimed, first_transitions

pytestmark = pytest.mark.process

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
FAST = settings(lease_seconds=3, lease_renew_seconds=2, lease_retry_seconds=0.05)


class OneLease:
    """An API server that keeps one Lease and its resourceVersion."""

    def __init__(self) -> None:
        self.record: Manifest | None = None
        self.version = 0
        self.broken = False
        self.loses_answers = False

    async def answer(self, request: web.Request) -> web.Response:
        if self.broken:
            return web.Response(status=503)
        if request.method == "GET":
            return web.json_response(self.record) if self.record else self.refusal(404, "NotFound")
        body = await request.json()
        if request.method == "POST" and self.record is not None:
            return self.refusal(409, "AlreadyExists")
        if request.method == "PUT" and body["metadata"]["resourceVersion"] != str(self.version):
            return self.refusal(409, "Conflict")
        self.version += 1
        self.record = {**body, "metadata": {**body["metadata"], "resourceVersion": str(self.version)}}
        if self.loses_answers:
            self.loses_answers = False
            return web.Response(status=504)
        return web.json_response(self.record)

    @staticmethod
    def refusal(code: int, reason: str) -> web.Response:
        return web.json_response({"reason": reason, "message": reason}, status=code)

    @property
    def holder(self) -> str:
        assert self.record is not None
        holder: str = self.record["spec"]["holderIdentity"]
        return holder


def lose(why: str) -> NoReturn:
    raise LeaseLost(why)


def candidate(cluster: Cluster, identity: str, clock: FakeClock) -> Lease:
    return Lease(cluster, FAST, identity, clock=clock, now=clock.now, on_lost=lose)


async def test_the_first_one_leads_and_the_term_is_one_more_than_the_transitions(tmp_path: Path) -> None:
    server, clock = OneLease(), FakeClock()
    async with scripted_cluster(tmp_path, server.answer) as (cluster, _, _):
        lease = candidate(cluster, "a", clock)
        term = await lease.acquire()
    assert server.record is not None
    assert server.holder == "a"
    assert term == server.record["spec"]["leaseTransitions"] + 1
    lease.fence()


async def test_a_second_one_waits_until_the_record_has_not_changed_for_the_promised_time(tmp_path: Path) -> None:
    server, clock = OneLease(), FakeClock()
    async with scripted_cluster(tmp_path, server.answer) as (cluster, api, _):
        first = await candidate(cluster, "a", clock).acquire()
        second = asyncio.create_task(candidate(cluster, "b", clock).acquire())
        await asked(api.asked, 5)
        assert not second.done()
        clock.pass_by(2.9)
        await asked(api.asked, 3)
        assert not second.done()
        clock.pass_by(0.2)
        async with asyncio.timeout(60):
            assert await second == first + 1
    assert server.holder == "b"


async def test_a_released_lease_is_taken_at_once(tmp_path: Path) -> None:
    server, clock = OneLease(), FakeClock()
    async with scripted_cluster(tmp_path, server.answer) as (cluster, _, _):
        first = candidate(cluster, "a", clock)
        await first.acquire()
        await first.release()
        with pytest.raises(LeaseLost):
            first.fence()
        async with asyncio.timeout(60):
            await candidate(cluster, "b", clock).acquire()
    assert server.holder == "b"


async def test_a_holder_that_renews_goes_on_past_any_deadline(tmp_path: Path) -> None:
    server, clock = OneLease(), FakeClock()
    async with scripted_cluster(tmp_path, server.answer) as (cluster, api, _):
        lease = candidate(cluster, "a", clock)
        await lease.acquire()
        holding = asyncio.create_task(lease.hold())
        for _ in range(5):
            clock.pass_by(1.5)
            await asked(api.asked, 2)
            lease.fence()
        holding.cancel()
        await asyncio.gather(holding, return_exceptions=True)


async def test_a_holder_that_was_frozen_finds_out_before_it_writes(tmp_path: Path) -> None:
    server, clock = OneLease(), FakeClock()
    async with scripted_cluster(tmp_path, server.answer) as (cluster, _, _):
        lease = candidate(cluster, "a", clock)
        await lease.acquire()
        clock.pass_by(2.1)
        with pytest.raises(LeaseLost, match=r"last renewed 2\.1 s ago, allowed are 2 s"):
            lease.fence()


async def test_a_holder_that_cannot_renew_gives_up_at_the_deadline_and_not_before(tmp_path: Path) -> None:
    server, clock = OneLease(), FakeClock()
    async with scripted_cluster(tmp_path, server.answer) as (cluster, api, _):
        lease = candidate(cluster, "a", clock)
        await lease.acquire()
        server.broken = True
        holding = asyncio.create_task(lease.hold())
        clock.pass_by(1.9)
        await asked(api.asked, 3)
        assert not holding.done()
        clock.pass_by(0.2)
        async with asyncio.timeout(60):
            with pytest.raises(LeaseLost):
                await holding


async def test_a_renewal_whose_answer_was_lost_is_found_to_be_its_own(tmp_path: Path) -> None:
    server, clock = OneLease(), FakeClock()
    async with scripted_cluster(tmp_path, server.answer) as (cluster, api, _):
        lease = candidate(cluster, "a", clock)
        await lease.acquire()
        server.loses_answers = True
        holding = asyncio.create_task(lease.hold())
        await asked(api.asked, 6)
        assert not holding.done()
        clock.pass_by(1.9)
        await asked(api.asked, 2)
        lease.fence()
        holding.cancel()
        await asyncio.gather(holding, return_exceptions=True)


@pytest.mark.parametrize("deleted", [False, True], ids=["taken-by-another", "deleted"])
async def test_a_holder_ends_when_it_reads_that_it_holds_nothing(tmp_path: Path, deleted: bool) -> None:
    server, clock = OneLease(), FakeClock()
    async with scripted_cluster(tmp_path, server.answer) as (cluster, _, _):
        lease = candidate(cluster, "a", clock)
        await lease.acquire()
        assert server.record is not None
        server.version += 1
        metadata = {**server.record["metadata"], "resourceVersion": str(server.version)}
        taken = {**server.record, "metadata": metadata, "spec": {**server.record["spec"], "holderIdentity": "b"}}
        server.record = None if deleted else taken
        async with asyncio.timeout(60):
            with pytest.raises(LeaseLost, match="it was deleted" if deleted else "held by b"):
                await lease.hold()


def test_a_lease_that_is_made_again_gives_terms_that_nobody_has_seen() -> None:
    long_ago = claimed(empty(first_transitions(NOON)), "a", 15, NOON, first=True)
    for _ in range(50):
        long_ago = claimed(long_ago, "b", 15, NOON)
    anew = claimed(empty(first_transitions(NOON.replace(hour=13))), "c", 15, NOON, first=True)
    assert anew["spec"]["leaseTransitions"] > long_ago["spec"]["leaseTransitions"]
    assert anew["spec"]["leaseTransitions"] < 2**31


def test_a_lease_that_is_deleted_soon_after_it_was_made_does_not_give_its_term_again() -> None:
    first = claimed(empty(first_transitions(NOON)), "a", 15, NOON, first=True)
    anew = claimed(empty(first_transitions(NOON.replace(second=5))), "b", 15, NOON, first=True)
    assert anew["spec"]["leaseTransitions"] > first["spec"]["leaseTransitions"]


def empty(transitions: int) -> Manifest:
    return {"metadata": {}, "spec": {"leaseTransitions": transitions}}


async def asked(log: list[tuple[str, str]], more: int) -> None:
    """Until the server was asked `more` times again."""
    wanted = len(log) + more
    await until(lambda: len(log) >= wanted)
