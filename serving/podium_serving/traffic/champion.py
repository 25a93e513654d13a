"""The champion's answer: from the model in this process, or from the pool that holds it.

Unlike a challenger the champion must answer, so a forward to it has the request's whole deadline and is tried again as
long as there is time: inference changes nothing, so asking twice is safe. This covers a pod that went while a pooled
connection pointed to it, and the moment in which this pod has flipped to a plan that the other pool has not yet.
"""

import asyncio
import time
from functools import partial
from typing import Protocol

import msgspec
from mypy_extensions import mypyc_attr

from podium_crds.plan import Plan
from podium_serving.exchange import Answer, DeadlineExceeded, Fallback, InferRequest, NotServing, ServingError
from podium_serving.inference import Cancel, Done, Inference, Tasks
from podium_serving.model_interface import Model
from podium_serving.oip.codec import Codec
from podium_serving.traffic.budget import RecentP99
from podium_serving.traffic.forward import Errand, Forwarded, ForwardFailed, left_until
from podium_serving.traffic.link import Link

_FIRST_PAUSE_SECONDS = 0.005
_LONGEST_PAUSE_SECONDS = 0.1
_NOT_HERE = {None, 404, 415}
"""No answer at all, not yet (or no longer) this version, a pod of an earlier release, which takes no binary tensors. The
client's own media type was judged by this pod."""
_WORTH_ANOTHER_TRY = _NOT_HERE | {502, 503}
"""Also: not serving, or overloaded."""


@mypyc_attr(native_class=False)
class RelayedError(ServingError):
    """The champion's own refusal, from the pool that holds it."""

    reason = "Relayed"

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.http_status = status
        if status == 503:
            self.retry_after_seconds = 1


class Champion(Protocol):
    def begin(self, request: InferRequest, done: Done) -> Cancel: ...


class LocalChampion:
    def __init__(self, plan: Plan, model: Model, recent: RecentP99) -> None:
        self._model = model
        self._recent = recent
        self._version = plan.champion.version.name
        self._digest = plan.champion.version.digest
        self._epoch = plan.epoch

    def begin(self, request: InferRequest, done: Done) -> Cancel:
        def finished(inference: Inference) -> None:
            done(self._answer(inference))

        entry = Inference(request.columns, request.rows, request.deadline, finished)
        try:
            self._model.submit(entry)
        except ServingError as error:
            entry.fail(error)
        return entry

    def _answer(self, inference: Inference) -> Answer | ServingError:
        error = inference.error
        if inference.row == 0 and (error is None or isinstance(error, DeadlineExceeded)):
            # The first of its run waited longest, and stands for the others: one look at the clock is enough.
            now = time.monotonic()
            self._recent.observe(now - inference.arrived, now)
        if error is not None:
            return error
        return Answer(
            self._version,
            self._digest,
            self._epoch,
            inference.own_outputs,
            queue_seconds=inference.queue_seconds,
            inference_seconds=inference.inference_seconds,
            texts=inference.texts,
            row=inference.row,
        )


class RemoteChampion:
    def __init__(self, plan: Plan, codec: Codec, link: Link, recent: RecentP99, max_answer_bytes: int) -> None:
        self._plan = plan
        self._codec = codec
        self._link = link
        self._recent = recent
        self._errand = Errand(plan.deployment.name, plan.champion.version.name, "champion", max_answer_bytes, finite=False)
        self._tasks = Tasks()

    def begin(self, request: InferRequest, done: Done) -> Cancel:
        return self._tasks.answer(partial(self._answer, request), done)

    async def _answer(self, request: InferRequest) -> Answer:
        started = time.monotonic()
        self._link.in_flight.enter()
        try:
            forwarded = await self._until_the_deadline(request)
        finally:
            self._link.in_flight.leave()
        now = time.monotonic()
        self._recent.observe(now - started, now)
        return Answer(
            version=self._plan.champion.version.name,
            version_digest=self._plan.champion.version.digest,
            epoch=self._plan.epoch,
            columns=forwarded.columns,
            queue_seconds=forwarded.queue_seconds,
            inference_seconds=forwarded.inference_seconds,
            forward_seconds=now - started,
        )

    async def _until_the_deadline(self, request: InferRequest) -> Forwarded:
        pause = _FIRST_PAUSE_SECONDS
        fresh = False
        while True:
            try:
                return await self._link.peer.ask(
                    self._errand, request, self._codec, max(0.0, left_until(request.deadline)), fresh=fresh
                )
            except ForwardFailed as failure:
                if failure.status not in _WORTH_ANOTHER_TRY or left_until(request.deadline) <= pause:
                    raise self._error(failure) from failure
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
            fresh = True

    def _error(self, failure: ForwardFailed) -> ServingError:
        if failure.reason is Fallback.TIMEOUT:
            return DeadlineExceeded(f"the champion's pool gave no answer in time: {failure}")
        if failure.status is None or failure.status in _NOT_HERE:
            return NotServing(f"the champion's pool {self._plan.champion.host} cannot be asked: {failure}")
        return RelayedError(failure.status, error_sentence(str(failure)))


def error_sentence(text: str) -> str:
    """The sentence in `{"error": "..."}`, or the text as it is."""
    try:
        return str(msgspec.json.decode(text.encode(), type=dict[str, object])["error"])
    except (msgspec.DecodeError, KeyError):
        return text
