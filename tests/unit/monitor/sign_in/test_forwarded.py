"""Metrics name every namespace: who comes by the way of people does not get them."""

import aiohttp
import pytest
from fastapi import FastAPI, Request

from podium_monitor.sign_in.forwarded import came_through_a_proxy
from web_fixtures import served

pytestmark = pytest.mark.process


@pytest.mark.parametrize(
    ("headers", "forwarded"),
    [
        pytest.param({}, False, id="prometheus-asks-the-pod-itself"),
        pytest.param({"X-Forwarded-For": "10.0.0.1"}, True, id="an-ingress"),
        pytest.param({"Forwarded": "for=10.0.0.1"}, True, id="rfc-7239"),
        pytest.param({"via": "1.1 gateway"}, True, id="a-gateway"),
        pytest.param({"X-Real-Ip": ""}, True, id="whatever-it-says"),
    ],
)
async def test_a_request_that_an_ingress_brought_is_known(headers: dict[str, str], forwarded: bool) -> None:
    app = FastAPI()

    @app.get("/")
    def told(request: Request) -> bool:
        return came_through_a_proxy(request)

    async with served(app) as url, aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
        assert await response.json() is forwarded
