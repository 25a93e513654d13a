"""From a plan to all that answers under it: fetch, check, load, warm, golden rows, responder. Everything before the flip.

What is assembled serves nobody yet. A failure leaves nothing behind.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from podium_crds.package import MODEL_FILE, Descriptor
from podium_crds.plan import Plan, PlannedVersion, RegistryCredential
from podium_serving.background import in_background
from podium_serving.fetch.packages import Packages
from podium_serving.model_interface import Model
from podium_serving.served import Responder, Serving
from podium_serving.swap.decisions import Need, need
from podium_serving.swap.memory import check_fits, loading_bytes, resident_bytes

LoadVersion = Callable[[Path, PlannedVersion], Awaitable[Model]]
"""Loads and warms a package's folder and reproduces its golden rows. Errors carry `reason`."""
ReadDescriptor = Callable[[bytes], Descriptor]
MakeResponder = Callable[[Plan, Model | None, Descriptor], Responder]


@dataclass(slots=True)
class Assembled:
    plan: Plan
    model: Model | None
    descriptor: Descriptor
    responder: Responder


class Assembling(Protocol):
    """How a swapper gets what plans need."""

    @property
    def packages(self) -> Packages: ...

    @property
    def reuses_at_once(self) -> bool:
        """Whether `reuse` may be called. If not, new routes of the champion that serves need `assemble` as all else does."""

    async def assemble(
        self, plan: Plan, current: Serving | None, credential: RegistryCredential | None, memory_limit_bytes: int = 0
    ) -> Assembled: ...

    def reuse(self, plan: Plan, current: Serving) -> Assembled: ...


@dataclass(frozen=True, slots=True)
class Assembler:
    """Assembles in this process."""

    pool: str
    packages: Packages
    load_version: LoadVersion
    read_descriptor: ReadDescriptor
    make_responder: MakeResponder
    memory_limit_bytes: int = 0
    """Of the container. 0: none."""
    reuses_at_once: bool = True

    async def assemble(
        self, plan: Plan, current: Serving | None, credential: RegistryCredential | None, memory_limit_bytes: int = 0
    ) -> Assembled:
        """Raises whatever a step raises; swap.faults says whose fault it is."""
        version = plan.champion.version
        match need(plan, current.plan if current else None, self.pool):
            case Need.NOTHING:
                assert current is not None
                return self.reuse(plan, current)
            case Need.DESCRIPTOR:
                content = await self.packages.descriptor(version.uri, version.digest, credential)
                descriptor = await in_background(self.read_descriptor, content)
                return Assembled(plan, None, descriptor, self.make_responder(plan, None, descriptor))
            case Need.MODEL:
                folder = await self.packages.folder(version.uri, version.digest, credential)
                if current is not None and current.model is not None:
                    needed = await in_background(loading_bytes, folder / MODEL_FILE)
                    check_fits(resident_bytes(), needed, memory_limit_bytes or self.memory_limit_bytes)
                model = await self._loaded(folder, version)
                return Assembled(plan, model, model.descriptor, self.make_responder(plan, model, model.descriptor))

    def reuse(self, plan: Plan, current: Serving) -> Assembled:
        """The same champion under new routes: at once, with the model that serves."""
        model = current.model if plan.champion.pool == self.pool else None
        return Assembled(plan, model, current.descriptor, self.make_responder(plan, model, current.descriptor))

    async def _loaded(self, folder: Path, version: PlannedVersion) -> Model:
        """A load cannot be stopped halfway. One that nobody waits for any more is closed when it is done."""
        loading = asyncio.ensure_future(self.load_version(folder, version))
        try:
            return await asyncio.shield(loading)
        except asyncio.CancelledError:
            loading.add_done_callback(_close_unwanted)
            raise
        finally:
            del loading  # an error refers to this frame: together they would keep what failed


_unwanted: set[asyncio.Task[None]] = set()


def _close_unwanted(loading: "asyncio.Future[Model]") -> None:
    if loading.cancelled() or loading.exception() is not None:
        return
    closing = asyncio.ensure_future(loading.result().close())
    _unwanted.add(closing)
    closing.add_done_callback(_unwanted.discard)
