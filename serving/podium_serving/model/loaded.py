"""A version in memory: session, batcher and hooks behind the one call that answers rows."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from podium_crds.package import GoldenRow
from podium_serving.background import in_background
from podium_serving.exchange import Columns, HookFailed, InvalidRequest, ServingError
from podium_serving.inference import Inference, Tasks
from podium_serving.model.aside import Aside
from podium_serving.model.batching import Batcher
from podium_serving.model.golden import GoldenResult, compare, golden_columns
from podium_serving.model.hooks import Hooks
from podium_serving.model.package import InvalidPackage, Package, read_package
from podium_serving.model.session import Session, inline_rows, placeholder_columns
from podium_serving.model_interface import Timing
from podium_serving.processes import resident_bytes
from podium_serving.settings import ModelSettings

logger = logging.getLogger(__name__)

_WARM_GOLDEN_ROWS = 64


class LoadedModel:
    """Implements model_interface.Model. Made by `load`."""

    def __init__(self, package: Package, session: Session, batcher: Batcher, hooks: Hooks | None, loaded_bytes: int) -> None:
        self.package = package
        self.descriptor = package.descriptor
        self.digest = package.digest
        self.loaded_bytes = loaded_bytes
        """How much this process grew by loading and warming, at least the package's size, and its hook processes."""
        self._session: Session | None = session
        self._batcher = batcher
        self._aside = Aside(session.run)
        self._hooks = hooks
        self._tasks = Tasks()
        self.submit: Callable[[Inference], None] = self._submit_hooked if hooks is not None else batcher.submit

    @property
    def golden(self) -> tuple[GoldenRow, ...]:
        return self.package.golden

    @classmethod
    async def load(cls, folder: Path, settings: ModelSettings, on_batch: Callable[[int], None] | None = None) -> Self:
        """Reads, verifies, loads and warms the package in a thread. Raises InvalidPackage naming what is wrong.

        `on_batch` is told the rows of every run.
        """
        before = resident_bytes()
        package = await in_background(read_package, folder)
        # The threads of a session with several would keep the niceness of the one that made them.
        loaded = in_background if settings.threads == 1 else asyncio.to_thread
        session = await loaded(Session, package, settings)
        quick_rows = await in_background(_warmed, package, session)
        hooks = await _hooks(package, settings) if package.descriptor.transform else None
        batcher = Batcher(
            session.run,
            inline_rows=quick_rows,
            max_batch_rows=settings.max_batch_rows,
            max_queue_rows=settings.max_queue_rows,
            variable_shapes=any(-1 in spec.shape[1:] for spec in package.descriptor.inputs),
            on_batch=on_batch,
        )
        grown = max(resident_bytes() - before, package.size_bytes) + (hooks.memory_bytes if hooks else 0)
        return cls(package, session, batcher, hooks, grown)

    def _submit_hooked(self, entry: Inference) -> None:
        assert self._hooks is not None, "chosen for those who have them"
        entry.work = self._tasks.start(self._hooked(self._hooks, entry))

    async def infer(self, columns: Columns, rows: int, deadline: float) -> tuple[Columns, Timing]:
        if self._hooks is None:
            return await self._batcher.run(columns, rows, deadline)
        return await self._infer_with_hooks(self._hooks, columns, rows, deadline)

    async def run_aside(self, columns: Columns, rows: int, deadline: float) -> Columns:
        """Answers rows beside the batches, hooks and all: for work that may wait. Keep runs short. Raises ServingError."""
        if self._hooks is None:
            return await self._aside.run(columns)
        prepared, _ = await self._hooks.before(columns, rows, deadline)
        outputs, _ = await self._hooks.after(await self._aside.run(prepared), columns, rows, deadline)
        return outputs

    async def reproduce(self, golden: Sequence[GoldenRow] | None = None) -> GoldenResult:
        """Runs golden rows (the package's own by default) without and, where stated, with hooks, and compares.

        The verdict is the plain one if that fails, else the hooked one. Raises InvalidPackage when a row does not fit the
        model's schema or a run fails.
        """
        rows = self.package.golden if golden is None else tuple(golden)
        if not rows:
            return GoldenResult(0, True, 0, 0, 0.0, "")
        try:
            columns = golden_columns(self.descriptor, rows)
            plain, _ = await self._batcher.run(columns, len(rows), float("inf"))
            verdict = compare(self.descriptor, rows, plain)
            if verdict.passed and self._hooks is not None and any(row.hooked_outputs for row in rows):
                hooked, _ = await self._infer_with_hooks(self._hooks, columns, len(rows), float("inf"))
                verdict = compare(self.descriptor, rows, hooked, hooked=True)
        except InvalidRequest as error:
            raise InvalidPackage(f"golden rows do not fit the model: {error}", "GoldenRowsFailed") from error
        except HookFailed as error:
            raise InvalidPackage(str(error), "TransformFailed") from error
        return verdict

    async def close(self) -> None:
        await self._batcher.close()
        await self._aside.close()
        if self._hooks is not None:
            await self._hooks.close()
        # Dropping a large session holds the interpreter for milliseconds even in a thread; in the loop it would for longer.
        session, self._session = self._session, None
        self._batcher.forget_run()
        dropped = [session]
        del session
        await asyncio.to_thread(dropped.clear)

    async def _hooked(self, hooks: Hooks, entry: Inference) -> None:
        try:
            entry.own_outputs, timing = await self._infer_with_hooks(hooks, entry.columns, entry.rows, entry.deadline)
            entry.queue_seconds, entry.inference_seconds = timing.queue_seconds, timing.inference_seconds
        except ServingError as error:
            entry.error = error
        except Exception:
            logger.exception("hooks around the model failed")
            entry.error = ServingError("this server failed; its log says more")
        entry.work = None  # it is this task, and ends by itself
        entry.finish()

    async def _infer_with_hooks(self, hooks: Hooks, columns: Columns, rows: int, deadline: float) -> tuple[Columns, Timing]:
        prepared, before = await hooks.before(columns, rows, deadline)
        outputs, run = await self._batcher.run(prepared, rows, deadline)
        outputs, after = await hooks.after(outputs, columns, rows, deadline)
        # Hooks are part of what a challenger costs: waiting for one is waiting, and their run counts as inference.
        return outputs, Timing(
            before.queue_seconds + run.queue_seconds + after.queue_seconds,
            before.inference_seconds + run.inference_seconds + after.inference_seconds,
        )


async def _hooks(package: Package, settings: ModelSettings) -> Hooks:
    try:
        descriptor = package.descriptor
        return await Hooks.start(package.transform_file, list(descriptor.inputs), list(descriptor.outputs), settings)
    except HookFailed as error:
        raise InvalidPackage(str(error), "TransformFailed") from error


def _warmed(package: Package, session: Session) -> int:
    """Rows that may run in the loop. Raises InvalidPackage when the model fails on its golden rows or a placeholder."""
    golden = package.golden[:_WARM_GOLDEN_ROWS]
    try:
        sample = golden_columns(package.descriptor, golden) if golden else placeholder_columns(package.descriptor)
    except InvalidRequest as error:
        raise InvalidPackage(f"golden rows do not fit the model: {error}", "GoldenRowsFailed") from error
    try:
        return inline_rows(session, sample)
    except Exception as error:  # onnxruntime raises a class per status, with no common base below Exception
        if not golden:
            return 0  # a placeholder may be no value that the model knows: that says nothing about real rows
        raise InvalidPackage(f"the model fails on its golden rows: {error}"[:1000], "LoadFailed") from error
