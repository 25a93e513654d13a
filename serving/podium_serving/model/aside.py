"""Runs of a model beside its batches, for work that may wait: they have a thread of their own and join nobody.

A run that is under way delays a normal one by at most its own length where there is one core, so callers keep runs short.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from podium_serving.exchange import Columns, NotServing, ServingError


class Aside:
    def __init__(self, run: Callable[[Columns], Columns]) -> None:
        self._run: Callable[[Columns], Columns] | None = run
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="aside")  # starts with the first run

    async def run(self, columns: Columns) -> Columns:
        """Raises ServingError when the model fails, NotServing after close."""
        if self._run is None:
            raise NotServing("this version is being put away")
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._run, columns)
        except ServingError:
            raise
        except Exception as error:  # onnxruntime raises a class per status, with no common base below Exception
            raise ServingError(f"the model failed: {error}"[:2000]) from error

    async def close(self) -> None:
        """Returns when no run is under way. Keeps no reference to what a run needs."""
        self._run = None
        await asyncio.to_thread(self._thread.shutdown)
