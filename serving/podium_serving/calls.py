"""One port's way to the model, whatever protocol asks: admission, answer, and how it is counted.

The public calls ask the plan's responder, which may split; the forwarded ones ask the model that lives here and nobody
else. Knows nothing of sockets, HTTP or gRPC.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from itertools import count
from os import urandom
from typing import ClassVar

from podium_serving.exchange import Answer, InferRequest, NotFound, NotServing, ServingError
from podium_serving.metrics import Distribution, Metrics
from podium_serving.state import Serving, ServingState

logger = logging.getLogger(__name__)

NOT_YET = "no version is committed here yet; try again"

Done = Callable[[Answer | ServingError], None]


class RequestIds:
    """Ids that no other process or pod makes."""

    def __init__(self) -> None:
        self._prefix = urandom(8).hex()
        self._numbers = count()

    def __call__(self) -> str:
        return f"{self._prefix}-{next(self._numbers):x}"


class Calls:
    """What both kinds share. `states` are the models of this process by name: a pod has one, a laptop may have several."""

    counts_admissions: ClassVar[bool]
    """Whether a request that enters here tells how far a flip has come."""

    def __init__(self, states: Mapping[str, ServingState], metrics: Metrics) -> None:
        self.states = states
        self.request_ids = RequestIds()
        self._metrics = metrics
        self._times: dict[tuple[str, str], tuple[Distribution, Distribution]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def draining(self) -> bool:
        return any(state.draining for state in self.states.values())

    def model_named(self, model: str) -> str:
        """`model`, or the only one that is here where none was named."""
        return next(iter(self.states)) if not model and len(self.states) == 1 else model

    def enter(self, model: str) -> Serving | None:
        """The one place where a request reads the plan. None: there is none yet, or no such model. Pair it with `leave`."""
        state = self.states.get(model)
        admitted = state.current if state is not None else None
        if state is None or admitted is None:
            return None
        admitted.open_requests += 1
        if state.behind:
            state.late_admissions += 1
        if self.counts_admissions:
            admitted.last_admitted = time.time()
            if admitted.first_admitted is None:
                admitted.first_admitted = admitted.last_admitted
        return admitted

    def leave(self, admitted: Serving) -> None:
        """The request that entered is answered, refused, or its client is gone."""
        admitted.open_requests -= 1

    def wrong_target(self, model: str, version: str, admitted: Serving | None) -> ServingError | None:
        """What is wrong with asking `version` (empty: any) of `model`, given what `enter` gave."""
        if model not in self.states:
            here = ", ".join(f"'{name}'" for name in list(self.states)[:10])
            return NotFound(f"no model '{model[:80]}' here; this endpoint serves {here}")
        if admitted is None:
            return NotServing(NOT_YET)
        serving = admitted.plan.champion.version.name
        if version and version != serving:
            return NotFound(f"version '{version[:80]}' of model '{model}' does not serve; '{serving}' does")
        return None

    def admit(self, model: str, version: str = "") -> Serving:
        """`enter` for those who can raise. Raises NotFound or NotServing; else pair it with `leave`."""
        admitted = self.enter(model)
        wrong = self.wrong_target(model, version, admitted)
        if admitted is not None and wrong is None:
            return admitted
        if admitted is not None:
            self.leave(admitted)
        raise wrong or NotServing(NOT_YET)

    def begin(self, request: InferRequest, admitted: Serving, done: Done) -> None:
        """Answers `request`: `done` is called exactly once, in this thread, perhaps before this returns."""
        task = asyncio.get_running_loop().create_task(self._told(request, admitted, done))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _told(self, request: InferRequest, admitted: Serving, done: Done) -> None:
        try:
            result: Answer | ServingError = await self.answer(request, admitted)
        except ServingError as error:
            result = error
        except Exception:
            logger.exception("request %s failed", request.request_id)
            result = ServingError("this server failed; its log says more")
        done(result)

    async def answer(self, request: InferRequest, admitted: Serving) -> Answer:
        """Raises ServingError."""
        raise NotImplementedError

    def answered(self, request: InferRequest, admitted: Serving, answer: Answer, protocol: str) -> None:
        """The response is on the wire. `protocol` is HTTP or gRPC."""
        raise NotImplementedError

    def failed(self, admitted: Serving | None, admitted_at: float, code: int, protocol: str) -> None:
        """Counts a response that is no answer, by its HTTP status."""
        raise NotImplementedError

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


class PublicCalls(Calls):
    """Whoever the plan's responder chooses answers."""

    counts_admissions = True

    async def answer(self, request: InferRequest, admitted: Serving) -> Answer:
        return await admitted.responder.answer(request, admitted)

    def answered(self, request: InferRequest, admitted: Serving, answer: Answer, protocol: str) -> None:
        role = "champion" if answer.arm_answered == "champion" else "challenger"
        self._metrics.requests.labels(answer.version, role, "200").inc()
        self._metrics.request_seconds.labels(answer.version, role).observe(time.monotonic() - request.admitted_at)
        self._metrics.rows.labels(answer.version, role).inc(request.rows)
        if answer.arm_answered == "champion" and admitted.model is not None:
            self._observe(answer.version, role, answer)
        admitted.responder.answered(request, answer, admitted)

    def failed(self, admitted: Serving | None, admitted_at: float, code: int, protocol: str) -> None:
        version = admitted.plan.champion.version.name if admitted else ""
        self._metrics.requests.labels(version, "champion", str(code)).inc()
        if admitted is not None and code >= 500:
            self._metrics.request_seconds.labels(version, "champion").observe(time.monotonic() - admitted_at)


class ForwardedCalls(Calls):
    """Answers from the model in this pod; never splits again."""

    counts_admissions = False

    def wrong_target(self, model: str, version: str, admitted: Serving | None) -> ServingError | None:
        wrong = super().wrong_target(model, version, admitted)
        if wrong is None and (admitted is None or admitted.model is None):
            return NotServing(NOT_YET)
        if wrong is None and not version:
            return NotFound("a forwarded request names its version: /v2/models/{model}/versions/{version}/infer")
        return wrong

    async def answer(self, request: InferRequest, admitted: Serving) -> Answer:
        plan, model = admitted.plan, admitted.model
        assert model is not None, "refused by the head"
        columns, timing = await model.infer(request.columns, request.rows, request.deadline)
        arm = request.arm or plan.role
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

    def answered(self, request: InferRequest, admitted: Serving, answer: Answer, protocol: str) -> None:
        self._metrics.forwarded_requests.labels(answer.version, "200").inc()
        self._observe(answer.version, "shadow" if request.mirror else admitted.plan.role, answer)

    def failed(self, admitted: Serving | None, admitted_at: float, code: int, protocol: str) -> None:
        version = admitted.plan.champion.version.name if admitted else ""
        self._metrics.forwarded_requests.labels(version, str(code)).inc()
