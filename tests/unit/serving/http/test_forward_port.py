"""The port by which pods ask each other: one version, only for those with the token, and no longer than they have."""

from pathlib import Path

import pytest

from serving_lane_fixtures import TOKEN, Client, Reply, client, infer_body, infer_request, site

pytestmark = pytest.mark.process


async def _forwarded(connection: Client, **headers: str) -> Reply:
    path = "/v2/models/churn/versions/churn-3/infer"
    return await connection.ask(infer_request(infer_body(1, 2, request_id="inner"), path, **headers))


async def test_the_forward_port_answers_from_its_own_model_and_says_how_long_it_took(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        await here.serve("3", weights=[2, 3])
        async with client(here.forward) as connection:
            reply = await _forwarded(
                connection,
                authorization=f"Bearer {TOKEN}",
                podium_deadline_milliseconds="60000",
                podium_request_id="outer",
                podium_arm="neural-net",
                podium_mirror="1",
            )
        assert (reply.status, reply.score, reply.json["id"]) == (200, 8.0, "inner")
        assert (reply.headers["podium-arm"], reply.headers["podium-request-id"]) == ("neural-net", "outer")
        assert int(reply.headers["podium-inference-microseconds"]) > 0
        assert int(reply.headers["podium-queue-microseconds"]) >= 0
        assert here.responder.asked == []
        exposition = here.metrics.exposition().decode()
        labels = 'deployment="churn",namespace="retention"'
        assert f'podium_forwarded_requests_total{{code="200",{labels},version="churn-3"}} 1.0' in exposition
        assert f'podium_inference_duration_seconds_count{{{labels},role="shadow",version="churn-3"}} 1.0' in exposition
        assert "podium_requests_total{" not in exposition


@pytest.mark.parametrize("authorization", ["", "Bearer wrong", f"Basic {TOKEN}", "Bearer"])
async def test_the_forward_port_refuses_who_has_no_token(authorization: str, tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        await here.serve("3")
        async with client(here.forward) as connection:
            reply = await _forwarded(connection, authorization=authorization)
            assert reply.status == 401
            assert (await connection.ask(_get("/v2/models/churn"))).status == 404


async def test_the_forward_port_knows_one_version_only_and_wants_it_named(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        authorization = f"Bearer {TOKEN}"
        async with client(here.forward) as connection:
            assert (await _forwarded(connection, authorization=authorization)).status == 503
            await here.serve("4")
            assert (await _forwarded(connection, authorization=authorization)).status == 404
            unnamed = await connection.ask(infer_request(infer_body(1, 2), authorization=authorization))
            assert unnamed.status == 404
            assert "names its version" in unnamed.error


async def test_a_forward_whose_time_is_up_is_504(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        await here.serve("3")
        async with client(here.forward) as connection:
            reply = await _forwarded(connection, authorization=f"Bearer {TOKEN}", podium_deadline_milliseconds="0")
        assert reply.status == 504


def _get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nhost: t\r\n\r\n".encode()
