"""One port's way to the model, whatever protocol asks: admission, answer, and how it is counted.

The public calls ask the plan's responder, which may split; the forwarded ones ask the model that lives here and nobody
else. Knows nothing of sockets, HTTP or gRPC.
"""

import time
from collections.abc import Mapping
from os import urandom
from typing import ClassVar

from podium_crds.plan import Plan
from podium_serving.exchange import Answer, InferRequest, NotFound, NotServing, ServingError
from podium_serving.inference import Cancel, Done, Inference, awaited
from podium_serving.metrics import Metrics, Tally
from podium_serving.served import Serving
from podium_serving.state import ServingState

NOT_YET = "no version is committed here yet; try again"
PLATFORM = "onnxruntime_onnx"
"""What the protocol calls the platform of all models here."""
CHAMPION = "champion"


_ENDINGS = [f"{number:02x}" for number in range(256)]
"""More would make ids no faster, and are held by every process: 4,096 are 250 kB."""


class RequestIds:
    """Ids that no other process or pod makes: one for every request, so most of its text is made for 256 at a time."""

    def __init__(self) -> None:
        self._process = urandom(8).hex()
        self._numbers = -1
        self._beginning = ""

    def __call__(self) -> str:
        self._numbers = number = self._numbers + 1
        if not number & 0xFF:
            self._beginning = f"{self._process}-{number >> 8:x}"
        return self._beginning + _ENDINGS[number & 0xFF]


def why_not_ready(state: ServingState) -> str:
    """What a client is told of a model that cannot be asked now."""
    if state.draining:
        return "this pod is going away"
    if state.behind:
        return "a newer plan is committed than this pod holds"
    if state.current is not None and state.locked:
        return "no API key and no key of the issuer is known yet"
    return NOT_YET


class Calls:
    """What both kinds share. `states` are the models of this process by name: a pod has one, a laptop may have several."""

    counts_admissions: ClassVar[bool]
    """Whether a request that enters here tells how far a flip has come."""

    def __init__(self, states: Mapping[str, ServingState], metrics: Metrics) -> None:
        self.states = states
        self.request_ids = RequestIds()
        self._metrics = metrics

    @property
    def draining(self) -> bool:
        for state in self.states.values():  # noqa: SIM110  it is asked for every response, and a generator costs
            if state.draining:
                return True
        return False

    def model_named(self, model: str) -> str:
        """`model`, or the only one that is here where none was named."""
        return next(iter(self.states)) if not model and len(self.states) == 1 else model

    def enter(self, model: str) -> Serving | None:
        """The one place where a request reads the plan. None: there is none yet, or no such model. Pair it with `leave`."""
        state = self.states.get(model)
        before = time.time() if self.counts_admissions else 0.0  # a flip that this does not see yet comes later
        admitted = state.current if state is not None else None
        if state is None or admitted is None:
            return None
        admitted.open_requests += 1
        if state.behind:
            state.late_admissions += 1
        if self.counts_admissions:
            admitted.last_admitted = before
            if admitted.first_admitted is None:
                admitted.first_admitted = time.time()
        return admitted

    def leave(self, admitted: Serving) -> None:
        """The request that entered is answered, refused, or its client is gone."""
        admitted.open_requests -= 1

    def wrong_target(self, model: str, version: str, admitted: Serving | None) -> ServingError | None:
        """What is wrong with asking `version` (empty: any) of `model`, given what `enter` gave."""
        model = self.model_named(model)
        if model not in self.states:
            here = ", ".join(f"'{name}'" for name in list(self.states)[:10]) or "none"
            if not model:
                return NotFound(f"say which model is asked: /models/{{model}}/score; this endpoint serves {here}")
            return NotFound(f"no model '{model[:80]}' here; this endpoint serves {here}")
        if admitted is None:
            return NotServing(NOT_YET)
        if version and version != (serving := admitted.plan.champion.version.name):
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

    def begin(self, request: InferRequest, admitted: Serving, done: Done) -> Cancel:
        """Answers `request`."""
        raise NotImplementedError

    async def answer(self, request: InferRequest, admitted: Serving) -> Answer:
        """The same for coroutines. Raises ServingError."""
        return await awaited(lambda done: self.begin(request, admitted, done))

    def answered(self, request: InferRequest, admitted: Serving, answer: Answer, protocol: str) -> None:
        """The response is on the wire. `protocol` is HTTP or gRPC."""
        raise NotImplementedError

    def failed(self, admitted: Serving | None, admitted_at: float, code: int, protocol: str) -> None:
        """Counts a response that is no answer, by its HTTP status."""
        raise NotImplementedError

    def metrics_of(self, admitted: Serving | None) -> Metrics:
        """Where requests to a model are counted, and those that reached none."""
        return self._metrics

    def _tally(self, admitted: Serving, version: str, role: str) -> Tally:
        """The first time; then it is in `admitted.tallies`."""
        tally = admitted.tallies[version, role] = Tally(self.metrics_of(admitted), version, role)
        return tally


