"""The evaluator's process: what it is made of, started in order and stopped in the opposite one."""

import asyncio
import contextlib
import hashlib
import hmac
import logging
import signal
from collections.abc import AsyncIterator, Awaitable, Iterator
from functools import partial

import uvicorn
from fastapi import FastAPI

from podium_crds.package import Descriptor
from podium_monitor.access import NoReviews, RememberedReviews, Reviews
from podium_monitor.bearers import Bearers
from podium_monitor.cluster import Cluster
from podium_monitor.dashboard.glances import Glances
from podium_monitor.dashboard.routes import dashboard
from podium_monitor.dashboard.sources import Sources
from podium_monitor.evaluations.evaluating import Evaluations
from podium_monitor.evaluations.findings import findings
from podium_monitor.evaluations.reading import latest, outlined
from podium_monitor.evaluator.app import application, face_for_people
from podium_monitor.evaluator.figures_of import DeploymentFigures
from podium_monitor.evaluator.looking import Looking
from podium_monitor.evaluator.metrics import EvaluatorMetrics
from podium_monitor.evaluator.rounds import Rounds
from podium_monitor.evaluator.settings import EvaluatorSettings
from podium_monitor.evidence import routes as evidence
from podium_monitor.evidence.updating import evidence_of
from podium_monitor.lake.opening import LakeSettings, open_store
from podium_monitor.lake.retention_wishes import RetentionWishes
from podium_monitor.lake.store import Store
from podium_monitor.listening import LISTENING
from podium_monitor.manifests import Manifests
from podium_monitor.notifications.notifier import Notifier
from podium_monitor.references import reference_of, remember_at_most
from podium_monitor.reports import routes as reports
from podium_monitor.reports.scheduled import WeeklyReports
from podium_monitor.sign_in.listener import mutual_tls
from podium_monitor.sign_in.opening import reception
from podium_monitor.sign_in.settings import Proxy, SignInSettings
from podium_monitor.watching import Watching
from podium_monitor.world import FollowedWorld

logger = logging.getLogger(__name__)

_KINDS = 2
"""Streams of the world, in each namespace."""

_OF_DOCUMENTS = 8
"""This part of what references may take is for their documents, the rest for what is measured by them."""


def serve(settings: EvaluatorSettings, lake: LakeSettings, sign_in: SignInSettings) -> None:
    """Runs until SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    asyncio.run(_run(settings, lake, sign_in))


def session_key(collector_key: bytes) -> bytes:
    """What sessions of the dashboard are sealed with: the same in all replicas. Secret."""
    return hmac.digest(collector_key, b"podium dashboard sessions", hashlib.sha256)


async def _run(settings: EvaluatorSettings, lake: LakeSettings, sign_in: SignInSettings) -> None:
    store = open_store(lake)
    metrics = EvaluatorMetrics()
    async with contextlib.AsyncExitStack() as stack:
        world, reviews, following = await _world(settings, stack)
        metrics.follow(world)
        glances = Glances(store)
        sources = _sources(store, glances)
        remember_at_most(settings.reference_bytes // _OF_DOCUMENTS)
        of_measures = settings.reference_bytes - settings.reference_bytes // _OF_DOCUMENTS
        evaluations = Evaluations(
            store, settings.days, settings.threads, settings.memory_bytes, of_measures, sources.evidence
        )
        stack.callback(evaluations.close)
        notifier = Notifier(store, settings.receivers, settings.pages, metrics.notified)
        figures = DeploymentFigures(world)
        metrics.registry.register(figures)
        looking = Looking(store, evaluations, notifier, WeeklyReports(store), figures, glances, RetentionWishes(store))
        rounds = Rounds(world, looking, metrics, settings.round_seconds)
        evaluations.stopping = lambda: rounds.stopping
        bearers = Bearers(settings.collector_key, reviews)
        receives = reception(sign_in)
        permit = reports.permit_of(bearers, receives, reviews)
        for_people = [dashboard(receives, world, sources, reviews), reports.router(world, sources, permit)]
        running = _running(following, rounds)
        routers = [*for_people, evidence.router(store, bearers)]
        app = application(world, rounds, metrics.registry, routers, running)
        if isinstance(sign_in, Proxy):
            await stack.enter_async_context(mutual_tls(face_for_people(for_people), sign_in, settings.bind))
        await _served(app, settings)


class _Server(uvicorn.Server):
    """uvicorn's own kills the process with the signal again once it has served: what is opened here would not be closed."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield


async def _served(app: FastAPI, settings: EvaluatorSettings) -> None:
    await _Server(uvicorn.Config(app, host=settings.bind, port=settings.port, **LISTENING)).serve()


async def _world(
    settings: EvaluatorSettings, stack: contextlib.AsyncExitStack
) -> tuple[FollowedWorld, Reviews, Awaitable[None]]:
    """And what keeps it true."""
    if settings.manifests is not None:
        manifests = Manifests(settings.manifests)
        return manifests, NoReviews(), manifests.run()
    cluster = await Cluster.connect(watches=_KINDS * max(1, len(settings.namespaces)))
    stack.push_async_callback(cluster.close)
    watching = Watching(cluster, settings.namespaces)
    return watching, RememberedReviews(cluster), watching.run()


def _sources(store: Store, glances: Glances) -> Sources:
    def card(namespace: str, deployment: str, digest: str) -> Descriptor | None:
        found = reference_of(store, namespace, deployment, digest)
        return found.descriptor if found else None

    return Sources(partial(latest, store), partial(outlined, store), glances.of, partial(evidence_of, store), findings, card)


@contextlib.asynccontextmanager
async def _running(following: Awaitable[None], rounds: Rounds) -> AsyncIterator[None]:
    """The world is followed and the rounds are made while requests are answered."""
    task = asyncio.ensure_future(following)
    rounds.start()
    try:
        yield
    finally:
        await rounds.stop()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
