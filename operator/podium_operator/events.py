"""Kubernetes Events: what a person wants to know that happened. Repeats become one Event with a count.

Best effort: an Event that cannot be written is logged, and never fails the reconcile that wanted to tell.
"""

import logging
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from podium_operator.cluster import Cluster
from podium_operator.conditions import micro_time
from podium_operator.errors import ClusterError, NotFound
from podium_operator.kinds import Manifest

EventType = Literal["Normal", "Warning"]

log = logging.getLogger(__name__)

_REPEAT_SECONDS = 300.0
"""A repeat within this time is only counted; it is written with the next one after it."""
_MAX_KNOWN = 2_000
_MAX_NOTE = 1024


@dataclass
class _Sent:
    namespace: str
    name: str
    count: int
    written_at: float


class Events:
    """`record` is called where something happened, on a transition; it is not a log."""

    def __init__(self, cluster: Cluster, reporter: str, now: Callable[[], datetime], clock: Callable[[], float]) -> None:
        self._cluster = cluster
        self._reporter = reporter
        self._now = now
        self._clock = clock
        self._sent: OrderedDict[tuple[str, str, str], _Sent] = OrderedDict()

    async def record(
        self,
        regarding: Manifest,
        reason: str,
        message: str,
        type_: EventType = "Normal",
        action: str = "Reconcile",
    ) -> None:
        """`reason` and `action`: one CamelCase word; `message`: a sentence."""
        key = (regarding["metadata"]["uid"], reason, message)
        try:
            if (sent := self._sent.get(key)) is None:
                await self._first(key, regarding, reason, message, type_, action)
            else:
                await self._again(key, sent)
        except ClusterError as error:
            log.warning("event %s was not recorded: %s", reason, error)

    async def _first(
        self, key: tuple[str, str, str], regarding: Manifest, reason: str, message: str, type_: str, action: str
    ) -> None:
        metadata = regarding["metadata"]
        name = f"{metadata['name'][:200]}.{secrets.token_hex(8)}"
        await self._cluster.create(
            {
                "apiVersion": "events.k8s.io/v1",
                "kind": "Event",
                "metadata": {"name": name, "namespace": metadata["namespace"]},
                "eventTime": micro_time(self._now()),
                "reportingController": "podium.dev/operator",
                "reportingInstance": self._reporter[:128],
                "action": action,
                "reason": reason,
                "note": message[:_MAX_NOTE],
                "type": type_,
                "regarding": {
                    "apiVersion": regarding["apiVersion"],
                    "kind": regarding["kind"],
                    "namespace": metadata["namespace"],
                    "name": metadata["name"],
                    "uid": metadata["uid"],
                },
            }
        )
        self._sent[key] = _Sent(metadata["namespace"], name, 1, self._clock())
        while len(self._sent) > _MAX_KNOWN:
            self._sent.popitem(last=False)

    async def _again(self, key: tuple[str, str, str], sent: _Sent) -> None:
        sent.count += 1
        if self._clock() - sent.written_at < _REPEAT_SECONDS:
            return
        series = {"count": sent.count, "lastObservedTime": micro_time(self._now())}
        try:
            await self._cluster.patch("Event", sent.namespace, sent.name, {"series": series})
            sent.written_at = self._clock()
        except NotFound:  # Events expire; the next one is a first one again
            del self._sent[key]
