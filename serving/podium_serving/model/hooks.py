"""transform.py's hooks, in processes of their own: user code can neither stall the loop nor reach the server's memory.

Calls wait in one queue for the first process that is free. What waits for the same hook in one turn of the loop is one
call, for rows are independent (docs/architecture.md, "Hooks"); a joined call that fails is tried again in halves, so
that a row fails alone. A process that hangs is killed (hook_pool makes another).
Only descriptors that say `transform: true` get here.
"""

import asyncio
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from podium_crds.package import TRANSFORM_FILE, TensorSpec
from podium_serving.exchange import Columns, DeadlineExceeded, HookFailed, NotServing, Overloaded
from podium_serving.model.hook_child import HookChild
from podium_serving.model.hook_columns import check_text, fitted, same_shape, split
from podium_serving.model.hook_pool import HookPool
from podium_serving.model.wire import Call, Reply, frame, packed, unpacked
from podium_serving.model_interface import Timing
from podium_serving.oip.tensors import TensorSchema, tensor_schema
from podium_serving.settings import ModelSettings

Hooked = tuple[Columns, Timing]

_ARGUMENTS = {"before": "before(columns)", "after": "after(outputs, inputs)"}
_WORTH_SPREADING_SECONDS = 0.002
"""A joined call that is expected to take longer is spread over the free processes."""


@dataclass(slots=True, eq=False)
class _Waiting:
    hook: str
    columns: Columns
    inputs: Columns | None
    rows: int
    arrived: float
    future: asyncio.Future[Hooked]
    timer: asyncio.TimerHandle | None
    company: int = 1 << 30
    """Callers in one call with this one, at most. Halved whenever such a call fails."""


@dataclass(slots=True)
class _Running:
    batch: list[_Waiting]
    started: float
    limit: asyncio.TimerHandle


