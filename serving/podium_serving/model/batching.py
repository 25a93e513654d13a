"""Zero-wait batching: whatever has arrived is one run of the model: in this turn of the loop, and at its sockets meanwhile.

Nobody waits for company: a window of even 1 ms lowers throughput. While a run is under way in the
thread, requests gather and become the next run, so load makes its own batches. A run that is expected to be shorter than
a hop to a thread happens in the loop itself.

A caller that is cancelled or late leaves its batch-mates alone, and a row that makes the model fail fails alone.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from podium_serving.exchange import Columns, DeadlineExceeded, NotServing, Overloaded, ServingError
from podium_serving.inference import Inference
from podium_serving.model_interface import Timing
from podium_serving.oip.rows import RunTexts

logger = logging.getLogger(__name__)

Results = list[Columns | ServingError] | Columns | ServingError
"""One for the whole batch, or, where that failed, one per entry."""


class _Ran(NamedTuple):
    """A run that is over."""

    started: float
    """Monotonic seconds."""
    seconds: float
    asked: Columns
    """Inputs of all rows; empty where they could not be joined."""
    results: Results


_NO_TIMER_SECONDS = 3600.0
"""A deadline further away needs no timer: no run takes so long."""


class Batcher:
    """Joins requests for one model. Belongs to the loop's thread; `run` is called there or in one thread of its own."""

    def __init__(
        self,
        run: Callable[[Columns], Columns],
        *,
        inline_rows: int,
        max_batch_rows: int,
        max_queue_rows: int,
        variable_shapes: bool = False,
        on_batch: Callable[[int], None] | None = None,
    ) -> None:
        self._run = run
        self._inline_rows = inline_rows
        self._max_batch_rows = max_batch_rows
        self._max_queue_rows = max_queue_rows
        self._variable_shapes = variable_shapes
        self._on_batch = on_batch
        self._waiting: deque[Inference] = deque()
        self._waiting_rows = 0
        self._scheduled = False
        self._running: asyncio.Future[Any] | None = None
        self._closed = False
        self._loop = asyncio.get_running_loop()
        self._runner = ThreadPoolExecutor(1, thread_name_prefix="model")

    def submit(self, entry: Inference) -> None:
        """Finishes `entry` when it has run, or fails it: DeadlineExceeded, or what the run raised.

        Raises Overloaded when too many rows wait, NotServing after close.
        """
        if self._closed:
            raise NotServing("this version is being put away")
        if self._waiting and self._waiting_rows + entry.rows > self._max_queue_rows:
            raise Overloaded(f"{self._waiting_rows} rows wait for the model, at most {self._max_queue_rows} may; try again")
        self._waiting.append(entry)
        self._waiting_rows += entry.rows
        if self._running is not None:
            self._expire_later(entry)
        elif not self._scheduled:
            self._schedule()

    async def run(self, columns: Columns, rows: int, deadline: float) -> tuple[Columns, Timing]:
        """`submit` for coroutines. A caller that is cancelled calls it off."""
        waiting: asyncio.Future[None] = self._loop.create_future()

        def wake(_: Inference) -> None:
            if not waiting.done():
                waiting.set_result(None)

        entry = Inference(columns, rows, deadline, wake)
        self.submit(entry)
        try:
            await waiting
        except asyncio.CancelledError:
            entry.cancel()
            raise
        if entry.error is not None:
            raise entry.error
        return entry.outputs, Timing(entry.queue_seconds, entry.inference_seconds)

    async def close(self) -> None:
        """Answers what was submitted, then ends the thread."""
        self._closed = True
        while self._waiting or self._running is not None:
            if self._running is not None:
                await asyncio.wait([self._running])
            await asyncio.sleep(0)
        self._runner.shutdown(wait=False)

    def forget_run(self) -> None:
        """After close: keeps no reference to what the run needs, so that its owner decides where that is freed."""
        self._run = _nothing

    def _schedule(self) -> None:
        # Not the next turn but the one after: what the loop finds at its sockets in between has come already, and joins
        # this run. With 16 clients a run has half as many rows again, and what a run costs is shared by them. Rows that the
        # thread will run gain nothing by that, and while they wait they keep others out of the queue.
        self._scheduled = True
        if self._waiting_rows > self._inline_rows:
            self._loop.call_soon(self._start)
        else:
            self._loop.call_soon(self._loop.call_soon, self._start)

    def _expire_later(self, entry: Inference) -> None:
        # time.monotonic is the clock of the loop too.
        if entry.work is None and entry.deadline < entry.arrived + _NO_TIMER_SECONDS:
            entry.work = self._loop.call_at(entry.deadline, _expire, entry)

    def _start(self) -> None:
        self._scheduled = False
        if self._running is not None:
            return
        batch, rows = self._next_batch()
        if batch:
            if rows <= self._inline_rows:
                self._settle(batch, rows, self._timed(batch, rows))
            else:
                self._run_in_thread(batch, rows)
        if self._waiting and self._running is None:
            self._schedule()

    def _next_batch(self) -> tuple[list[Inference], int]:
        """The longest-waiting entries that are still waited for, up to the limit of rows, of one shape; and their rows."""
        batch: list[Inference] = []
        rows = 0
        now = time.monotonic()
        waiting = self._waiting
        while waiting:
            entry = waiting[0]
            if not entry.over and entry.deadline > now:
                too_many = rows + entry.rows > self._max_batch_rows
                if batch and (too_many or (self._variable_shapes and not _same_shape(batch[0].columns, entry.columns))):
                    break
                batch.append(entry)
                rows += entry.rows
            waiting.popleft()
            self._waiting_rows -= entry.rows
            if entry.deadline <= now:
                _expire(entry)
        return batch, rows

    def _run_in_thread(self, batch: list[Inference], rows: int) -> None:
        for entry in (*batch, *self._waiting):  # and those of this turn for whom there was no room
            self._expire_later(entry)
        # Joining is done over there too: it copies.
        self._running = running = self._loop.run_in_executor(self._runner, self._timed, batch, rows)
        running.add_done_callback(lambda done: self._ran(batch, rows, done))

    def _ran(self, batch: list[Inference], rows: int, done: asyncio.Future[_Ran]) -> None:
        self._running = None
        if done.cancelled():
            self._settle(batch, rows, _Ran(0.0, 0.0, {}, NotServing("this pod is shutting down")))
        else:
            self._settle(batch, rows, done.result())
        if self._waiting and not self._scheduled:
            self._start()

    def _timed(self, batch: list[Inference], rows: int) -> _Ran:
        started = time.monotonic()
        asked, results = self._run_joined(batch, rows)
        return _Ran(started, time.monotonic() - started, asked, results)

    def _run_joined(self, batch: list[Inference], rows: int) -> tuple[Columns, Results]:
        """What ran and what came of it. When a joined run fails, each runs alone: the fault is one row's."""
        if len(batch) == 1:
            asked = batch[0].columns
            return asked, self._attempt(asked, rows)
        try:
            asked = {name: np.concatenate([entry.columns[name] for entry in batch]) for name in batch[0].columns}
        except Exception as error:  # no memory for it, say: nobody may be left without an answer
            logger.warning("%d requests could not be joined and run one by one: %r", len(batch), error)
        else:
            result = self._attempt(asked, rows)
            if not isinstance(result, ServingError):
                return asked, result
        return {}, [self._attempt(entry.columns, entry.rows) for entry in batch]

    def _attempt(self, columns: Columns, rows: int) -> Columns | ServingError:
        try:
            outputs = self._run(columns)
        except Exception as error:  # whatever the runtime raises is this request's answer, not the server's end
            return error if isinstance(error, ServingError) else ServingError(f"the model failed: {error}"[:2000])
        for name, array in outputs.items():
            if array.ndim == 0 or array.shape[0] != rows:
                return ServingError(f"the model answered {rows} rows with output '{name}' of shape {list(array.shape)}")
        return outputs

    def _settle(self, batch: list[Inference], rows: int, ran: _Ran) -> None:
        if self._on_batch is not None:
            self._on_batch(rows)
        started, seconds, asked, results = ran
        if isinstance(results, ServingError):
            results = [results] * len(batch)
        for entry in batch:
            entry.queue_seconds = max(0.0, started - entry.arrived)
            entry.inference_seconds = seconds
        if isinstance(results, dict):
            _hand_out(batch, rows, asked, results)
            return
        for entry, result in zip(batch, results, strict=True):
            if isinstance(result, ServingError):
                entry.fail(result)
            else:
                entry.own_outputs = result
                entry.finish()


def _hand_out(batch: list[Inference], rows: int, asked: Columns, outputs: Columns) -> None:
    """Cuts a run's outputs into those of its parts."""
    texts = RunTexts(rows, asked, outputs) if rows == len(batch) else None
    start = 0
    for entry in batch:
        end = start + entry.rows
        if texts is None:
            entry.own_outputs = {name: array[start:end] for name, array in outputs.items()}
        entry.texts = texts
        entry.row = start
        start = end
        entry.finish()


def _nothing(columns: Columns) -> Columns:
    raise NotServing("this version is put away")


def _expire(entry: Inference) -> None:
    entry.fail(DeadlineExceeded("the model did not answer before the request's deadline"))


def _same_shape(one: Columns, other: Columns) -> bool:
    return all(one[name].shape[1:] == other[name].shape[1:] for name in one)
