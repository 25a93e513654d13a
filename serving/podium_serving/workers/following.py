"""A worker's plans: what it holds, and the flip when the pod's epoch changes.

The flip is found where a request reads the plan: `current` compares the pod's epoch with its own and flips then, so the
pod's epoch is what every admission obeys. An idle worker flips when the supervisor asks how it is.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

from podium_crds.package import Descriptor
from podium_crds.plan import Envelope, Plan
from podium_serving.background import in_background
from podium_serving.metrics import Metrics
from podium_serving.model_interface import Model
from podium_serving.processes import children, private_bytes, resident_bytes
from podium_serving.served import Serving
from podium_serving.state import ServingState
from podium_serving.swap.assembly import LoadVersion, MakeResponder, ReadDescriptor
from podium_serving.swap.faults import PreparationFailed
from podium_serving.swap.retirement import Retirement
from podium_serving.workers.messages import Report
from podium_serving.workers.words import Words

logger = logging.getLogger(__name__)

_UNSIGNED = Envelope(body="", signature="", key_id="")
"""The signed commit is with the supervisor, who checked it."""
_REMEMBERED_EPOCHS = 4


class FollowingState(ServingState):
    """A state whose `current` and `behind` are the pod's."""

    def __init__(self, words: Words) -> None:
        self._numbers = words.numbers
        self._words = words
        self._current: Serving | None = None
        self.epoch = 0
        """The pod's epoch when it was looked at last."""
        self.follow: Callable[[], None] = _nothing
        super().__init__()

    @property
    def current(self) -> Serving | None:
        if self._numbers[0] != self.epoch:
            self.follow()
        return self._current

    @current.setter
    def current(self, serving: Serving | None) -> None:
        self._current = serving

    @property
    def behind(self) -> bool:
        return self._words.behind

    @behind.setter
    def behind(self, value: bool) -> None:
        """Only the supervisor says so."""


def _nothing() -> None:
    pass


