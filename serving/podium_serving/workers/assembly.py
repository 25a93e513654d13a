"""Assembling in all workers at once, for the supervisor's swapper: what is prepared here is prepared in each of them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from podium_crds.package import DESCRIPTOR_FILE, MODEL_FILE, Descriptor
from podium_crds.plan import Plan, RegistryCredential
from podium_serving.background import in_background
from podium_serving.fetch.packages import Packages
from podium_serving.model_interface import Model
from podium_serving.served import Responder, Serving
from podium_serving.state import ServingState
from podium_serving.swap.assembly import Assembled, ReadDescriptor
from podium_serving.swap.decisions import Need, need
from podium_serving.swap.memory import check_fits, loading_bytes
from podium_serving.workers.fleet import Fleet, Wanted
from podium_serving.workers.messages import Hold
from podium_serving.workers.words import Words


class FleetState(ServingState):
    """The supervisor's state: what is written to it, all workers see. Its `current` answers nothing itself."""

    def __init__(self, words: Words) -> None:
        self._words = words
        self._current: Serving | None = None
        super().__init__()

    @property
    def current(self) -> Serving | None:
        return self._current

    @current.setter
    def current(self, serving: Serving | None) -> None:
        """The flip of the whole pod."""
        self._current = serving
        self._words.epoch = serving.plan.epoch if serving is not None else 0

    @property
    def behind(self) -> bool:
        return self._words.behind

    @behind.setter
    def behind(self, value: bool) -> None:
        self._words.behind = value


@dataclass(slots=True, weakref_slot=True, eq=False)
class Elsewhere:
    """Stands for what every worker has of a plan. It is only held and let go: the supervisor has no port for requests."""

    forget: Callable[[], None]

    async def close(self) -> None:
        self.forget()


@dataclass(frozen=True, slots=True)
class FleetAssembler:
    pool: str
    packages: Packages
    fleet: Fleet
    workers: int
    read_descriptor: ReadDescriptor
    resident_bytes: Callable[[], Awaitable[int]]
    """Memory of the whole pod."""
    memory_limit_bytes: int = 0
    """Of the container. 0: none."""
    reuses_at_once: bool = False

    async def assemble(
        self, plan: Plan, current: Serving | None, credential: RegistryCredential | None, memory_limit_bytes: int = 0
    ) -> Assembled:
        """Raises whatever a step raises; swap.faults says whose fault it is."""

        async def provide() -> Hold:
            return await self._hold(plan, credential)

        if need(plan, current.plan if current else None, self.pool) is Need.NOTHING:
            assert current is not None
            hold, descriptor = Hold(plan.model_dump_json()), current.descriptor
        else:
            hold = await provide()
            descriptor = await in_background(self._descriptor, hold)
            if hold.folder and current is not None and current.model is not None:
                await self._check_memory(Path(hold.folder), memory_limit_bytes or self.memory_limit_bytes)
        await self.fleet.hold(Wanted(plan, provide), hold)
        model = cast(Model, Elsewhere(_nothing)) if plan.champion.pool == self.pool else None
        responder = cast(Responder, Elsewhere(lambda: self.fleet.drop(plan.epoch)))
        return Assembled(plan, model, descriptor, responder)

    def reuse(self, plan: Plan, current: Serving) -> Assembled:
        raise NotImplementedError("even new routes have to reach every worker: `reuses_at_once` says so")

    async def _hold(self, plan: Plan, credential: RegistryCredential | None) -> Hold:
        version = plan.champion.version
        if plan.champion.pool == self.pool:
            folder = await self.packages.folder(version.uri, version.digest, credential)
            return Hold(plan.model_dump_json(), folder=str(folder))
        content = await self.packages.descriptor(version.uri, version.digest, credential)
        return Hold(plan.model_dump_json(), descriptor=content)

    def _descriptor(self, hold: Hold) -> Descriptor:
        return self.read_descriptor(hold.descriptor or (Path(hold.folder) / DESCRIPTOR_FILE).read_bytes())

    async def _check_memory(self, folder: Path, limit: int) -> None:
        needed = await in_background(loading_bytes, folder / MODEL_FILE)
        check_fits(await self.resident_bytes(), needed * self.workers, limit)


def _nothing() -> None:
    """Workers know themselves when a model is used no more."""
