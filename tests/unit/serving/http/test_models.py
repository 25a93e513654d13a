"""What is asked of models beside inference, as the stock clients of both protocols ask it."""

from pathlib import Path
from typing import Any

import pytest

from serving_lane_fixtures import client, infer_request, site

pytestmark = pytest.mark.process


def get(path: str, **headers: str) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"GET {path} HTTP/1.1\r\nhost: t\r\n{lines}\r\n".encode()


TENSORS = [
    {"name": "x0", "data_type": "TYPE_FP32", "dims": [-1, 1]},
    {"name": "x1", "data_type": "TYPE_FP32", "dims": [-1, 1]},
]


@pytest.mark.parametrize(
    ("path", "status", "part"),
    [
        pytest.param("/v2", 200, {"extensions": ["binary_tensor_data", "model_configuration", "model_repository"]}, id="v2"),
        pytest.param("/v2/models/churn/config", 200, {"max_batch_size": 0, "input": TENSORS}, id="config"),
        pytest.param(
            "/v2/models/churn/stats",
            404,
            {"error": "what this server counts is at /metrics, per version and for Prometheus"},
            id="statistics",
        ),
        pytest.param("/v1/models", 200, {"models": ["churn"]}, id="v1-list"),
        pytest.param("/v1/models/churn", 200, {"name": "churn", "ready": True}, id="v1-ready"),
        pytest.param("/v1/models/other", 404, {}, id="v1-other"),
        pytest.param("/v1/models/churn:predict", 405, {}, id="v1-predict-by-get"),
        pytest.param("/", 200, {"status": "alive"}, id="alive"),
    ],
)
async def test_models_are_described(path: str, status: int, part: dict[str, Any], tmp_path: Path) -> None:
    async with site(tmp_path) as here, client(here.public) as connection:
        await here.serve("3")
        reply = await connection.ask(get(path))
        assert reply.status == status
        assert part.items() <= reply.json.items()


async def test_a_browser_is_led_to_the_docs(tmp_path: Path) -> None:
    async with site(tmp_path) as here, client(here.public) as connection:
        await here.serve("3")
        reply = await connection.ask(get("/", accept="text/html,application/xhtml+xml"))
        assert (reply.status, reply.headers["location"]) == (307, "docs")


async def test_a_model_that_is_not_ready_says_so_in_both_protocols(tmp_path: Path) -> None:
    async with site(tmp_path) as here, client(here.public) as connection:
        assert (await connection.ask(get("/v1/models/churn"))).status == 503
        assert (await connection.ask(get("/v1/models"))).json == {"models": []}
        await here.serve("3")
        here.state.behind = True
        assert (await connection.ask(get("/v1/models/churn"))).status == 503
        assert (await connection.ask(get("/v2/models/churn/ready"))).status == 503
        index = await connection.ask(infer_request(b"", "/v2/repository/index"))
        assert index.json[0]["state"] == "UNAVAILABLE"
        assert (await connection.ask(infer_request(b'{"ready": true}', "/v2/repository/index"))).json == []


@pytest.mark.parametrize("verb", ["load", "unload"])
async def test_in_a_cluster_the_committed_plan_says_what_is_loaded(verb: str, tmp_path: Path) -> None:
    async with site(tmp_path) as here, client(here.public) as connection:
        await here.serve("3")
        reply = await connection.ask(infer_request(b"{}", f"/v2/repository/models/churn/{verb}"))
        assert reply.status == 403
        assert "what serves is what the deployment's committed plan says" in reply.error


@pytest.mark.parametrize("body", [b"[", b'{"ready": 1}', b"\xff"])
async def test_an_index_request_that_is_none_is_refused(body: bytes, tmp_path: Path) -> None:
    async with site(tmp_path) as here, client(here.public) as connection:
        reply = await connection.ask(infer_request(body, "/v2/repository/index"))
        assert (reply.status, "the body is not what this path takes" in reply.error) == (400, True)


async def test_no_path_leads_elsewhere_by_the_clients_own_host_header(tmp_path: Path) -> None:
    async with site(tmp_path) as here, client(here.public) as connection:
        reply = await connection.ask(get("/v2/health/live/"))
        assert (reply.status, "location" in reply.headers) == (404, False)
