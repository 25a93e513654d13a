"""Reviews of rights and tokens, asked of an API server and remembered for half a minute."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import aiohttp
import pytest
from fastapi import FastAPI, Request, Response

from monitor_api_server import ScriptedApiServer, api_server, connected
from podium_crds.evidence import monitor_token
from podium_monitor.access import AccessUnknown, Identity, NoReviews, RememberedReviews, TooManyQuestions
from podium_monitor.bearers import Bearers
from podium_monitor.cluster import Cluster
from web_fixtures import served

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
        await asyncio.sleep(0)
        return Identity(token) if token.startswith("good") else None


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
        assert await reviews.who(f"t-{number}", asker=f"10.0.0.{number}") is None
    assert asked.asked == 30
    await reviews.who("t-29")
    assert asked.asked == 30
    await reviews.who("t-0")
    assert asked.asked == 31


async def test_without_an_api_server_nobody_may_anything() -> None:
    assert not await NoReviews().may("admin", ["system:masters"], "get", "modeldeployments", "shop")
    assert await NoReviews().who("t") is None


async def test_made_up_tokens_are_asked_for_so_often_and_no_more_by_one_address_and_by_all() -> None:
    asked, now = Counting(), [0.0]
    reviews = RememberedReviews(asked, clock=lambda: now[0])
    await reviews.who("good-known", "10.0.0.9")

    async def shown(asker: str, times: int, stem: str = "") -> int:
        """How many of so many made-up tokens were asked for."""
        before = asked.asked
        for number in range(times):
            with contextlib.suppress(TooManyQuestions):
                await reviews.who(f"{stem}{asker}-{number}", asker)
        return asked.asked - before

    assert await shown("10.0.0.1", 500) == 20
    assert await shown("10.0.0.1", 20) == 0  # they are known to be nobody's
    assert await reviews.who("good-new", "10.0.0.2") == Identity("good-new")
    with pytest.raises(TooManyQuestions):
        await reviews.who("good-new-too", "10.0.0.1")
    assert sum([await shown(f"10.0.1.{number}", 30) for number in range(50)]) == 180
    with pytest.raises(TooManyQuestions):
        await reviews.who("good-newest", "10.0.0.3")
    now[0] = 31.0
    assert await shown("10.0.0.1", 500, "again") == 20
    for _ in range(3):
        assert await shown("10.0.0.1", 100) == 0
        assert await reviews.who("good-known", "10.0.0.1") == Identity("good-known")


async def test_somebodys_token_costs_nothing_and_is_asked_for_once() -> None:
    asked = Counting()
    reviews = RememberedReviews(asked)
    for number in range(300):
        assert await asyncio.gather(*(reviews.who(f"good-{number}", "10.0.0.1") for _ in range(3)))
        assert await reviews.who(f"good-{number}", "10.0.0.1") == Identity(f"good-{number}")
    assert asked.asked == 300


@pytest.mark.parametrize("token", ["x" * 16_385, "tök", "a\x00b"])
async def test_what_cannot_be_a_token_is_not_asked_for(token: str) -> None:
    asked = Counting()
    assert await RememberedReviews(asked).who(token) is None
    assert asked.asked == 0


async def test_a_user_cannot_ask_for_namespaces_without_end() -> None:
    asked, now = Counting(), [0.0]
    reviews = RememberedReviews(asked, clock=lambda: now[0])

    async def may(user: str, namespace: str) -> bool:
        return await reviews.may(user, [], "get", "modeldeployments", namespace)

    for number in range(2000):
        assert not await may("mallory", f"n-{number}")
    with pytest.raises(TooManyQuestions, match="mallory"):
        await may("mallory", "shop")
    assert await may("alice", "shop")
    assert not await may("mallory", "n-1999")
    assert asked.asked == 2001


async def test_a_flood_of_made_up_tokens_at_the_port_reaches_the_api_server_by_the_bound_alone(
    server: ScriptedApiServer, cluster: Cluster
) -> None:
    """Over sockets: a client that shows a thousand tokens, and a server that says that they are nobody's."""
    server.answers["TokenReview"] = {"authenticated": False}
    app, bearers = FastAPI(), Bearers(b"k" * 32, RememberedReviews(cluster))

    async def face(request: Request) -> Response:
        return await bearers.refusal(request, "shop") or Response()

    app.add_api_route("/", face, methods=["GET"])
    async with served(app) as url, aiohttp.ClientSession() as session:

        async def status(token: str) -> tuple[int, str | None]:
            async with session.get(url, headers={"Authorization": f"Bearer {token}"}) as response:
                await response.read()
                return response.status, response.headers.get("Retry-After")

        found = Counter(await asyncio.gather(*(status(f"made-up-{number}") for number in range(1000))))
        operator = monitor_token(b"k" * 32)
        assert await status(operator) == (200, None)
        server.deny["/apis/authentication.k8s.io/v1/tokenreviews"] = 500
    asked = server.requests["POST /apis/authentication.k8s.io/v1/tokenreviews"]
    assert 20 <= asked <= 60
    assert found == {(401, None): asked, (429, "10"): 1000 - asked}
