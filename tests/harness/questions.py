"""What the tests ask of a two-input sum."""

import json

from demo.load import Load, Question
from harness.api import eventually

TIMEOUT_MILLISECONDS = 60_000
"""Of a request, and of a forward that is meant to succeed: a pod that stands still for a while fails none and leaves none to
the champion."""


def question(a: float = 1.0, b: float = 2.0, **headers: str) -> Question:
    """An Open Inference Protocol request with x0 = a and x1 = b; `X_Key` becomes the header X-Key."""
    inputs = [{"name": name, "shape": [1, 1], "datatype": "FP32", "data": [value]} for name, value in (("x0", a), ("x1", b))]
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Question(json.dumps({"inputs": inputs}).encode(), named)


async def answered_by(load: Load, version: str) -> None:
    """Until the load has an answer of this version."""

    async def seen() -> bool:
        return any(outcome.version == version for outcome in load.outcomes)

    await eventually(f"an answer of {version}", seen)