class Follower:
    """Does what the supervisor says of plans. The only writer of the state."""

    def __init__(
        self,
        pool: str,
        words: Words,
        state: FollowingState,
        load_version: LoadVersion,
        read_descriptor: ReadDescriptor,
        make_responder: MakeResponder,
        metrics: Metrics,
    ) -> None:
        self._pool = pool
        self._words = words
        self._state = state
        self._load_version = load_version
        self._read_descriptor = read_descriptor
        self._make_responder = make_responder
        self._metrics = metrics
        self._held: dict[int, Serving] = {}
        self._holding: dict[int, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._admissions: dict[int, tuple[float | None, float | None]] = {}
        self._retirement = Retirement(state, self._models_in_use)
        state.follow = self.follow

    async def hold(self, plan: Plan, folder: str, descriptor: bytes) -> None:
        """Returns when the plan is held, or answers. Raises whatever a step raises; swap.faults says whose fault it is."""
        task = self._holding.get(plan.epoch)
        if task is None:
            if plan.epoch in self._held or self._answers(plan.epoch):
                return
            task = self._holding[plan.epoch] = asyncio.create_task(self._assembled(plan, folder, descriptor))
            self._tasks.add(task)
            task.add_done_callback(lambda done: self._assembly_ended(plan.epoch, done))
        try:
            await asyncio.shield(task)
        finally:
            del task  # an error refers to this frame: together they would keep what failed

    def drop(self, epoch: int) -> None:
        self.follow()
        self._holding.pop(epoch, None)  # a load cannot be stopped halfway: what comes of it is let go then
        if (serving := self._held.pop(epoch, None)) is not None:
            self._retirement.drop(serving.responder, serving.model)

    def follow(self) -> None:
        """The flip, if one is due. No await in here: no request may be admitted between reading and writing `current`."""
        epoch, old = self._words.epoch, self._state._current
        self._state.epoch = epoch
        if epoch == (old.plan.epoch if old is not None else 0):
            return
        serving = self._held.pop(epoch, None)
        self._state.current = serving
        self._count_late()
        if old is not None:
            self._admissions[old.plan.epoch] = (old.first_admitted, old.last_admitted)
            for stale in sorted(self._admissions)[:-_REMEMBERED_EPOCHS]:
                del self._admissions[stale]
            self._retirement.retire(old)
        self._metrics.plan_epoch.labels().set(epoch)
        if serving is not None:
            logger.info("epoch %d answers: %s", epoch, serving.plan.champion.version.name)
        elif epoch and old is not None:
            logger.error("epoch %d answers in this pod and is not held here: nothing answers", epoch)

    def report(self) -> Report:
        self.follow()
        current = self._state._current
        servings = [*self._state.retired, *([current] if current is not None else [])]
        admissions = dict(self._admissions)
        if current is not None:
            admissions[current.plan.epoch] = (current.first_admitted, current.last_admitted)
        mine = private_bytes("self")
        return Report(
            epoch=current.plan.epoch if current is not None else 0,
            ready=self._state.ready,
            open_requests={serving.plan.epoch: serving.open_requests for serving in servings},
            admissions=admissions,
            private_bytes=mine + sum(private_bytes(child) for child in children()),
            shared_bytes=resident_bytes() - mine,
        )

    async def close(self) -> None:
        """After the drain: drops all that is held."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for epoch in list(self._held):
            self.drop(epoch)
        if (current := self._state._current) is not None:
            self._state.current = None
            self._retirement.retire(current)
        await self._retirement.settled()

    def _answers(self, epoch: int) -> bool:
        current = self._state._current
        return current is not None and current.plan.epoch == epoch

    async def _assembled(self, plan: Plan, folder: str, content: bytes) -> None:
        model, descriptor = self._known(plan)
        if descriptor is None and plan.champion.pool == self._pool:
            if not folder:
                raise PreparationFailed("PreparationFailed", f"epoch {plan.epoch}: neither model nor package is here")
            model = await self._loaded(Path(folder), plan)
            descriptor = model.descriptor
        if descriptor is None:
            descriptor = await in_background(self._read_descriptor, content)
        serving = Serving(plan, _UNSIGNED, model, descriptor, self._make_responder(plan, model, descriptor))
        # In this turn: a model that is used is not closed.
        if self._holding.get(plan.epoch) is asyncio.current_task():
            self._held[plan.epoch] = serving
        else:
            self._retirement.drop(serving.responder, model)

    def _known(self, plan: Plan) -> tuple[Model | None, Descriptor | None]:
        """New routes, percentages or capture of a champion that is held: its model, where it lives here, and descriptor."""
        here = plan.champion.pool == self._pool
        current = self._state._current
        for serving in (*self._held.values(), *([current] if current is not None else [])):
            same = serving.plan.champion.version.digest == plan.champion.version.digest
            if same and (serving.model is not None or not here):
                return (serving.model if here else None), serving.descriptor
        return None, None

    async def _loaded(self, folder: Path, plan: Plan) -> Model:
        loading = asyncio.ensure_future(self._load_version(folder, plan.champion.version))
        try:
            return await asyncio.shield(loading)
        except asyncio.CancelledError:
            await asyncio.wait({loading})
            if loading.exception() is None:
                await loading.result().close()
            raise
        finally:
            del loading  # as in `hold`

    def _assembly_ended(self, epoch: int, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._holding.get(epoch) is task:
            del self._holding[epoch]
        if not task.cancelled() and task.exception() is None:
            self._state.epoch = -1  # this epoch may answer already
            self.follow()

    def _count_late(self) -> None:
        if self._state.late_admissions:
            logger.warning("%d requests were answered late", self._state.late_admissions)
            self._metrics.late_requests.labels().inc(self._state.late_admissions)
            self._state.late_admissions = 0

    def _models_in_use(self) -> Iterator[Model | None]:
        current = self._state._current
        for serving in (*self._held.values(), *self._state.retired, *([current] if current is not None else [])):
            yield serving.model