class Hooks:
    """before(columns) -> columns and after(outputs, inputs) -> outputs; a hook that transform.py lacks changes nothing."""

    def __init__(self, path: Path, inputs: list[TensorSpec], outputs: list[TensorSpec], settings: ModelSettings) -> None:
        self._path = path
        self._schemas: dict[str, list[TensorSchema]] = {
            "before": [tensor_schema(spec, "input", text_only=True) for spec in inputs],
            "after": [tensor_schema(spec, "output") for spec in outputs],
        }
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[_Waiting] = deque()
        self._waiting_rows = 0
        self._scheduled = False
        self._closed = False
        self._busy: dict[HookChild, _Running] = {}
        self._pool = HookPool(path, settings, self._replied, self._died, self._dispatch_soon)
        self._row_seconds = 0.0
        self.present: frozenset[str] = frozenset()

    @classmethod
    async def start(cls, path: Path, inputs: list[TensorSpec], outputs: list[TensorSpec], settings: ModelSettings) -> Self:
        """Imports transform.py in every process. Raises HookFailed when that fails, takes too long, or it has no hook."""
        hooks = cls(path, inputs, outputs, settings)
        try:
            hooks.present = await hooks._pool.start()
            if not hooks.present:
                raise HookFailed(f"{TRANSFORM_FILE} has neither {_ARGUMENTS['before']} nor {_ARGUMENTS['after']}")
        except BaseException:
            await hooks.close()
            raise
        return hooks

    async def before(self, columns: Columns, rows: int, deadline: float) -> Hooked:
        """Raises HookFailed naming hook, file and line, InvalidRequest, Overloaded, or DeadlineExceeded."""
        if "before" not in self.present:
            check_text(self._schemas["before"], columns)
            return columns, Timing()
        return await self._submitted("before", columns, None, rows, deadline)

    async def after(self, outputs: Columns, inputs: Columns, rows: int, deadline: float) -> Hooked:
        """Raises HookFailed naming hook, file and line, Overloaded, or DeadlineExceeded."""
        if "after" not in self.present:
            return outputs, Timing()
        return await self._submitted("after", outputs, inputs, rows, deadline)

    @property
    def memory_bytes(self) -> int:
        """Of all processes, without the libraries that they share."""
        return self._pool.memory_bytes

    @property
    def restarts(self) -> int:
        """Processes that were made in place of others."""
        return self._pool.restarts

    async def close(self) -> None:
        """Refuses what waits and kills the processes. The caller has waited for its requests before."""
        self._closed = True
        for running in self._busy.values():
            running.limit.cancel()
            self._waiting.extend(running.batch)
        self._busy.clear()
        while self._waiting:
            _fail(self._waiting.popleft(), _closing())
        await self._pool.close()

    def _submitted(
        self, hook: str, columns: Columns, inputs: Columns | None, rows: int, deadline: float
    ) -> asyncio.Future[Hooked]:
        if self._closed:
            raise _closing()
        if self._waiting and self._waiting_rows + rows > self._settings.max_queue_rows:
            self._forget_expired()
        if self._waiting and self._waiting_rows + rows > self._settings.max_queue_rows:
            raise Overloaded(
                f"{self._waiting_rows} rows wait for {TRANSFORM_FILE}, at most {self._settings.max_queue_rows} may: "
                "try again"
            )
        future: asyncio.Future[Hooked] = self._loop.create_future()
        timer = self._loop.call_at(deadline, _expire, future) if deadline != float("inf") else None
        self._waiting.append(_Waiting(hook, columns, inputs, rows, time.monotonic(), future, timer))
        self._waiting_rows += rows
        self._dispatch_soon()
        return future

    def _forget_expired(self) -> None:
        """While every process hangs, nobody else looks at what waits."""
        self._waiting = deque(entry for entry in self._waiting if not entry.future.done())
        self._waiting_rows = sum(entry.rows for entry in self._waiting)

    def _dispatch_soon(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._dispatch)

    def _dispatch(self) -> None:
        self._scheduled = False
        pool = self._pool
        if pool.start_failure is not None:
            # Nobody is there to answer, and the last try said why.
            for entry in self._waiting:
                _fail(entry, pool.start_failure)
            self._forget_expired()
        while pool.free and (batch := self._next_batch(len(pool.free))):
            self._call(pool.free.pop(), batch)

    def _next_batch(self, free: int) -> list[_Waiting]:
        """The longest-waiting entries of one hook whose callers still wait: those that fit together, up to the limits."""
        limit = self._settings.max_batch_rows
        if free > 1 and self._waiting_rows * self._row_seconds > _WORTH_SPREADING_SECONDS:
            limit = min(limit, -(-self._waiting_rows // free))
        batch: list[_Waiting] = []
        rows = 0
        while self._waiting:
            entry = self._waiting[0]
            if not entry.future.done():
                if batch and (rows + entry.rows > limit or not _fits(batch, entry)):
                    break
                batch.append(entry)
                rows += entry.rows
            self._waiting.popleft()
            self._waiting_rows -= entry.rows
        return batch

    def _call(self, child: HookChild, batch: list[_Waiting]) -> None:
        started = time.monotonic()
        inputs = [entry.inputs for entry in batch if entry.inputs is not None]
        try:
            columns = packed([entry.columns for entry in batch])
            message = frame(Call(batch[0].hook, columns, packed(inputs) if inputs else None))
        except ValueError as error:
            self._pool.free.append(child)
            self._failed(batch, HookFailed(f"the rows cannot be handed to {TRANSFORM_FILE}: {error}"))
            return
        limit = self._loop.call_later(self._settings.hook_timeout_seconds, self._took_too_long, child)
        self._busy[child] = _Running(batch, started, limit)
        child.send(message)

    def _replied(self, child: HookChild, reply: Reply) -> None:
        running = self._busy.pop(child, None)
        if running is None:
            return  # user code may write anything; nobody asked for this
        running.limit.cancel()
        self._pool.free.append(child)
        self._answered(running, reply)
        if self._waiting:
            self._dispatch_soon()

    def _died(self, child: HookChild, code: int | None) -> None:
        running = self._busy.pop(child, None)
        if running is not None:
            running.limit.cancel()
            sentence = f"the process of {TRANSFORM_FILE} died in {running.batch[0].hook}() with exit code {code}"
            self._failed(running.batch, HookFailed(sentence))

    def _answered(self, running: _Running, reply: Reply) -> None:
        batch = running.batch
        hook, rows = batch[0].hook, sum(entry.rows for entry in batch)
        seconds = time.monotonic() - running.started
        self._row_seconds += 0.2 * (seconds / max(rows, 1) - self._row_seconds)
        if reply.columns is None:
            self._failed(batch, HookFailed(reply.error or f"{hook}() of {TRANSFORM_FILE} answered nothing"))
            return
        try:
            columns = fitted(self._schemas[hook], unpacked(reply.columns), hook, rows)
        except ValueError as error:
            self._failed(batch, HookFailed(f"{hook}() of {TRANSFORM_FILE} returned what does not fit: {error}"))
            return
        for entry, part in zip(batch, split(columns, [entry.rows for entry in batch]), strict=True):
            if entry.timer is not None:
                entry.timer.cancel()
            if not entry.future.done():
                entry.future.set_result((part, Timing(max(0.0, running.started - entry.arrived), seconds)))

    def _failed(self, batch: list[_Waiting], error: HookFailed) -> None:
        """One caller gets the error. Several go back to the front of the queue, to be called in halves."""
        if len(batch) == 1:
            _fail(batch[0], error)
            return
        for entry in reversed(batch):
            entry.company = len(batch) // 2
            self._waiting.appendleft(entry)
            self._waiting_rows += entry.rows
        self._dispatch_soon()

    def _took_too_long(self, child: HookChild) -> None:
        batch = self._busy.pop(child).batch
        self._pool.kill(child)
        error = HookFailed(
            f"{batch[0].hook}() of {TRANSFORM_FILE} took longer than {self._settings.hook_timeout_seconds:g} s "
            "and was stopped"
        )
        self._failed(batch, error)


def _closing() -> NotServing:
    return NotServing("this version is being put away")


def _fits(batch: list[_Waiting], entry: _Waiting) -> bool:
    first = batch[0]
    if entry.hook != first.hook or len(batch) >= min(first.company, entry.company):
        return False
    return same_shape(first.columns, entry.columns) and same_shape(first.inputs or {}, entry.inputs or {})


def _fail(entry: _Waiting, error: Exception) -> None:
    if entry.timer is not None:
        entry.timer.cancel()
    if not entry.future.done():
        entry.future.set_exception(error)


def _expire(future: asyncio.Future[Hooked]) -> None:
    if not future.done():
        future.set_exception(DeadlineExceeded(f"{TRANSFORM_FILE} did not answer before the request's deadline"))
