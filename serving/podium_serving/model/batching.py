"""Zero-wait batching: whatever arrived in this turn of the loop is one run of the model.

Nobody waits for company: a window of even 1 ms lowers throughput. While a run is under way in the
thread, requests gather and become the next run, so load makes its own batches. A run that is expected to be shorter than
a hop to a thread happens in the loop itself.

A caller that is cancelled or late leaves its batch-mates alone, and a row that makes the model fail fails alone.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from podium_serving.exchange import Columns, DeadlineExceeded, NotServing, Overloaded, ServingError
from podium_serving.state import Timing

Result = tuple[Columns, Timing]


@dataclass(slots=True, eq=False)
class _Waiting:
    columns: Columns
    rows: int
    deadline: float
    arrived: float
    future: asyncio.Future[Result]
    timer: asyncio.TimerHandle | None = None


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
        self._waiting: deque[_Waiting] = deque()
        self._waiting_rows = 0
        self._scheduled = False
        self._running: asyncio.Future[Any] | None = None
        self._closed = False
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")

    def submit(self, columns: Columns, rows: int, deadline: float) -> asyncio.Future[Result]:
        """The answer to come, cut out of its batch. Fails with DeadlineExceeded or what the run raised.

        Raises Overloaded when too many rows wait, NotServing after close.
        """
        if self._closed:
            raise NotServing("this version is being put away")
        if self._waiting and self._waiting_rows + rows > self._max_queue_rows:
            raise Overloaded(f"{self._waiting_rows} rows wait for the model, at most {self._max_queue_rows} may; try again")
        entry = _Waiting(columns, rows, deadline, time.monotonic(), self._loop.create_future())
        self._waiting.append(entry)
        self._waiting_rows += rows
        if self._running is not None:
            self._expire_later(entry)
        elif not self._scheduled:
            self._schedule()
        return entry.future

    async def close(self) -> None:
        """Answers what was submitted, then ends the thread."""
        self._closed = True
        while self._waiting or self._running is not None:
            if self._running is not None:
                await asyncio.wait([self._running])
            await asyncio.sleep(0)
        self._thread.shutdown(wait=False)

    def forget_run(self) -> None:
        """After close: keeps no reference to what the run needs, so that its owner decides where that is freed."""
        self._run = _nothing

    def _schedule(self) -> None:
        self._scheduled = True
        self._loop.call_soon(self._start)

    def _expire_later(self, entry: _Waiting) -> None:
        # time.monotonic is the clock of the loop too.
        if entry.timer is None and entry.deadline < entry.arrived + 3600:
            entry.timer = self._loop.call_at(entry.deadline, _expire, entry.future)

    def _start(self) -> None:
        self._scheduled = False
        if self._running is not None:
            return
        batch = self._next_batch()
        if batch:
            rows = sum(entry.rows for entry in batch)
            if rows <= self._inline_rows:
                self._settle(batch, *_timed(self._run_joined, batch))
            else:
                self._run_in_thread(batch)
        if self._waiting and self._running is None:
            self._schedule()

    def _next_batch(self) -> list[_Waiting]:
        """The longest-waiting entries whose callers still wait, up to the limit of rows, of one shape."""
        batch: list[_Waiting] = []
        rows = 0
        now = time.monotonic()
        while self._waiting:
            entry = self._waiting[0]
            if entry.deadline <= now:
                _expire(entry.future)
            if not entry.future.done():
                too_many = rows + entry.rows > self._max_batch_rows
                if batch and (too_many or (self._variable_shapes and not _same_shape(batch[0].columns, entry.columns))):
                    break
                batch.append(entry)
                rows += entry.rows
            self._waiting.popleft()
            self._waiting_rows -= entry.rows
        return batch

    def _run_in_thread(self, batch: list[_Waiting]) -> None:
        for entry in batch:
            self._expire_later(entry)
        # Joining is done over there too: it copies.
        self._running = running = self._loop.run_in_executor(self._thread, _timed, self._run_joined, batch)
        running.add_done_callback(lambda done: self._ran(batch, done))

    def _ran(self, batch: list[_Waiting], done: asyncio.Future[tuple[float, float, list[Columns | Exception]]]) -> None:
        self._running = None
        if done.cancelled():
            self._settle(batch, 0.0, 0.0, [NotServing("this pod is shutting down")] * len(batch))
        else:
            self._settle(batch, *done.result())
        if self._waiting and not self._scheduled:
            self._start()

    def _run_joined(self, batch: list[_Waiting]) -> list[Columns | Exception]:
        """One result per entry. When a joined run fails, each runs alone: the fault is one row's."""
        if len(batch) == 1:
            return [self._attempt(batch[0].columns, batch[0].rows)]
        names = batch[0].columns.keys()
        joined = {name: np.concatenate([entry.columns[name] for entry in batch]) for name in names}
        result = self._attempt(joined, sum(entry.rows for entry in batch))
        if isinstance(result, Exception):
            return [self._attempt(entry.columns, entry.rows) for entry in batch]
        return _split(result, [entry.rows for entry in batch])

    def _attempt(self, columns: Columns, rows: int) -> Columns | Exception:
        try:
            outputs = self._run(columns)
        except Exception as error:  # whatever the runtime raises is this request's answer, not the server's end
            return error if isinstance(error, ServingError) else ServingError(f"the model failed: {error}"[:2000])
        for name, array in outputs.items():
            if array.ndim == 0 or array.shape[0] != rows:
                return ServingError(f"the model answered {rows} rows with output '{name}' of shape {list(array.shape)}")
        return outputs

    def _settle(self, batch: list[_Waiting], started: float, seconds: float, results: list[Columns | Exception]) -> None:
        if self._on_batch is not None:
            self._on_batch(sum(entry.rows for entry in batch))
        for entry, result in zip(batch, results, strict=True):
            if entry.timer is not None:
                entry.timer.cancel()
            if entry.future.done():
                continue
            if isinstance(result, Exception):
                entry.future.set_exception(result)
            else:
                entry.future.set_result((result, Timing(max(0.0, started - entry.arrived), seconds)))


def _timed(
    run: Callable[[list[_Waiting]], list[Columns | Exception]], batch: list[_Waiting]
) -> tuple[float, float, list[Columns | Exception]]:
    """When the run began (monotonic), its seconds, and its results."""
    started = time.monotonic()
    results = run(batch)
    return started, time.monotonic() - started, results


def _nothing(columns: Columns) -> Columns:
    raise NotServing("this version is put away")


def _expire(future: asyncio.Future[Result]) -> None:
    if not future.done():
        future.set_exception(DeadlineExceeded("the model did not answer before the request's deadline"))


def _same_shape(one: Columns, other: Columns) -> bool:
    return all(one[name].shape[1:] == other[name].shape[1:] for name in one)


def _split(outputs: Columns, rows: list[int]) -> list[Columns | Exception]:
    parts: list[Columns | Exception] = []
    start = 0
    for count in rows:
        end = start + count
        parts.append({name: array[start:end] for name, array in outputs.items()})
        start = end
    return parts
