"""Letting go of what answered, or was to answer: responder first, then the model unless somebody else still uses it.

Apart because a model may stand in several places at once (the serving plan, a prepared one with new percentages, retired
ones): closing it too early fails requests, closing it never fills the memory.
"""

import asyncio
import logging
import time
import weakref
from collections.abc import Callable, Iterable

from podium_serving.background import in_background
from podium_serving.model_interface import Model
from podium_serving.served import Responder, Serving
from podium_serving.state import ServingState
from podium_serving.swap.memory import return_free_pages
from podium_serving.swap.tasks import TaskSet

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 0.05
_GRACE_SECONDS = 30.0
"""Beyond the plan's own time limit: then a request is lost already, and the memory is worth more."""


class Retirement:
    """Owns the tasks that close. `models_in_use` says which models must stay, at the moment of asking."""

    def __init__(self, state: ServingState, models_in_use: Callable[[], Iterable[Model | None]]) -> None:
        self._state = state
        self._models_in_use = models_in_use
        self._closing = TaskSet("letting go")
        self._closed_models: weakref.WeakSet[Model] = weakref.WeakSet()

    def drop(self, responder: Responder, model: Model | None) -> None:
        """For what never answered. The caller no longer holds it."""
        self._closing.run(self._close(responder, model))

    def retire(self, serving: Serving) -> None:
        """For what answered until this turn of the loop: dropped when its open requests are done."""
        self._state.retired.append(serving)
        self._closing.run(self._drain(serving))

    async def settled(self) -> None:
        """Returns when all that was let go is closed."""
        await self._closing.settled()

    async def _drain(self, serving: Serving) -> None:
        limit = time.monotonic() + serving.plan.timeout_milliseconds / 1000 + _GRACE_SECONDS
        # Polled: the hot path that counts down must not pay for telling.
        while serving.open_requests > 0 and time.monotonic() < limit:  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_SECONDS)
        if serving.open_requests > 0:
            logger.error("epoch %d is dropped with %d open requests", serving.plan.epoch, serving.open_requests)
        self._state.retired[:] = [other for other in self._state.retired if other is not serving]
        await self._close(serving.responder, serving.model)

    async def _close(self, responder: Responder, model: Model | None) -> None:
        await _closed(responder)
        # Asked after the await above, and nothing is awaited between this answer and the start of closing.
        if model is None or any(model is used for used in self._models_in_use()):
            return
        # Two plans that shared it may end in the same turn.
        if model in self._closed_models:
            return
        self._closed_models.add(model)
        await _closed(model)
        await in_background(return_free_pages)


async def _closed(thing: Responder | Model) -> None:
    try:
        await thing.close()
    except Exception:
        # It serves nobody any more. What is loaded beside it must go on.
        logger.exception("closing %s failed", type(thing).__name__)
