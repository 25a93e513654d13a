"""What the lane and its dialects agree on. Data and protocols only."""

from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import msgspec

from podium_serving.exchange import Answer, InferRequest
from podium_serving.http.requests import Head, RawHeaders
from podium_serving.settings import OutsideTraining
from podium_serving.state import Serving

JSON = b"application/json"


class Arrived(msgspec.Struct, eq=False):
    """A request as it came, whole. Content-Encoding is undone already."""

    head: Head
    headers: RawHeaders
    admitted: Serving
    model: str
    """The name that the model has here; answers repeat it."""
    version: str
    """The version that the path names; empty: none."""
    admitted_at: float
    deadline: float
    """Monotonic seconds."""
    request_id: str
    """What the answer is called when the body brings no id of its own."""
    body: bytes
    outside_training: OutsideTraining
    """What is done about values that training never saw, by dialects that look."""
    id_in_body: str = ""
    """Set by the dialect that finds one: only then an answer repeats it."""


class Written(msgspec.Struct, eq=False):
    """The body of a 200 response, and header lines that only this dialect has, each ended by CRLF."""

    body: bytes
    content_type: bytes = JSON
    headers: bytes = b""


Finish = Callable[[Arrived, InferRequest, Answer], Coroutine[Any, Any, None] | None]
"""None: for this request there is nothing more to do."""


class Dialect(Protocol):
    """Reads requests and writes answers. Keeps no state between calls, but may note things on `arrived` or the request."""

    finish: Finish | None
    """More work between the answer and its writing, for the few that need it (explanations). Raises ServingError."""

    def read(self, arrived: Arrived) -> InferRequest:
        """Raises ServingError, whose text names what is wrong and what would be right."""

    def write(self, arrived: Arrived, request: InferRequest, answer: Answer) -> Written: ...
