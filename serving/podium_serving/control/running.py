"""The pod's side of hot swap in one piece: made, started and closed together, so that main has one thing to wire."""

import asyncio
import time
import uuid
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Self

from podium_serving.capture.references import References
from podium_serving.control.gauges import Gauges
from podium_serving.control.listening import serve
from podium_serving.control.server import ControlPort
from podium_serving.control.verification import Verifier
from podium_serving.fetch.cache import Cache
from podium_serving.fetch.packages import Packages
from podium_serving.fetch.peers import Peers, Resolve, resolve
from podium_serving.metrics import Exposition, Metrics
from podium_serving.model.package import parse_descriptor
from podium_serving.served import Serving
from podium_serving.settings import Settings
from podium_serving.state import ServingState
from podium_serving.swap.assembly import Assembler, Assembling, MakeResponder
from podium_serving.swap.report import Identity
from podium_serving.swap.startup import Learner
from podium_serving.swap.surroundings import Limits, Surroundings
from podium_serving.swap.swapper import Swapper
from podium_serving.web.client import Client


@dataclass(frozen=True, slots=True)
class Inside:
    """What differs between a pod of one process and one of several."""

    assembler: Callable[[Packages], Assembling]
    flipped: Callable[[Serving], None]
    late: Callable[[int], None]
    exposition: Exposition
    swapper: Callable[[Identity, ServingState, Assembling, Surroundings, Limits], Swapper] = Swapper


@dataclass(frozen=True, slots=True)
class HotSwap:
    """A running control port, its swapper, and the task that learns."""

    swapper: Swapper
    packages: Packages
    _closing: AsyncExitStack

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
        """Models are loaded in this process. Raises OSError when the control port is taken or the cache unwritable."""
        from podium_serving.swap.loading import version_loader  # the supervisor of several workers loads no model

        gauges = Gauges(metrics)
        loader = version_loader(settings.model, gauges.on_batch, gauges.loaded)

        def assembler(packages: Packages) -> Assembler:
            return Assembler(settings.pool, packages, loader, parse_descriptor, make_responder, settings.memory_limit_bytes)

        inside = Inside(assembler, gauges.flipped, gauges.late, metrics.answer)
        return await cls.over(settings, state, inside, limits=limits, resolve=resolve)

    @classmethod
    async def over(
        cls,
        settings: Settings,
        state: ServingState,
        inside: Inside,
        *,
        limits: Limits | None = None,
        resolve: Resolve = resolve,
    ) -> Self:
        """Listens on the control port and begins to learn. Raises OSError when the port is taken or the cache unwritable."""
        async with AsyncExitStack() as stack:
            # Proxies of the environment are for the registry. Peers and what they send never go through one.
            to_registry = await stack.enter_async_context(Client(proxied=True))
            to_peers = await stack.enter_async_context(Client(connect_seconds=1.0))
            peers = Peers(
                to_peers, settings.peers_host, settings.control_port, settings.secrets.token, settings.pod_ip, resolve
            )
            cache = await asyncio.to_thread(_cache, settings)
            packages = Packages(cache, to_registry, settings.insecure_registries, peers)
            stack.push_async_callback(packages.close)
            verifier = Verifier(settings.public_keys, settings.deployment_uid, settings.role, settings.pool, time.time)
            learner = Learner(peers, settings.record_dir, verifier.open_commit)
            references = References(settings, cache.package)
            stack.push_async_callback(references.close)

            def flipped(serving: Serving) -> None:
                inside.flipped(serving)
                references.served(serving.plan)

            swapper = inside.swapper(
                Identity(settings.pod_uid, uuid.uuid4().hex, settings.pool),
                state,
                inside.assembler(packages),
                Surroundings(peers.hand_on, learner.clearance, flipped, inside.late),
                limits or Limits(),
            )
            stack.push_async_callback(swapper.close)
            port = ControlPort(swapper, verifier, cache, settings.secrets.token, inside.exposition)
            listening = await serve(port.application(), settings.bind, settings.control_port)
            stack.push_async_callback(listening.close)
            stack.push_async_callback(_ended, asyncio.create_task(learner.run(swapper, lambda: state.ready)))
            return cls(swapper, packages, stack.pop_all())

    async def close(self) -> None:
        """After the drain: ends the learning, the port, all tasks, and the models."""
        await self._closing.aclose()


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _cache(settings: Settings) -> Cache:
    cache = Cache(settings.cache_dir)
    cache.clear_partial()
    return cache
