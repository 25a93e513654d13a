"""The gate at the public port: over real sockets, in front of the lane and of the application."""

import json
import random
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from podium_serving.http.gate import Gate
from podium_serving.security.api_keys import ApiKeyGate
from podium_serving.security.upkeep import Upkeep
from serving_lane_fixtures import TOKEN, Site, client, infer_body, infer_request, site, until

pytestmark = pytest.mark.process

KEY = b"app-key-of-at-least-22-characters"
BEARER = f"Bearer {KEY.decode()}"
PATH = "/v2/models/churn/infer"


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Site]:
    keys = ApiKeyGate(lambda: None)
    keys.take({"app": KEY})
    async with site(tmp_path, gate=Gate(keys, Upkeep()), body_timeout_seconds=30.0) as made:
        await made.serve("1", weights=[1, 1])
        yield made


def get(path: str, **headers: str) -> bytes:
    lines = [
        f"GET {path} HTTP/1.1",
        "host: test",
        *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


async def test_the_lane_answers_who_shows_a_key(here: Site) -> None:
    async with client(here.public) as connection:
        for headers in ({"authorization": BEARER}, {"x_api_key": KEY.decode()}):
            reply = await connection.ask(infer_request(infer_body(1, 2), **headers))
            assert (reply.status, reply.score) == (200, 3.0)


@pytest.mark.parametrize("path", [PATH, "/v2/models/absent/infer", "/v2/models/churn/versions/absent/infer"])
async def test_the_lane_tells_nobody_else_what_is_here(here: Site, path: str) -> None:
    async with client(here.public) as connection:
        for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": f"Bearer {TOKEN}"}):
            reply = await connection.ask(infer_request(infer_body(1, 2), path, **headers))
            assert (reply.status, reply.headers["www-authenticate"]) == (401, "Bearer")
            assert "churn" not in reply.error
        reply = await connection.ask(infer_request(infer_body(1, 2), authorization=BEARER))
        assert reply.status == 200, "the connection goes on"
    assert here.responder.asked[0].headers.get("authorization") is None
    counted = {labels[2]: value.value for labels, value in here.metrics.requests.children.items()}
    assert counted == {"401": 3, "200": 1}


@pytest.mark.parametrize(
    ("path", "open_to_all"),
    [
        ("/v2/health/live", True),
        ("/v2/health/ready", True),
        ("/v2", False),
        ("/v2/models/churn", False),
        ("/v2/models/churn/ready", False),
        ("/metrics", False),
        ("/docs", False),
        ("/openapi.json", False),
        ("/", False),
        ("/nothing", False),
        ("//v2/health/live", False),
        ("/v2/health", False),
        ("/%2e/v2/health/live", False),
    ],
)
async def test_only_health_is_open(here: Site, path: str, open_to_all: bool) -> None:
    async with client(here.public) as connection:
        reply = await connection.ask(get(path))
        assert (reply.status == 401) is not open_to_all
        if not open_to_all:
            assert reply.headers["www-authenticate"] == "Bearer"
            assert "asks for an API key" in reply.error
        assert (await connection.ask(get(path, authorization=BEARER))).status != 401


@pytest.mark.parametrize("path", ["/v2/health/../metrics", "/v2/health/%2e%2e/metrics", "/v2/health//../../metrics"])
async def test_no_way_leads_from_health_to_elsewhere(here: Site, path: str) -> None:
    async with client(here.public) as connection:
        reply = await connection.ask(get(path))
        assert reply.status == 404
        assert b"podium_" not in reply.body


async def test_the_repository_index_asks_too(here: Site) -> None:
    async with client(here.public) as connection:
        assert (await connection.ask(infer_request(b"{}", "/v2/repository/index"))).status == 401
        reply = await connection.ask(infer_request(b"{}", "/v2/repository/index", authorization=BEARER))
        assert reply.json[0]["name"] == "churn"


async def test_a_refused_body_is_not_kept(here: Site) -> None:
    async with client(here.public) as connection:
        body = b"x" * 3_000_000
        await connection.send(infer_request(body)[:-1_000_000])
        await until(lambda: here.public.lane.open_requests == 1)
        assert here.public.lane.buffered_bytes == 0
        await connection.send(body[:1_000_000])
        assert (await connection.reply()).status == 401
        assert (await connection.ask(infer_request(infer_body(1, 2), authorization=BEARER))).status == 200


async def test_who_waits_to_send_a_body_is_refused_before_it(here: Site) -> None:
    async with client(here.public) as connection:
        head = infer_request(b"x" * 1000, expect="100-continue")[:-1000]
        assert (await connection.ask(head)).status == 401


async def test_the_forward_port_takes_its_own_token_only(here: Site) -> None:
    path = "/v2/models/churn/versions/churn-1/infer"
    async with client(here.forward) as connection:
        for authorization in (BEARER, "", "Bearer ", f"Basic {TOKEN}", f"Bearer {TOKEN}x"):
            reply = await connection.ask(infer_request(infer_body(1, 2), path, authorization=authorization))
            assert reply.status == 401
        assert (await connection.ask(infer_request(infer_body(1, 2), path, authorization=f"Bearer {TOKEN}"))).status == 200


async def test_a_pod_whose_gate_knows_nobody_is_not_ready_and_says_so(tmp_path: Path) -> None:
    gate = Gate(keys := ApiKeyGate(lambda: None), Upkeep())
    async with site(tmp_path, gate=gate) as made, client(made.public) as connection:
        await made.serve("1", weights=[1, 1])
        made.state.locked = True
        reply = await connection.ask(get("/v2/health/ready"))
        assert (reply.status, json.loads(reply.body)["error"]) == (503, "no API key and no key of the issuer is known yet")
        reply = await connection.ask(infer_request(infer_body(1, 2), x_api_key=KEY.decode()))
        assert (reply.status, reply.headers["retry-after"]) == (503, "1")
        assert (await connection.ask(get("/docs"))).headers["retry-after"] == "1"
        keys.take({"app": KEY})
        made.state.locked = False
        assert (await connection.ask(get("/v2/health/ready"))).status == 200


async def test_no_spelling_of_a_path_gets_past(here: Site) -> None:
    chance = random.Random(20261121)
    parts = [
        "",
        *[
            "v2",
            "V2",
            "v1",
            "health",
            "live",
            "ready",
            "metrics",
            "docs",
            "models",
            "churn",
            "infer",
            "score",
            "explain",
            "openapi.json",
            "repository",
        ],
    ]
    parts += ["..", ".", "?", "#", ";x", "%00", "%2F", "%2e%2e", "%2fmetrics", "health%2f.."]
    prefixes = ["/", "/", "/v2/health/", "/v2/", "//", "http://pod/", "http://pod/v2/health/"]
    inside = 0
    async with client(here.public) as connection:
        for _ in range(600):
            target = chance.choice(prefixes) + "/".join(chance.choices(parts, k=chance.randrange(4)))
            method = chance.choice(["GET", "POST", "PUT", "OPTIONS"])
            reply = await connection.ask(f"{method} {target} HTTP/1.1\r\nhost: pod\r\ncontent-length: 0\r\n\r\n".encode())
            if reply.status == 401:
                continue
            inside += 1
            assert unquote(target.removeprefix("http://pod")).startswith("/v2/health/"), target
            assert reply.status in (200, 307, 404, 405), target  # 307: without its last slash
            assert reply.status != 200 or set(reply.json) in ({"live"}, {"ready"}), target
    assert inside > 50, "the test asks for open paths, too"
