"""A refusal says what a client needs to know next."""

import json

import pytest

from podium_monitor.refusals import refusal


@pytest.mark.parametrize(
    ("status", "after", "headers"),
    [
        pytest.param(401, None, {"www-authenticate": "Bearer"}, id="how to sign in"),
        pytest.param(404, None, {}, id="nothing more"),
        pytest.param(429, 1, {"retry-after": "1"}, id="when it said so"),
        pytest.param(503, None, {"retry-after": "5"}, id="when to come again"),
        pytest.param(503, 60, {"retry-after": "60"}, id="its own time"),
    ],
)
def test_a_refusal(status: int, after: int | None, headers: dict[str, str]) -> None:
    found = refusal(status, "it is not to be had", after)
    told = {name: value for name, value in found.headers.items() if name in ("www-authenticate", "retry-after")}
    assert (found.status_code, told) == (status, headers)
    assert json.loads(bytes(found.body)) == {"error": "it is not to be had"}