class PublicCalls(Calls):
    """Whoever the plan's responder chooses answers."""

    counts_admissions = True

    def begin(self, request: InferRequest, admitted: Serving, done: Done) -> Cancel:
        return admitted.responder.begin(request, done)

    def answered(self, request: InferRequest, admitted: Serving, answer: Answer, protocol: str) -> None:
        by_champion = answer.arm_answered == CHAMPION
        role = CHAMPION if by_champion else "challenger"
        tally = admitted.tallies.get((answer.version, role)) or self._tally(admitted, answer.version, role)
        tally.answered(request.rows)
        if request.recorded:
            tally.took(time.monotonic() - request.admitted_at)
        if by_champion and admitted.model is not None:
            tally.inferred(answer.queue_seconds, answer.inference_seconds)
        if request.recorded:
            admitted.responder.answered(request, answer, admitted)

    def failed(self, admitted: Serving | None, admitted_at: float, code: int, protocol: str) -> None:
        version = admitted.plan.champion.version.name if admitted else ""
        metrics = self.metrics_of(admitted)
        metrics.requests.labels(version, "champion", str(code)).inc()
        if admitted is not None and code >= 500:
            metrics.request_seconds.labels(version, "champion").observe(time.monotonic() - admitted_at)


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

    def begin(self, request: InferRequest, admitted: Serving, done: Done) -> Cancel:
        model = admitted.model
        assert model is not None, "refused by the head"
        entry = Inference(
            request.columns, request.rows, request.deadline, lambda ran: done(_answer_of(ran, request, admitted.plan))
        )
        try:
            model.submit(entry)
        except ServingError as error:
            entry.fail(error)
        return entry

    def answered(self, request: InferRequest, admitted: Serving, answer: Answer, protocol: str) -> None:
        role = "shadow" if request.mirror else admitted.plan.role
        tally = admitted.tallies.get((answer.version, role)) or self._tally(admitted, answer.version, role)
        tally.forwarded()
        tally.inferred(answer.queue_seconds, answer.inference_seconds)

    def failed(self, admitted: Serving | None, admitted_at: float, code: int, protocol: str) -> None:
        version = admitted.plan.champion.version.name if admitted else ""
        self._metrics.forwarded_requests.labels(version, str(code)).inc()


def _answer_of(inference: Inference, request: InferRequest, plan: Plan) -> Answer | ServingError:
    if inference.error is not None:
        return inference.error
    arm = request.arm or plan.role
    return Answer(
        version=plan.champion.version.name,
        version_digest=plan.champion.version.digest,
        epoch=plan.epoch,
        columns=inference.own_outputs,
        arm_assigned=arm,
        arm_answered=arm,
        queue_seconds=inference.queue_seconds,
        inference_seconds=inference.inference_seconds,
        texts=inference.texts,
        row=inference.row,
    )
