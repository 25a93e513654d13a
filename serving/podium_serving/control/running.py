"""The pod's side of hot swap in one piece: made, started and closed together, so that main has one thing to wire."""

import asyncio
import time
import uuid
from dataclasses import dataclass
from typing import Self

import aiohttp
from aiohttp import web

from podium_crds.plan import PlannedVersion
from podium_serving.control.server import ControlPort, serve
from podium_serving.control.verification import Verifier
from podium_serving.fetch.cache import Cache
from podium_serving.fetch.packages import Packages
from podium_serving.fetch.peers import Peers, Resolve, resolve
from podium_serving.metrics import Metrics
from podium_serving.model.package import parse_descriptor
from podium_serving.settings import Settings
from podium_serving.state import Serving, ServingState
from podium_serving.swap.assembly import Assembler, MakeResponder
from podium_serving.swap.loading import OnBatch, version_loader
from podium_serving.swap.report import Identity
from podium_serving.swap.startup import Learner
from podium_serving.swap.surroundings import Limits, Surroundings
from podium_serving.swap.swapper import Swapper


@dataclass(slots=True)
class HotSwap:
    """A running control port, its swapper, and the task that learns."""

    swapper: Swapper
    packages: Packages
    _sessions: tuple[aiohttp.ClientSession, aiohttp.ClientSession]
    _runner: web.AppRunner
    _learning: asyncio.Task[None]

    @classmethod
    async def start(
        cls,
        settings: Settings,
        state: ServingState,
        metrics: Metrics,
        make_responder: MakeResponder,
        *,
        limits: Limits | None = None,
        resolve: Resolve = resolve,
    ) -> Self:
        """Listens on the control port and begins to learn. Raises OSError when the port is taken or the cache unwritable."""
        # Proxies of the environment are for the registry. Peers and what they send never go through one.
        to_registry, to_peers = aiohttp.ClientSession(trust_env=True), aiohttp.ClientSession()
        peers = Peers(to_peers, settings.peers_host, settings.control_port, settings.secrets.token, settings.pod_ip, resolve)
        cache = await asyncio.to_thread(_cache, settings)
        packages = Packages(cache, to_registry, settings.insecure_registries, peers)
        verifier = Verifier(settings.public_keys, settings.deployment_uid, settings.role, settings.pool, time.time)
        learner = Learner(peers, settings.record_dir, verifier.open_commit)
        swapper = Swapper(
            Identity(settings.pod_uid, uuid.uuid4().hex, settings.pool),
            state,
            _assembler(settings, metrics, packages, make_responder),
            Surroundings(peers.hand_on, learner.clearance, lambda serving: _gauge(metrics, serving)),
            limits or Limits(),
        )
        port = ControlPort(swapper, verifier, cache, settings.secrets.token, metrics.exposition)
        runner = await serve(port, settings.bind, settings.control_port)
        learning = asyncio.create_task(learner.run(swapper, lambda: state.ready))
        return cls(swapper, packages, (to_registry, to_peers), runner, learning)

    async def close(self) -> None:
        """After the drain: ends the port, all tasks and the models."""
        self._learning.cancel()
        await asyncio.gather(self._learning, return_exceptions=True)
        await self._runner.cleanup()
        await self.swapper.close()
        await self.packages.close()
        for session in self._sessions:
            await session.close()


def _cache(settings: Settings) -> Cache:
    cache = Cache(settings.cache_dir)
    cache.clear_partial()
    return cache


def _assembler(settings: Settings, metrics: Metrics, packages: Packages, make_responder: MakeResponder) -> Assembler:
    def on_batch(version: PlannedVersion) -> OnBatch:
        rows = metrics.batch_rows.labels(version.name)
        return lambda count: rows.observe(count)

    loader = version_loader(settings.model, on_batch)
    return Assembler(settings.pool, packages, loader, parse_descriptor, make_responder, settings.memory_limit_bytes)


def _gauge(metrics: Metrics, serving: Serving) -> None:
    metrics.plan_epoch.labels().set(serving.plan.epoch)
    for known in list(metrics.model_loaded.children):
        metrics.model_loaded.forget(*known)
    if serving.model is not None:
        metrics.model_loaded.labels(serving.plan.champion.version.name).set(1)
