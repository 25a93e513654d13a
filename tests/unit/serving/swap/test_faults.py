"""Whose fault a failure is: a version is condemned only for what every pod would meet."""

import errno

import pytest

from podium_serving.exchange import HookFailed
from podium_serving.fetch.errors import DigestMismatch, FetchFailed, PackageNotFound
from podium_serving.fetch.errors import InvalidPackage as InvalidAddress
from podium_serving.model.package import InvalidPackage
from podium_serving.swap.faults import PreparationFailed, failure_of


@pytest.mark.parametrize(
    ("error", "fault", "reason"),
    [
        (DigestMismatch("x"), "Version", "DigestMismatch"),
        (PackageNotFound("x"), "Version", "PackageNotFound"),
        (InvalidAddress("x"), "Version", "InvalidPackage"),
        (InvalidPackage("x"), "Version", "InvalidPackage"),
        (InvalidPackage("x", "SchemaMismatch"), "Version", "SchemaMismatch"),
        (InvalidPackage("x", "LoadFailed"), "Version", "LoadFailed"),
        (InvalidPackage("cannot be loaded: std::bad_alloc", "LoadFailed"), "Pod", "OutOfMemory"),
        (HookFailed("x"), "Version", "TransformFailed"),
        (PreparationFailed("GoldenRowsFailed", "x"), "Version", "GoldenRowsFailed"),
        (PreparationFailed("OutOfMemory", "x"), "Pod", "OutOfMemory"),
        (FetchFailed("x"), "Pod", "FetchFailed"),
        (MemoryError(), "Pod", "OutOfMemory"),
        (OSError(errno.ENOSPC, "No space left on device"), "Pod", "DiskFull"),
        (OSError(errno.EIO, "Input/output error"), "Pod", "PreparationFailed"),
        (ValueError("what nobody foresaw"), "Pod", "PreparationFailed"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_whose_fault(error: Exception, fault: str, reason: str) -> None:
    failure = failure_of(error, "sha256:1")
    assert (failure.fault, failure.reason, failure.plan_digest) == (fault, reason, "sha256:1")
    assert failure.message


def test_an_unforeseen_error_is_named_and_a_long_one_is_cut() -> None:
    assert failure_of(ValueError("odd"), "").message == "ValueError: odd"
    assert failure_of(MemoryError(), "").message == "MemoryError"
    assert len(failure_of(FetchFailed("x" * 5000), "").message) == 1000
