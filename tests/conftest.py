"""Settings of all tests: one that fails drags no other down."""

import gc
import sys
import warnings

import pytest

_failed: set[str] = set()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.failed:
        _failed.add(report.nodeid)


def pytest_runtest_logfinish(nodeid: str) -> None:
    """What a failed test left open goes here: whenever else it went, the warning would be of the test that runs then."""
    if nodeid not in _failed:
        return
    for name in ("last_type", "last_value", "last_traceback", "last_exc"):  # pytest keeps the frames for a debugger
        vars(sys).pop(name, None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()
