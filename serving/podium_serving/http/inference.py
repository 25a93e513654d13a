"""Answers one inference request that the lane has read: whom it is for, what it says, who answers, how it is counted.

The public port asks the plan's responder, which may split; the forward port asks the model that lives here and nobody
else. Knows nothing of sockets.
"""

import hmac
import time
from dataclasses import dataclass
from typing import Protocol

from podium_serving.exchange import Answer, InferRequest, NotFound, NotServing, ServingError
from podium_serving.http.requests import ClientHeaders, Head, RawHeaders, RequestIds, Target
from podium_serving.http.responses import Unauthorized
from podium_serving.metrics import Distribution, Metrics
from podium_serving.state import Serving, ServingState

NOT_YET = "no version is committed here yet; try again"


@dataclass(slots=True)
class Arrived:
    """A request as it came, whole."""

    target: Target
    head: Head
    headers: RawHeaders
    admitted: Serving
    admitted_at: float
    body: bytes
    body_at: float
    """Monotonic seconds when the body was complete: the client's time to send it is not the model's."""
    id_in_body: str = ""


class Inference(Protocol):
    """One port's way to answer."""

    state: ServingState
    ids: RequestIds
    timings: bool
    """Whether responses carry queue and inference time."""
    forwarded: bool

    def refusal(self, head: Head, target: Target, admitted: Serving | None) -> ServingError | None:
        """What is wrong already, from the head alone."""

    def request(self, arrived: Arrived) -> InferRequest: ...

    async def answer(self, arrived: Arrived, request: InferRequest) -> Answer: ...

    def body(self, arrived: Arrived, request: InferRequest, answer: Answer) -> bytes: ...

    def answered(self, arrived: Arrived, request: InferRequest, answer: Answer) -> None:
        """The response is on the wire."""

    def failed(self, arrived: Arrived | None, admitted: Serving | None, code: int) -> None:
        """Counts a response that is no answer."""


class _Port:
    """What both ports share."""

    def __init__(self, state: ServingState, metrics: Metrics, model: str) -> None:
        self.state = state
        self.ids = RequestIds()
        self._metrics = metrics
        self._model = model
        self._times: dict[tuple[str, str], tuple[Distribution, Distribution]] = {}

    def _wrong_target(self, target: Target, admitted: Serving) -> NotFound | None:
        if target.model != self._model:
            return NotFound(f"no model '{target.model[:80]}' here; this endpoint serves '{self._model}'")
        serving = admitted.plan.champion.version.name
        if target.version and target.version != serving:
            return NotFound(f"version '{target.version[:80]}' of model '{self._model}' does not serve; '{serving}' does")
        return None

    def _parsed(self, arrived: Arrived, limit_milliseconds: int) -> InferRequest:
        decoded = arrived.admitted.codec.decode(arrived.body)
        arrived.id_in_body = decoded.id
        return InferRequest(
            columns=decoded.columns,
            rows=decoded.rows,
            admitted_at=arrived.admitted_at,
            deadline=arrived.body_at + limit_milliseconds / 1000,
            request_id=decoded.id or arrived.head.request_id or self.ids(),
            body=arrived.body,
            headers=ClientHeaders(arrived.headers),
            pinned_version=arrived.target.version,
            wanted_outputs=decoded.wanted_outputs,
            parameters=decoded.parameters,
        )

    def body(self, arrived: Arrived, request: InferRequest, answer: Answer) -> bytes:
        if answer.body is not None:
            return answer.body
        assert answer.columns is not None, "an answer has columns or a body"
        return arrived.admitted.codec.encode(
            answer.columns, self._model, answer.version, arrived.id_in_body, request.wanted_outputs
        )

    def _observe(self, version: str, role: str, answer: Answer) -> None:
        times = self._times.get((version, role))
        if times is None:
            times = (
                self._metrics.queue_seconds.labels(version, role),
                self._metrics.inference_seconds.labels(version, role),
            )
            self._times[version, role] = times
        times[0].observe(answer.queue_seconds)
        times[1].observe(answer.inference_seconds)


