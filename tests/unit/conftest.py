"""Settings of all unit tests; and those that are not marked `process` start nothing and speak to nobody."""

import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# A property is about values, not about how busy the machine is: an example that took long is no failure, nor are ten whose
# values took a second to make. Values are the same in every run, so that what refuses a change is the change;
# `pytest --hypothesis-profile explore` draws others, and more of them.
_ANY_SPEED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("podium", _ANY_SPEED, derandomize=True)
settings.register_profile("explore", _ANY_SPEED, max_examples=1000)
settings.load_profile("podium")

_REACHING_OUT = {"os.exec", "os.fork", "os.posix_spawn", "os.system", "socket.bind", "socket.connect", "subprocess.Popen"}
"""Audit events: https://docs.python.org/3/library/audit_events.html."""
_reached_out: list[str] = []


def _listen(event: str, arguments: tuple[Any, ...]) -> None:
    if event in _REACHING_OUT:
        _reached_out.append(f"{event}{arguments}"[:200])


sys.addaudithook(_listen)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    _reached_out.clear()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    result = yield
    if _reached_out and item.get_closest_marker("process") is None:
        ring = "such tests are a ring of their own: the file says pytestmark = pytest.mark.process"
        pytest.fail(f"{_reached_out[0]}: {ring}", pytrace=False)
    return result
