"""What the lane and its dialects agree on. Data and protocols only."""

from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from podium_serving.exchange import Answer, InferRequest
from podium_serving.http.requests import Head, RawHeaders
from podium_serving.served import Serving
from podium_serving.settings import OutsideTraining

JSON = b"application/json"


class Arrived:
    """A request as it came, whole. Content-Encoding is undone already."""

    def __init__(
        self,
        head: Head,
        headers: RawHeaders,
        admitted: Serving | None,
        model: str,
        version: str,
        admitted_at: float,
        outside_training: OutsideTraining,
    ) -> None:
        self.head = head
        self.headers = headers
        if admitted is not None:  # who has none is refused before a dialect sees it
            self.admitted: Serving = admitted
        self.model = model
        """The name that the model has here; answers repeat it."""
        self.version = version
        """The version that the path names; empty: none."""
        self.admitted_at = admitted_at
        self.deadline = 0.0
        """Monotonic seconds. This, the id and the body are known at the body's end."""
        self.request_id = ""
        """What the answer is called when the body brings no id of its own."""
        self.body = b""
        self.outside_training: OutsideTraining = outside_training
        """What is done about values that training never saw, by dialects that look."""
        self.id_in_body = ""
        """Set by the dialect that finds one: only then an answer repeats it."""


class Written:
    """The body of a 200 response, and header lines that only this dialect has, each ended by CRLF."""

    def __init__(self, body: bytes, content_type: bytes = JSON, headers: bytes = b"") -> None:
        self.body = body
        self.content_type = content_type
        self.headers = headers


Work = Callable[[], Coroutine[Any, Any, None]]
Finish = Callable[[Arrived, InferRequest, Answer], Work | None]
"""None: for this request there is nothing more to do."""


class Dialect(Protocol):
    """Reads requests and writes answers. Keeps no state between calls, but may note things on `arrived` or the request."""

    finish: Finish | None
    """More work between the answer and its writing, for the few that need it (explanations). Raises ServingError."""

    def read(self, arrived: Arrived) -> InferRequest:
        """Raises ServingError, whose text names what is wrong and what would be right."""

    def write(self, arrived: Arrived, request: InferRequest, answer: Answer) -> Written: ...
