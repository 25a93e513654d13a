"""Three real pods under an operator that changes its mind, a network that reorders and loses, and a registry that fails."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from podium_crds.plan import Commit, Plan
from podium_serving.swap.surroundings import Limits
from swap_fixtures import FakeRegistry, Pods, abort, eventually, plan, pods, prepare, shadow

pytestmark = pytest.mark.process

STEPS = 60
LIMITS = Limits(prepare_answer_seconds=0.05, late_answer_seconds=0.3, retry_seconds=(0.05,))


@pytest.fixture
async def registry() -> AsyncIterator[FakeRegistry]:
    async with FakeRegistry().running() as running:
        yield running


@pytest.fixture
async def group(tmp_path: Path, registry: FakeRegistry) -> AsyncIterator[Pods]:
    async with pods(tmp_path, registry) as running:
        yield running


class Operator:
    """Commits at most one plan per epoch, and every epoch above the last; else it does whatever comes to its mind."""

    def __init__(self, seed: int, registry: FakeRegistry, group: Pods, digests: list[str]) -> None:
        self.dice = random.Random(seed)
        self.registry, self.group, self.digests = registry, group, digests
        self.term = 1
        self.plans: list[Plan] = []
        self.committed: dict[int, Plan] = {}

    async def step(self) -> None:
        await self.dice.choice([self.prepares, self.prepares, self.commits, self.commits, self.aborts, self.world])()
        self.check()

    async def prepares(self) -> None:
        epoch = max([0, *(known.epoch for known in self.plans)]) + self.dice.choice([0, 1, 1, 1])
        routes = [shadow()] if self.dice.random() < 0.3 else []
        wanted = plan(
            max(epoch, 1),
            digest=self.dice.choice(self.digests),
            uri=self.registry.uri,
            term=self.term,
            pool=self.dice.choice(["a", "a", "a", "b"]),
            routes=routes,
        )
        self.plans.append(wanted)
        await self.send(prepare(wanted, lapse_seconds=self.dice.choice([0.1, 5.0])))

    async def commits(self) -> None:
        newer = [known for known in self.plans if known.epoch > max([0, *self.committed])]
        if newer and self.dice.random() < 0.7:
            chosen = self.dice.choice(newer)
            self.committed[chosen.epoch] = chosen
        if self.committed:
            await self.send(Commit(plan=self.dice.choice(list(self.committed.values()))))

    async def aborts(self) -> None:
        self.term += self.dice.random() < 0.3
        if self.plans:
            wanted = self.dice.choice(self.plans)
            if wanted not in self.committed.values():
                await self.send(abort(wanted, term=self.term))

    async def world(self) -> None:
        if self.registry.gate is None and self.dice.random() < 0.3:
            self.registry.gate = asyncio.Event()
        elif self.registry.gate is not None:
            self.registry.gate.set()
            self.registry.gate = None
        self.registry.failures = self.dice.choice([0, 0, 2])
        await asyncio.sleep(self.dice.uniform(0.0, 0.1))

    async def send(self, message: object) -> None:
        reached = [pod for pod in self.group.running.values() if self.dice.random() < 0.8]
        await asyncio.gather(*(pod.send(message) for pod in reached))  # type: ignore[arg-type]  # one of Message

    def check(self) -> None:
        for pod in self.group.running.values():
            if pod.state.current is not None:
                assert self.committed.get(pod.state.current.plan.epoch) == pod.state.current.plan


@pytest.mark.parametrize("seed", range(4))
async def test_pods_serve_committed_plans_only_and_agree_in_the_end(
    seed: int, registry: FakeRegistry, group: Pods, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("podium_serving.swap.startup.STEADY_SECONDS", 0.2)
    digests = [registry.add_made(tmp_path / f"p{index}", weights=[index, index], version=f"{index}") for index in (1, 2, 3)]
    for address in ("127.0.0.51", "127.0.0.52", "127.0.0.53"):
        await group.start(address, limits=LIMITS)
    operator = Operator(seed, registry, group, digests)
    epochs: dict[str, int] = {}
    for _ in range(STEPS):
        await operator.step()
        for pod in group.running.values():
            if pod.state.current is not None:
                assert pod.state.current.plan.epoch >= epochs.get(pod.address, 0)
                epochs[pod.address] = pod.state.current.plan.epoch
    if registry.gate is not None:
        registry.gate.set()
    registry.gate, registry.failures = None, 0
    final = plan(1000, digest=digests[0], uri=registry.uri, term=operator.term)
    operator.committed[1000] = final
    await next(iter(group.running.values())).status_after(Commit(plan=final))
    await eventually(lambda: all(pod.epoch == 1000 for pod in group.running.values()))
    operator.check()

    async def only_the_final_version_is_in_memory() -> bool:
        for pod in group.running.values():
            async with pod.session.get(pod.url("/metrics")) as response:
                lines = (await response.text()).splitlines()
            loaded = [line for line in lines if line.startswith("podium_model_loaded{")]
            if pod.state.retired or len(loaded) != 1 or final.champion.version.name not in loaded[0]:
                return False
        return True

    await eventually(only_the_final_version_is_in_memory)
