"""What tells the public port from the forward port, where both speak HTTP: whom they refuse by the head, and how long
an answer may take."""

import hmac
from typing import TYPE_CHECKING, Protocol

from podium_serving.calls import Calls, ForwardedCalls, PublicCalls
from podium_serving.exchange import InferRequest, ServingError
from podium_serving.http.gate import Gate
from podium_serving.http.requests import Head
from podium_serving.http.responses import Unauthorized
from podium_serving.http.routes import Target
from podium_serving.observation.observer import pass_on
from podium_serving.served import Serving
from podium_serving.settings import OutsideTraining

if TYPE_CHECKING:
    from podium_serving.observation.http import HttpObserver


class Port(Protocol):
    calls: Calls
    timings: bool
    """Whether responses carry queue and inference time."""
    forwarded: bool
    """Whether a request's podium-* headers are those of another pod."""
    outside_training: OutsideTraining
    """What is done about values that training never saw, by dialects that look."""

    observer: "HttpObserver | None"
    """Who is told of what was answered and what was not; None: nobody. Set it before the port opens."""

    def refusal(self, head: Head, target: Target, admitted: Serving | None) -> ServingError | None:
        """What is wrong already, from the head alone."""

    def seconds(self, head: Head, admitted: Serving) -> float:
        """Until the deadline, from the end of the body."""

    def note(self, head: Head, request: InferRequest) -> None:
        """Writes down what only the head says."""


class PublicPort:
    timings = False
    forwarded = False

    def __init__(self, calls: PublicCalls, gate: Gate, outside_training: OutsideTraining = "Warn") -> None:
        self.calls: Calls = calls
        self.outside_training: OutsideTraining = outside_training
        self.observer: HttpObserver | None = None
        self._refusal = gate.refusal

    def refusal(self, head: Head, target: Target, admitted: Serving | None) -> ServingError | None:
        # Who may not ask does not learn what is here.
        refusal = self._refusal(head.authorization, head.api_key)
        return refusal or self.calls.wrong_target(target.model, target.version, admitted) or head.refusal

    def seconds(self, head: Head, admitted: Serving) -> float:
        limit, asked = admitted.plan.timeout_milliseconds, head.timeout_milliseconds
        return (limit if asked is None or asked > limit else asked) / 1000

    def note(self, head: Head, request: InferRequest) -> None:
        _note_trace(self.observer, head, request)


class ForwardPort:
    """Authenticated by the deployment's token."""

    timings = True
    forwarded = True
    outside_training: OutsideTraining = "Accept"

    def __init__(self, calls: ForwardedCalls, token: str) -> None:
        self.calls: Calls = calls
        self.observer: HttpObserver | None = None
        self._authorization = b"Bearer " + token.encode()

    def refusal(self, head: Head, target: Target, admitted: Serving | None) -> ServingError | None:
        if not hmac.compare_digest(head.authorization, self._authorization):
            return Unauthorized("the forward port takes requests of this deployment's pods only: send its bearer token")
        return self.calls.wrong_target(target.model, target.version, admitted) or head.refusal

    def seconds(self, head: Head, admitted: Serving) -> float:
        limit = head.deadline_milliseconds
        return (admitted.plan.timeout_milliseconds if limit is None else limit) / 1000

    def note(self, head: Head, request: InferRequest) -> None:
        request.request_id = head.request_id or request.request_id
        request.arm = head.arm
        request.mirror = head.mirror
        _note_trace(self.observer, head, request)


def _note_trace(observer: "HttpObserver | None", head: Head, request: InferRequest) -> None:
    if observer is not None:
        observer.note(head, request)
    elif head.traceparent:
        pass_on(request, None, head.traceparent, head.tracestate)
