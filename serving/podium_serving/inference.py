"""Answers that are not there yet are handed over by one call of one callback: no future, no task, no coroutine per request.

A future costs two turns of the loop and a task four times what the callback does, and nearly every request is answered
by the model in this process. Who would rather wait, waits by `awaited`.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from podium_serving.exchange import Answer, Columns, RowTexts, ServingError

logger = logging.getLogger(__name__)

Done = Callable[[Answer | ServingError], None]
"""Called exactly once, in the loop's thread, perhaps before the call that began it returns; never after a cancel."""


class Cancel(Protocol):
    """What was begun and may be called off: nobody waits for it any more."""

    def cancel(self) -> object: ...


_NOTHING: Columns = {}


def _nobody(inference: "Inference") -> None: ...


class Inference:
    """Rows on their way through the model, and what came of them when `done` is called with it."""

    def __init__(self, columns: Columns, rows: int, deadline: float, done: "Callable[[Inference], None]") -> None:
        self.columns = columns
        self.rows = rows
        self.deadline = deadline
        """Monotonic seconds. Then `error` is DeadlineExceeded."""
        self.done = done
        self.arrived = time.monotonic()
        self.over = False
        """Answered, failed, or nobody waits any more."""
        self.work: Cancel | None = None
        """What is of no use once this is over: the timer of its deadline, or the task around its hooks."""
        self.error: ServingError | None = None
        self.own_outputs: Columns | None = None
        """One row per row of `columns`. None: there is an error, or `texts` has them."""
        self.queue_seconds = 0.0
        self.inference_seconds = 0.0
        self.texts: RowTexts | None = None
        """Of the run that this was a part of, if all of its parts were single rows: `row` is this one's place in it."""
        self.row = 0

    @property
    def outputs(self) -> Columns:
        """One row per row of `columns`; empty where there is an error."""
        if self.own_outputs is None:
            return _NOTHING if self.texts is None else self.texts.said_of(self.row)
        return self.own_outputs

    def cancel(self) -> None:
        """It is not run, if it does not run yet; `done` is not called."""
        self.over = True
        self.done = _nobody
        if self.work is not None:
            self.work.cancel()

    def fail(self, error: ServingError) -> None:
        self.error = error
        self.finish()

    def finish(self) -> None:
        """Tells whoever waits, unless nobody does."""
        if self.over:
            return
        self.over = True
        if self.work is not None:
            self.work.cancel()
        # What `done` holds may hold this: without a cut only the garbage collector would free a request.
        done, self.done = self.done, _nobody
        try:
            done(self)
        except Exception:  # the others of its batch are to be told, too
            logger.exception("an answer of the model could not be handed over")


class Tasks:
    """Coroutines behind callbacks, for what cannot be answered at once: forwards and hooks."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def answer(self, work: Callable[[], Coroutine[Any, Any, Answer]], done: Done) -> asyncio.Task[None]:
        """`work` is called when the task begins: one that is called off before has made no coroutine that nobody awaits."""
        return self.start(_told(work, done))


async def _told(work: Callable[[], Coroutine[Any, Any, Answer]], done: Done) -> None:
    try:
        result: Answer | ServingError = await work()
    except ServingError as error:
        result = error
    except Exception:
        logger.exception("a request failed")
        result = ServingError("this server failed; its log says more")
    done(result)


async def awaited(begin: Callable[[Done], Cancel]) -> Answer:
    """What `begin` hands over, for coroutines. Raises ServingError; a caller that is cancelled calls it off."""
    waiting: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    def done(result: Answer | ServingError) -> None:
        if waiting.done():
            return
        if isinstance(result, ServingError):
            waiting.set_exception(result)
        else:
            waiting.set_result(result)

    begun = begin(done)
    try:
        return await waiting
    except asyncio.CancelledError:
        begun.cancel()
        raise
