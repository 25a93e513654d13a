"""Whose fault a failed preparation is. A version's fault aborts for all pods; a pod's fault replaces that pod only.

The safe side is the pod: an unknown error must not condemn a version that every other pod can hold.
"""

import errno

from podium_crds.plan import Failure

VERSION_REASONS = frozenset(
    {
        "DigestMismatch",
        "PackageNotFound",
        "InvalidPackage",
        "SchemaMismatch",
        "LoadFailed",
        "TransformFailed",
        "GoldenRowsFailed",
    }
)
_ALLOCATION_FAILED = ("bad_alloc", "bad allocation", "Failed to allocate memory")
"""How ONNX Runtime says that this pod had no memory for a model that another pod may hold."""
_MAX_MESSAGE = 1000


class PreparationFailed(Exception):
    """A step of the preparation failed for a known reason."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(reason, message)
        self.reason = reason
        self.message = message

    def __str__(self) -> str:
        return self.message


def failure_of(error: BaseException, plan_digest: str) -> Failure:
    """The failure that the operator reads. `reason` comes from the error where it has one."""
    reason = reason_of(error)
    fault = "Version" if reason in VERSION_REASONS else "Pod"
    return Failure(fault=fault, reason=reason, message=_sentence(error), plan_digest=plan_digest)


def reason_of(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return "OutOfMemory"
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "DiskFull"
    reason = getattr(error, "reason", None)
    if reason == "LoadFailed" and any(sign in str(error) for sign in _ALLOCATION_FAILED):
        return "OutOfMemory"
    return reason if isinstance(reason, str) and reason.isidentifier() else "PreparationFailed"


def _sentence(error: BaseException) -> str:
    text = str(error) or type(error).__name__
    if reason_of(error) == "PreparationFailed":
        text = f"{type(error).__name__}: {text}"
    return text if len(text) <= _MAX_MESSAGE else text[: _MAX_MESSAGE - 1] + "…"
