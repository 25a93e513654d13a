"""Workers take keys from the queue and reconcile them; a resync puts all keys in now and then.

An error of a reconcile is this key's back-off and nobody else's trouble. Only LeaseLost and cancellation pass through.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import NoReturn

from podium_operator.cluster import Cluster
from podium_operator.errors import ClusterError, Conflict, LeaseLost
from podium_operator.kinds import Key
from podium_operator.runtime.context import Reconciler
from podium_operator.runtime.heartbeat import Heartbeat
from podium_operator.runtime.metrics import Metrics
from podium_operator.runtime.queue import Clock, KeyQueue
from podium_operator.settings import Settings

log = logging.getLogger(__name__)


class Workers:
    """`reconcilers`: by kind."""

    def __init__(
        self,
        queue: KeyQueue,
        reconcilers: Mapping[str, Reconciler],
        settings: Settings,
        metrics: Metrics,
        heartbeat: Heartbeat,
        clock: Clock,
    ) -> None:
        self._queue = queue
        self._reconcilers = reconcilers
        self._settings = settings
        self._metrics = metrics
        self._heartbeat = heartbeat
        self._clock = clock
        metrics.queue_depth.set_function(lambda: float(len(queue)))
        metrics.queue_oldest_seconds.set_function(queue.oldest_wait_seconds)

    async def run(self) -> None:
        """Until cancelled, or until this process may not act any more."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._settings.workers):
                group.create_task(self._work(), name=f"worker-{number}")

    async def _work(self) -> NoReturn:
        while True:
            key = await self._queue.get()
            self._heartbeat.began(key)
            started = self._clock()
            try:
                await self._reconcile(key)
            finally:
                self._heartbeat.ended(key)
                self._metrics.reconcile_seconds.labels(key.kind).observe(self._clock() - started)

    async def _reconcile(self, key: Key) -> None:
        try:
            async with asyncio.timeout(self._settings.reconcile_timeout_seconds):
                result = await self._reconcilers[key.kind].reconcile(key)
        except LeaseLost:
            raise
        except Exception as error:
            self._failed(key, error)
        else:
            self._queue.done(key, result.requeue_after_seconds)

    def _failed(self, key: Key, error: Exception) -> None:
        delay = self._queue.failed(key)
        self._metrics.reconcile_errors.labels(key.kind, type(error).__name__).inc()
        if isinstance(error, Conflict):
            log.info("%s: changed while it was worked on, again in %.1f s (%s)", key, delay, error)
        elif isinstance(error, ClusterError):
            log.warning("%s: again in %.1f s: %s", key, delay, error)
        elif isinstance(error, TimeoutError):
            log.warning("%s: not done in %g s, again in %.1f s", key, self._settings.reconcile_timeout_seconds, delay)
        else:
            log.error("%s: again in %.1f s", key, delay, exc_info=error)


async def resync(cluster: Cluster, queue: KeyQueue, settings: Settings) -> NoReturn:
    """Puts every key in the queue each `resync_seconds`: the level under the watch's edges, which do the first round."""
    while True:
        await asyncio.sleep(settings.resync_seconds)
        try:
            for key in await all_keys(cluster, settings):
                queue.add(key)
        except ClusterError as error:
            log.warning("resync: %s", error)


async def all_keys(cluster: Cluster, settings: Settings) -> list[Key]:
    """Every ModelVersion and ModelDeployment in the namespaces that are watched."""
    namespaces: tuple[str | None, ...] = settings.watch_namespaces or (None,)
    return [
        Key(kind, item["metadata"]["namespace"], item["metadata"]["name"])
        for kind in ("ModelVersion", "ModelDeployment")
        for namespace in namespaces
        for item in await cluster.list(kind, namespace, cached=True)
    ]
