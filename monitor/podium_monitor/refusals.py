"""What every API of the monitor answers to a request that it does not fulfil."""

from fastapi import Response
from fastapi.responses import JSONResponse

BROKEN_SECONDS = 5
"""Retry-After of a 503 that says no other."""


def refusal(status: int, text: str, retry_after_seconds: int | None = None) -> Response:
    """`{"error": text}`. A 401 says how to sign in, a 503 when to come again; give a 429 its `retry_after_seconds`."""
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    if status == 503 and retry_after_seconds is None:
        retry_after_seconds = BROKEN_SECONDS
    if retry_after_seconds is not None:
        headers["Retry-After"] = str(retry_after_seconds)
    return JSONResponse({"error": text}, status, headers)
