"""Answers requests under one plan: assigns an arm, asks it within its budget, and has the champion answer otherwise."""

import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial

from podium_crds.plan import Plan, PlannedRoute
from podium_serving.capture.recorder import Recorder
from podium_serving.exchange import Answer, Fallback, InferRequest, ServingError
from podium_serving.inference import Cancel, Done, Tasks, awaited
from podium_serving.metrics import Metrics
from podium_serving.oip.codec import Codec
from podium_serving.served import Serving
from podium_serving.traffic.budget import LEAST_USEFUL_SECONDS, RecentP99, forward_budget
from podium_serving.traffic.champion import Champion
from podium_serving.traffic.forward import Errand, ForwardFailed
from podium_serving.traffic.link import Leave, Link
from podium_serving.traffic.mirror import Report, Shadow, Shadowed
from podium_serving.traffic.splitter import Splitter

logger = logging.getLogger(__name__)

_FULL_TIME = 0.9
"""A request that has this share of the plan's time left was not shortened by its client."""


class Arm:
    """A route of the plan with what is needed to ask it."""

    def __init__(self, plan: Plan, route: PlannedRoute, link: Link, max_answer_bytes: int) -> None:
        self.route = route
        self.name = route.name
        self.link = link
        self.timeout = route.timeout_milliseconds / 1000
        self.plan_timeout = plan.timeout_milliseconds / 1000
        shadow = route.mode == "Shadow"
        # Of a shadow's joined answer each copy's rows are looked at by themselves.
        self.errand = Errand(
            plan.deployment.name, route.version.name, route.name, max_answer_bytes, finite=not shadow, mirror=shadow
        )

    def is_fair(self, seconds: float, left: float) -> bool:
        """Whether running out of `seconds` tells something about the challenger. A client that asks for an answer within
        5 ms must not be able to open the breaker for all others."""
        return seconds >= self.timeout or left >= self.plan_timeout * _FULL_TIME


class PlanResponder:
    """served.Responder. Who answers is decided at once; only a forward to a challenger is a task."""

    def __init__(
        self,
        plan: Plan,
        *,
        champion: Champion,
        recent: RecentP99,
        codec: Codec,
        arms: list[Arm],
        splitter: Splitter | None,
        recorder: Recorder,
        metrics: Metrics,
        release: Callable[[], Awaitable[None]],
    ) -> None:
        self._plan = plan
        self._champion = champion
        self._recent = recent
        self._codec = codec
        self._canaries = {arm.route.name: arm for arm in arms if arm.route.mode == "Canary"}
        self._shadows = [arm for arm in arms if arm.route.mode == "Shadow"]
        self._splitter = splitter
        self._recorder = recorder
        self._metrics = metrics
        self._release = release
        self._tasks = Tasks()

    def begin(self, request: InferRequest, done: Done) -> Cancel:
        """Never fails because of a challenger: an error is the champion's own."""
        if self._splitter is None or request.pinned_version:
            return self._champion.begin(request, done)
        assignment = self._splitter.assign(request)
        if assignment.arm is not None:
            return self._begin_at(self._canaries[assignment.arm], request, done)
        if assignment.kept:
            return self._champion.begin(request, self._kept(assignment.kept, done))
        return self._champion.begin(request, done)

    def _begin_at(self, arm: Arm, request: InferRequest, done: Done) -> Cancel:
        """What need not be tried is known at once: a challenger that is down costs no task."""
        now = time.monotonic()
        if arm.link.breaker.is_shut(now):  # asked first: while a challenger is down, this is all of its share
            return self._champion.begin(request, self._fallen_back(arm, Fallback.BREAKER_OPEN, 0.0, done))
        left = request.deadline - now
        seconds = forward_budget(left, self._recent.seconds(), arm.timeout)
        refusal = arm.link.refusal(request)
        if not refusal and seconds is None:
            refusal = Fallback.NO_TIME_LEFT
        leave = None if refusal or seconds is None else arm.link.enter(now)
        if leave is None or seconds is None:
            return self._champion.begin(request, self._fallen_back(arm, refusal or Fallback.BREAKER_OPEN, 0.0, done))
        forward = partial(self._from_challenger, request, arm, leave, seconds, arm.is_fair(seconds, left))
        task = self._tasks.answer(forward, done)
        task.add_done_callback(lambda _: arm.link.leave(leave))  # called off before it ran, it could not say so
        return task

    def _kept(self, reason: Fallback, done: Done) -> Done:
        def answered(result: Answer | ServingError) -> None:
            if isinstance(result, Answer):
                result.fallback = reason
                self._metrics.fallbacks.labels("", reason.value).inc()
            done(result)

        return answered

    async def _from_challenger(self, request: InferRequest, arm: Arm, leave: Leave, seconds: float, fair: bool) -> Answer:
        started = time.monotonic()
        try:
            forwarded = await arm.link.forward(leave, arm.errand, request, self._codec, seconds, fair=fair)
        except ForwardFailed as failure:
            reason, spent = failure.reason, time.monotonic() - started
            return await awaited(lambda done: self._champion.begin(request, self._fallen_back(arm, reason, spent, done)))
        spent = time.monotonic() - started
        self._metrics.forward_seconds.labels(arm.name).observe(spent)
        return Answer(
            version=arm.route.version.name,
            version_digest=arm.route.version.digest,
            epoch=self._plan.epoch,
            columns=forwarded.columns,
            arm_assigned=arm.name,
            arm_answered=arm.name,
            queue_seconds=forwarded.queue_seconds,
            inference_seconds=forwarded.inference_seconds,
            forward_seconds=spent,
        )

    def _fallen_back(self, arm: Arm, reason: Fallback, spent: float, done: Done) -> Done:
        """The champion answers in the challenger's place, `spent` seconds after it might have begun."""
        self._metrics.fallbacks.labels(arm.name, reason).inc()
        if spent > LEAST_USEFUL_SECONDS:
            self._metrics.forward_seconds.labels(arm.name).observe(spent)

        def answered(result: Answer | ServingError) -> None:
            if isinstance(result, Answer):
                result.arm_assigned = arm.name
                result.fallback = reason
                result.forward_seconds += spent
            done(result)

        return answered

    def answered(self, request: InferRequest, answer: Answer, admitted: Serving) -> None:
        """Captures the prediction and mirrors the request. Returns at once."""
        try:
            number = self._recorder.predicted(self._plan, request, answer)
            for arm in self._shadows:
                arm.link.mirror.offer(
                    Shadow(
                        arm.errand,
                        request,
                        self._codec,
                        arm.timeout,
                        self._report(arm, number, request.rows) if number else None,
                    )
                )
        except Exception:  # the client has its answer: whatever is wrong here must not end the connection
            logger.exception("request %s was answered but not captured or mirrored", request.request_id)

    def _report(self, arm: Arm, number: int, rows: int) -> Report:
        def report(shadowed: Shadowed) -> None:
            self._recorder.shadowed(self._plan, arm.route, number, rows, shadowed)

        return report

    async def close(self) -> None:
        """Finishes what is in flight to challengers and lets go of their connections."""
        await self._release()
