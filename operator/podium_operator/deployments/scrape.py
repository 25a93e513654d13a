"""Scrapes the pods' own /metrics: a rollout needs no Prometheus. Figures go to the operator's metrics and to status.

One list of pods per round for all deployments. A round that takes longer than its interval delays the next one; nothing
piles up.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Sequence

import aiohttp

from podium_crds.names import CONTROL_PORT, LABEL_DEPLOYMENT, LABEL_MANAGED_BY, LABEL_ROLE, MANAGED_BY
from podium_crds.v1alpha1.model_deployment import TrafficShare
from podium_operator.cluster import Cluster
from podium_operator.deployments.addresses import url_host
from podium_operator.deployments.bounded import bounded_body
from podium_operator.deployments.traffic import Arm, ArmFigures, Observation, Page, read_page, shares
from podium_operator.errors import ClusterError
from podium_operator.kinds import Key, Manifest
from podium_operator.runtime.metrics import Metrics

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 15.0
_PAGE_SECONDS = 3.0
_AT_ONCE = 20
_MOST_PAGE_BYTES = 16 * 2**20
"""256 label sets of six histograms with 103 buckets are below this."""


class Scraper:
    """`run` in the leader; `traffic` any time."""

    def __init__(self, cluster: Cluster, metrics: Metrics, namespaces: Sequence[str], clock: Callable[[], float]) -> None:
        self._cluster = cluster
        self._metrics = metrics
        self._namespaces = namespaces
        self._clock = clock
        self._observations: dict[Key, Observation] = {}
        self._told: dict[Key, set[Arm]] = {}

    async def run(self, notice: Callable[[Key], None]) -> None:
        """Until cancelled. `notice` is called for each deployment that was looked at."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_PAGE_SECONDS), trust_env=False) as session:
            while True:
                started = self._clock()
                try:
                    for key in await self.round(session):
                        notice(key)
                except ClusterError as error:
                    log.warning("no pods were scraped: %s", error)
                await asyncio.sleep(max(1.0, INTERVAL_SECONDS - (self._clock() - started)))

    async def round(self, session: aiohttp.ClientSession) -> list[Key]:
        """One round over all scoring pods. Raises ClusterError."""
        pods = [pod for pod in await self._pods() if pod.get("status", {}).get("podIP")]
        limit = asyncio.Semaphore(_AT_ONCE)
        pages = await asyncio.gather(*(self._page(session, limit, pod) for pod in pods))
        by_key: dict[Key, dict[str, Page | None]] = defaultdict(dict)
        for pod, page in zip(pods, pages, strict=True):
            by_key[_key(pod)][pod["metadata"]["uid"]] = page
        now = self._clock()
        for key in self._observations.keys() - by_key.keys():
            self._forget(key)
        for key, found in by_key.items():
            observation = self._observations.setdefault(key, Observation())
            observation.take({uid: page for uid, page in found.items() if page is not None}, found, now)
            self._tell(key, observation.figures())
        return list(by_key)

    def traffic(self, key: Key) -> list[TrafficShare]:
        """Shares of the last minute. Empty: no requests, or not looked yet."""
        found = self._observations.get(key)
        return shares(found.figures()) if found else []

    async def _pods(self) -> list[Manifest]:
        labels = {LABEL_MANAGED_BY: MANAGED_BY}
        lists = [
            await self._cluster.list("Pod", namespace, labels, cached=True) for namespace in (self._namespaces or (None,))
        ]
        return [pod for pods in lists for pod in pods if LABEL_ROLE in pod["metadata"]["labels"]]

    async def _page(self, session: aiohttp.ClientSession, limit: asyncio.Semaphore, pod: Manifest) -> Page | None:
        """None: it did not answer. It is scraped again in the next round; its counters lose nothing."""
        address = pod["status"]["podIP"]
        host = url_host(address)
        try:
            # User code runs in pods: none may send this request on to where only the operator can reach.
            async with limit, session.get(f"http://{host}:{CONTROL_PORT}/metrics", allow_redirects=False) as response:
                if response.status != 200:
                    return None
                return read_page((await bounded_body(response, _MOST_PAGE_BYTES)).decode())
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            log.debug("pod %s was not scraped: %r", pod["metadata"]["name"], error)
            return None

    def _tell(self, key: Key, figures: dict[Arm, ArmFigures]) -> None:
        told = self._told.setdefault(key, set())
        for arm in told - figures.keys():
            self._untell(key, arm)
        self._told[key] = set(figures)
        total = sum(found.requests for arm, found in figures.items() if arm.role != "shadow")
        for arm, found in figures.items():
            labels = (key.namespace, key.name, arm.version, arm.role)
            self._metrics.traffic_ratio.labels(*labels).set(found.requests / total if total and arm.role != "shadow" else 0)
            self._metrics.version_requests_per_second.labels(*labels).set(found.per_second)
            self._metrics.version_error_ratio.labels(*labels).set(found.errors / found.requests if found.requests else 0)
            for quantile, seconds in (("0.5", found.p50_seconds), ("0.99", found.p99_seconds)):
                if seconds is not None:
                    self._metrics.version_latency_seconds.labels(*labels, quantile).set(seconds)

    def _forget(self, key: Key) -> None:
        for arm in self._told.pop(key, set()):
            self._untell(key, arm)
        self._observations.pop(key, None)

    def _untell(self, key: Key, arm: Arm) -> None:
        labels = (key.namespace, key.name, arm.version, arm.role)
        self._metrics.traffic_ratio.remove(*labels)
        self._metrics.version_requests_per_second.remove(*labels)
        self._metrics.version_error_ratio.remove(*labels)
        for quantile in ("0.5", "0.99"):
            self._metrics.version_latency_seconds.remove(*labels, quantile)


def _key(pod: Manifest) -> Key:
    return Key("ModelDeployment", pod["metadata"]["namespace"], pod["metadata"]["labels"].get(LABEL_DEPLOYMENT, ""))
