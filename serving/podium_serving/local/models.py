"""Models of one machine: loaded from their folders, swapped in place when they are loaded again, unloaded without a loss."""

import asyncio
from dataclasses import replace
from pathlib import Path

from podium_crds.package import Descriptor
from podium_crds.plan import Commit, DeploymentKey, Plan, PlannedChampion, PlannedVersion, SigningKey
from podium_serving.exchange import InvalidRequest, NotFound
from podium_serving.local.folders import Folders
from podium_serving.metrics import Metrics
from podium_serving.model.loaded import LoadedModel
from podium_serving.model.package import InvalidPackage
from podium_serving.model_interface import Model
from podium_serving.repository import Entry, FixedRepository, Repository
from podium_serving.served import Serving
from podium_serving.settings import Settings
from podium_serving.state import ServingState
from podium_serving.swap.retirement import Retirement
from podium_serving.traffic.factory import ResponderFactory, make_responder_factory

POOL = "local"
_TIMEOUT_MILLISECONDS = 30_000


class LocalModels:
    """A Repository. `states` are the models in memory, by name; whoever holds the mapping sees them come and go."""

    def __init__(self, settings: Settings, folders: Folders) -> None:
        self.states: dict[str, ServingState] = {}
        self.metrics: dict[str, Metrics] = {}
        """Also of models that were unloaded: what they counted does not go backwards."""
        self._settings = settings
        self._folders = folders
        self._key = SigningKey.generate()
        self._factories: dict[str, ResponderFactory] = {}
        self._retirements: dict[str, Retirement] = {}
        self._changing = asyncio.Lock()
        self._closed = False

    async def load_all(self) -> None:
        """Raises InvalidPackage naming the first package that cannot serve."""
        found = await asyncio.to_thread(self._folders.look)
        for fault in found.faults.values():
            raise InvalidPackage(fault)
        if not found.packages:
            raise InvalidPackage("no package is here: a package is a folder that `podium package` made")
        for folder in found.packages.values():
            self._put(await _proven(folder, self._settings))

    def unloaded(self) -> list[Entry]:
        try:
            found = self._folders.look()
        except InvalidPackage as error:
            return [Entry("", "", "UNAVAILABLE", str(error))]
        entries = [Entry(name, "", "UNAVAILABLE", "unloaded") for name in found.packages if name not in self.states]
        return entries + [Entry(name, "", "UNAVAILABLE", fault) for name, fault in found.faults.items()]

    async def load(self, model: str) -> None:
        async with self._changing:
            try:
                found = await asyncio.to_thread(self._folders.look)
                folder = found.packages.get(model)
                if folder is None:
                    known = ", ".join(f"'{name}'" for name in sorted(found.packages)[:20]) or "none"
                    raise NotFound(f"no package named '{model[:80]}' is here; there are {known}")
                proven = await _proven(folder, self._settings)
            except InvalidPackage as error:
                raise InvalidRequest(f"model '{model}' cannot be loaded: {error}") from error
            if proven.descriptor.name != model or self._closed:
                await proven.close()
                raise InvalidRequest(f"{folder} is changing, or this server is going away; try again")
            self._put(proven)

    async def unload(self, model: str) -> None:
        async with self._changing:
            state = self.states.pop(model, None)
            if state is None:
                raise NotFound(f"no model '{model[:80]}' is in memory")
            self._let_go(model, state)

    def _put(self, model: LoadedModel) -> None:
        """The flip: from this turn of the loop on the new one answers. What was admitted before is answered by the old."""
        name = model.descriptor.name
        state = self.states.get(name) or ServingState()
        epoch = state.current.plan.epoch + 1 if state.current else 1
        metrics = self.metrics.setdefault(name, Metrics(POOL, name, process=False))
        factory = self._factories.get(name)
        if factory is None:
            factory = self._factories[name] = make_responder_factory(replace(self._settings, deployment=name), metrics)
        plan = local_plan(model.descriptor, model.digest, epoch)
        responder = factory(plan, model, model.descriptor)
        serving = Serving(plan, self._key.sign(Commit(plan=plan)), model, model.descriptor, responder)
        self._let_go(name, state)
        state.current = serving
        self.states[name] = state

    def _let_go(self, name: str, state: ServingState) -> None:
        serving, state.current = state.current, None
        if serving is not None:
            retirement = self._retirements.setdefault(name, Retirement(state, self._in_use))
            retirement.retire(serving)

    def _in_use(self) -> list[Model | None]:
        return [state.current.model for state in self.states.values() if state.current]

    async def close(self) -> None:
        """Call it after the ports are drained."""
        self._closed = True
        async with self._changing:
            for name, state in list(self.states.items()):
                del self.states[name]
                self._let_go(name, state)
            for retirement in self._retirements.values():
                await retirement.settled()
            for factory in self._factories.values():
                await factory.close()


def repository_of(models: LocalModels, *, changeable: bool) -> Repository:
    if changeable:
        return models
    return FixedRepository(
        "models are not loaded and unloaded by clients here; start the server with --model-control for it"
    )


async def _proven(folder: Path, settings: Settings) -> LoadedModel:
    """Raises InvalidPackage when it cannot be loaded, or its golden rows are not reproduced."""
    model = await LoadedModel.load(folder, settings.model)
    try:
        verdict = await model.reproduce()
        if not verdict.passed:
            text = f"{verdict.failed_rows} of {verdict.rows} golden rows are not reproduced; {verdict.worst}"
            raise InvalidPackage(text, "GoldenRowsFailed")
    except BaseException:
        await model.close()
        raise
    return model


def local_plan(descriptor: Descriptor, digest: str, epoch: int) -> Plan:
    """The package alone, as a plan: model and version are named as the package names itself."""
    version = PlannedVersion(name=descriptor.version, uri="file://", digest=digest, image="")
    return Plan(
        deployment=DeploymentKey(namespace=POOL, name=descriptor.name, uid=POOL),
        term=0,
        epoch=epoch,
        champion=PlannedChampion(version=version, pool=POOL, host=""),
        timeout_milliseconds=_TIMEOUT_MILLISECONDS,
    )
