"""Settings of all tests: one that fails says what its processes wrote, and drags no other down."""

import gc
import sys
import warnings
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from log_tails import log_tails

_failed: set[str] = set()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.failed:
        _failed.add(report.nodeid)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    folder = getattr(item, "funcargs", {}).get("tmp_path")
    if report.failed and isinstance(folder, Path):
        report.sections += [(f"End of {path}", text) for path, text in log_tails(folder)]
    return report


def pytest_runtest_logfinish(nodeid: str) -> None:
    """What a failed test left open goes here: whenever else it went, the warning would be of the test that runs then."""
    if nodeid not in _failed:
        return
    for name in ("last_type", "last_value", "last_traceback", "last_exc"):  # pytest keeps the frames for a debugger
        vars(sys).pop(name, None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()