class PublicInference(_Port):
    """The public port: whoever the plan's responder chooses answers."""

    timings = False
    forwarded = False

    def refusal(self, head: Head, target: Target, admitted: Serving | None) -> ServingError | None:
        if admitted is None:
            return NotServing(NOT_YET)
        return head.refusal or self._wrong_target(target, admitted)

    def request(self, arrived: Arrived) -> InferRequest:
        limit = arrived.admitted.plan.timeout_milliseconds
        return self._parsed(arrived, min(limit, arrived.head.timeout_milliseconds or limit))

    async def answer(self, arrived: Arrived, request: InferRequest) -> Answer:
        return await arrived.admitted.responder.answer(request, arrived.admitted)

    def answered(self, arrived: Arrived, request: InferRequest, answer: Answer) -> None:
        role = "champion" if answer.arm_answered == "champion" else "challenger"
        self._metrics.requests.labels(answer.version, role, "200").inc()
        self._metrics.request_seconds.labels(answer.version, role).observe(time.monotonic() - request.admitted_at)
        self._metrics.rows.labels(answer.version, role).inc(request.rows)
        if answer.body is None:
            self._observe(answer.version, role, answer)
        arrived.admitted.responder.answered(request, answer, arrived.admitted)

    def failed(self, arrived: Arrived | None, admitted: Serving | None, code: int) -> None:
        version = admitted.plan.champion.version.name if admitted else ""
        self._metrics.requests.labels(version, "champion", str(code)).inc()
        if arrived is not None and code >= 500:
            elapsed = time.monotonic() - arrived.admitted_at
            self._metrics.request_seconds.labels(version, "champion").observe(elapsed)


class ForwardedInference(_Port):
    """The forward port: authenticated, answers from the model in this pod, never splits again."""

    timings = True
    forwarded = True

    def __init__(self, state: ServingState, metrics: Metrics, model: str, token: str) -> None:
        super().__init__(state, metrics, model)
        self._authorization = b"Bearer " + token.encode()

    def refusal(self, head: Head, target: Target, admitted: Serving | None) -> ServingError | None:
        if not hmac.compare_digest(head.authorization, self._authorization):
            return Unauthorized("the forward port takes requests of this deployment's pods only: send its bearer token")
        if admitted is None or admitted.model is None:
            return NotServing(NOT_YET)
        if not target.version:
            return NotFound("a forwarded request names its version: /v2/models/{model}/versions/{version}/infer")
        return head.refusal or self._wrong_target(target, admitted)

    def request(self, arrived: Arrived) -> InferRequest:
        limit = arrived.head.deadline_milliseconds
        request = self._parsed(arrived, arrived.admitted.plan.timeout_milliseconds if limit is None else limit)
        request.request_id = arrived.head.request_id or request.request_id
        return request

    async def answer(self, arrived: Arrived, request: InferRequest) -> Answer:
        plan, model = arrived.admitted.plan, arrived.admitted.model
        assert model is not None, "refused by the head"
        columns, timing = await model.infer(request.columns, request.rows, request.deadline)
        arm = arrived.head.arm or plan.role
        return Answer(
            version=plan.champion.version.name,
            version_digest=plan.champion.version.digest,
            epoch=plan.epoch,
            columns=columns,
            arm_assigned=arm,
            arm_answered=arm,
            queue_seconds=timing.queue_seconds,
            inference_seconds=timing.inference_seconds,
        )

    def answered(self, arrived: Arrived, request: InferRequest, answer: Answer) -> None:
        self._metrics.forwarded_requests.labels(answer.version, "200").inc()
        self._observe(answer.version, "shadow" if arrived.head.mirror else arrived.admitted.plan.role, answer)

    def failed(self, arrived: Arrived | None, admitted: Serving | None, code: int) -> None:
        version = admitted.plan.champion.version.name if admitted else ""
        self._metrics.forwarded_requests.labels(version, str(code)).inc()
