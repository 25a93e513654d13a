"""Reviews of rights and tokens, asked of an API server and remembered for half a minute."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from monitor_api_server import ScriptedApiServer, api_server, connected
from podium_monitor.access import AccessUnknown, Identity, NoReviews, RememberedReviews
from podium_monitor.cluster import Cluster

pytestmark = pytest.mark.process

REVIEW = "/apis/authorization.k8s.io/v1/subjectaccessreviews"


@pytest.fixture
async def server() -> AsyncIterator[ScriptedApiServer]:
    async with api_server() as running:
        yield running


@pytest.fixture
async def cluster(server: ScriptedApiServer, tmp_path: Path) -> AsyncIterator[Cluster]:
    connection = await connected(tmp_path, server.port)
    yield connection
    await connection.close()


async def test_a_right_is_asked_for_as_kubernetes_names_it(server: ScriptedApiServer, cluster: Cluster) -> None:
    server.answers["SubjectAccessReview"] = {"allowed": True}
    assert await cluster.may("alice", ["risk"], "get", "modeldeployments", "shop")
    [asked] = server.asked
    assert asked["spec"]["user"] == "alice"
    assert asked["spec"]["groups"] == ["risk"]
    attributes = asked["spec"]["resourceAttributes"]
    assert (attributes["group"], attributes["resource"], attributes["verb"], attributes["namespace"]) == (
        "podium.dev",
        "modeldeployments",
        "get",
        "shop",
    )
    server.answers["SubjectAccessReview"] = {"allowed": False, "denied": True}
    assert not await cluster.may("alice", [], "get", "modeldeployments", "shop")
    server.answers["SubjectAccessReview"] = {"allowed": "true"}
    assert not await cluster.may("alice", [], "get", "modeldeployments", "shop")


async def test_a_token_is_somebodys_or_nobodys(server: ScriptedApiServer, cluster: Cluster) -> None:
    server.answers["TokenReview"] = {"authenticated": True, "user": {"username": "bob", "groups": ["a", "b"]}}
    assert await cluster.who("t") == Identity("bob", ("a", "b"))
    server.answers["TokenReview"] = {"authenticated": False, "user": {"username": "bob"}}
    assert await cluster.who("t") is None
    server.answers["TokenReview"] = {}
    assert await cluster.who("t") is None


async def test_a_server_that_cannot_be_asked_lets_nobody_in_and_is_asked_again(
    server: ScriptedApiServer, cluster: Cluster
) -> None:
    reviews = RememberedReviews(cluster)
    server.deny[REVIEW] = 500
    with pytest.raises(AccessUnknown, match="500 as the test says"):
        await reviews.may("alice", [], "get", "modeldeployments", "shop")
    del server.deny[REVIEW]
    server.answers["SubjectAccessReview"] = {"allowed": True}
    assert await reviews.may("alice", [], "get", "modeldeployments", "shop")


class Counting:
    """Answers by rule, and counts."""

    def __init__(self) -> None:
        self.asked = 0

    async def may(self, user: str, groups: Sequence[str], verb: str, resource: str, namespace: str) -> bool:
        self.asked += 1
        await asyncio.sleep(0)
        return namespace == "shop"

    async def who(self, token: str) -> Identity | None:
        self.asked += 1
        return None


async def test_equal_questions_are_asked_once_and_again_after_half_a_minute() -> None:
    asked, now = Counting(), [0.0]
    reviews = RememberedReviews(asked, clock=lambda: now[0])

    async def may(groups: Sequence[str]) -> bool:
        return await reviews.may("alice", groups, "get", "modeldeployments", "shop")

    assert await asyncio.gather(*(may(["a", "b"]) for _ in range(20))) == [True] * 20
    assert await may(["b", "a"])
    assert asked.asked == 1
    assert await may(["a"])
    assert asked.asked == 2
    now[0] = 31.0
    assert await may(["a", "b"])
    assert asked.asked == 3


async def test_one_who_leaves_takes_no_answer_from_the_others() -> None:
    asked = Counting()
    reviews = RememberedReviews(asked)
    first = asyncio.ensure_future(reviews.may("a", [], "get", "modeldeployments", "shop"))
    second = asyncio.ensure_future(reviews.may("a", [], "get", "modeldeployments", "shop"))
    await asyncio.sleep(0)
    first.cancel()
    assert await second
    assert asked.asked == 1


async def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podium_monitor.access._MOST_REMEMBERED", 10)
    asked = Counting()
    reviews = RememberedReviews(asked)
    for number in range(30):
        assert await reviews.who(f"t-{number}") is None
    assert asked.asked == 30
    await reviews.who("t-29")
    assert asked.asked == 30
    await reviews.who("t-0")
    assert asked.asked == 31


async def test_without_an_api_server_nobody_may_anything() -> None:
    assert not await NoReviews().may("admin", ["system:masters"], "get", "modeldeployments", "shop")
    assert await NoReviews().who("t") is None
