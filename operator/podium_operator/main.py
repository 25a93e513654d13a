"""Wiring: settings, connections, election, and then the watch, the workers and the resync for as long as this one leads.

A process leads at most once: when the Lease is lost, or anything that leading needs ends, the process ends, and the kubelet
starts a fresh one. There is no state worth keeping, and none that could be forgotten.
"""

import asyncio
import logging
import os
import secrets
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import NoReturn

from podium_operator.cluster import Cluster
from podium_operator.deployments.reconciler import DeploymentReconciler
from podium_operator.errors import ClusterError
from podium_operator.events import Events
from podium_operator.keys import collector_key, signing_key
from podium_operator.kinds import Manifest
from podium_operator.runtime.context import Context, Reconciler
from podium_operator.runtime.health import HealthServer
from podium_operator.runtime.heartbeat import Heartbeat
from podium_operator.runtime.lease import Lease
from podium_operator.runtime.metrics import Metrics
from podium_operator.runtime.queue import KeyQueue
from podium_operator.runtime.references import References
from podium_operator.runtime.routing import keys_for
from podium_operator.runtime.watch import Watch
from podium_operator.runtime.workers import Workers, all_keys, resync
from podium_operator.settings import Settings, SettingsError, from_environment
from podium_operator.versions.reconciler import VersionReconciler

log = logging.getLogger("podium_operator")

_LEASE_LOST_EXIT = 3


def main() -> int:
    """The operator as a process. Exit code 0: asked to end; 2: settings; 3: the Lease was lost; 1: anything else."""
    try:
        settings = from_environment(os.environ)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)
    logging.getLogger("kopf").setLevel(logging.WARNING)
    # Tells that it handles no signals, as it should not.
    logging.getLogger("kopf._core.reactor.running").setLevel(logging.ERROR)
    try:
        asyncio.run(run(settings))
    except Exception:
        log.exception("the operator ends")
        return 1
    return 0


async def run(settings: Settings) -> None:
    """Until SIGTERM or SIGINT. Raises what ended it otherwise."""
    metrics = Metrics()
    heartbeat = Heartbeat(time.monotonic, settings.stuck_seconds, settings.reconcile_timeout_seconds)
    cluster = await Cluster.connect(
        fence=_no_fence,
        metrics=metrics,
        timeout_seconds=settings.request_timeout_seconds,
        kubeconfig=settings.kubeconfig or None,
    )
    identity = f"{settings.pod_name}_{secrets.token_hex(4)}"
    # A third: one request that hangs must leave time for another try.
    impatient = cluster.within(settings.lease_renew_seconds / 3)
    lease = Lease(impatient, settings, identity, clock=time.monotonic, now=_utc_now, on_lost=_end_at_once)
    health = HealthServer(heartbeat, metrics, is_ready=lambda: lease.in_contact)
    port = await health.start(settings.health_bind, settings.health_port)
    log.info("health and metrics on port %d", port)
    beating = asyncio.create_task(heartbeat.run(), name="heartbeat")
    leading = asyncio.create_task(_lead(settings, cluster, metrics, heartbeat, lease), name="lead")
    try:
        await _until_asked_to_end_or(leading)
    finally:
        beating.cancel()
        await health.stop()
        await cluster.close()


async def _until_asked_to_end_or(leading: "asyncio.Task[None]") -> None:
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.set)
    waiting = asyncio.create_task(asked.wait(), name="signals")
    await asyncio.wait({leading, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if not leading.done():
        log.info("asked to end")
        leading.cancel()
    await asyncio.gather(leading, return_exceptions=True)
    if not leading.cancelled():
        leading.result()


async def _lead(settings: Settings, cluster: Cluster, metrics: Metrics, heartbeat: Heartbeat, lease: Lease) -> None:
    await _until_our_kinds_are_there(cluster, settings)
    term = await lease.acquire()
    log.info("%s leads, term %d", lease.identity, term)
    metrics.leader.set(1)
    metrics.term.set(term)
    try:
        context = await _context(settings, cluster.fenced_by(lease.fence), metrics, lease, term)
        async with asyncio.TaskGroup() as group:
            group.create_task(lease.hold(), name="lease")
            for name, running in _leading_tasks(context, heartbeat).items():
                group.create_task(running(), name=name)
    finally:
        # The group has ended all its tasks: nothing is in work, the next one may lead at once.
        await lease.release()


async def _until_our_kinds_are_there(cluster: Cluster, settings: Settings) -> None:
    """The watch looks up its kinds once, at its start: without the CRDs it would wait for ever."""
    while True:
        try:
            await all_keys(cluster, settings)
        except ClusterError as error:
            log.warning("the kinds cannot be listed yet (are the CRDs installed?): %s", error)
            await asyncio.sleep(settings.lease_retry_seconds)
        else:
            return


def _leading_tasks(context: Context, heartbeat: Heartbeat) -> dict[str, Callable[[], Coroutine[None, None, None]]]:
    deployments = DeploymentReconciler(context)
    reconcilers: dict[str, Reconciler] = {"ModelVersion": VersionReconciler(context), "ModelDeployment": deployments}
    workers = Workers(context.queue, reconcilers, context.settings, context.metrics, heartbeat, context.clock)
    watch = Watch(context.settings, context.cluster.credentials, _feeds(context))
    return {
        "workers": workers.run,
        "watch": watch.run,
        "resync": lambda: resync(context.cluster, context.queue, context.settings),
        "deployments": deployments.run,
    }


async def _context(settings: Settings, cluster: Cluster, metrics: Metrics, lease: Lease, term: int) -> Context:
    return Context(
        settings=settings,
        cluster=cluster,
        events=Events(cluster, settings.pod_name, _utc_now, time.monotonic),
        queue=KeyQueue(time.monotonic),
        metrics=metrics,
        fence=lease.fence,
        term=term,
        signing_key=await signing_key(cluster, settings.namespace),
        collector_key=await collector_key(cluster, settings.namespace),
        now=_utc_now,
        clock=time.monotonic,
    )


def _feeds(context: Context) -> Callable[[str, Manifest, bool], None]:
    """What the watch calls: it only puts keys in the queue."""
    references = References()
    watched = frozenset(context.settings.watch_namespaces)

    def feed(kind: str, manifest: Manifest, gone: bool) -> None:
        context.metrics.watch_events.labels(kind).inc()
        for key in keys_for(kind, manifest, gone=gone, references=references):
            if not watched or key.namespace in watched:
                context.queue.add(key)

    return feed


def _end_at_once(why: str) -> NoReturn:
    """No cleaning up: whatever runs in this process may not act any more, not even to say goodbye."""
    log.critical("%s; this process ends", why)
    logging.shutdown()
    os._exit(_LEASE_LOST_EXIT)


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _no_fence() -> None:
    """The election itself writes before anybody leads."""
