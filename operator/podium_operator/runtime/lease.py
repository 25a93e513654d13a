"""Who leads: one Lease, taken by compare and swap, kept by renewing, and a fence that stops a leader who lost it.

Own, because the client library's elector measures by the wall clock, sends requests without a deadline and goes on when the
leading task dies. Here durations are monotonic: a process that was frozen finds at its next write, or its next turn of the
renewal loop, that its time is over, and ends. Rule of the margin: the holder stops `lease_renew_seconds` after the start of
its last good renewal, others take over `lease_seconds` after they last saw the record change, which is later.
"""

import asyncio
import logging
import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NoReturn

from podium_operator.cluster import Cluster
from podium_operator.conditions import micro_time
from podium_operator.errors import ClusterError, Conflict
from podium_operator.kinds import KINDS, Manifest
from podium_operator.runtime.queue import Clock
from podium_operator.settings import Settings

log = logging.getLogger(__name__)

_TERM_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class Lease:
    """`acquire`, then `hold` for as long as this process leads. `on_lost` must not return: it ends the process."""

    def __init__(
        self,
        cluster: Cluster,
        settings: Settings,
        identity: str,
        *,
        clock: Clock,
        now: Callable[[], datetime],
        on_lost: Callable[[str], NoReturn],
    ) -> None:
        """`cluster` must be one without a fence: the fence asks this very object."""
        self.identity = identity
        self.in_contact = False
        """Whether the Lease could be read at all: what /readyz tells."""
        self._cluster = cluster
        self._settings = settings
        self._clock = clock
        self._now = now
        self._on_lost = on_lost
        self._held: Manifest | None = None
        self._renewed_at = -math.inf
        self._observed: tuple[str, float] = ("", -math.inf)

    async def acquire(self) -> int:
        """Waits until this process leads; the term. Terms only grow, even when somebody deletes the Lease."""
        while True:
            try:
                if await self._try_to_take():
                    return self.term
            except ClusterError as error:
                log.warning("the Lease cannot be read or taken: %s", error)
            await asyncio.sleep(self._settings.lease_retry_seconds)

    @property
    def term(self) -> int:
        assert self._held is not None, "only a holder has a term"
        return int(self._held["spec"].get("leaseTransitions", 0)) + 1

    async def hold(self) -> NoReturn:
        """Renews for as long as that works; then `on_lost`."""
        while True:
            await asyncio.sleep(self._settings.lease_retry_seconds)
            self.fence()
            try:
                await self._renew()
            except Conflict:
                await self._after_conflict()
            except ClusterError as error:
                log.warning("the Lease was not renewed: %s", error)

    def fence(self) -> None:
        """Returns only while no other process can be leading."""
        silent = self._clock() - self._renewed_at
        if silent > self._settings.lease_renew_seconds:
            allowed = self._settings.lease_renew_seconds
            self._on_lost(f"the Lease was last renewed {silent:.1f} s ago, allowed are {allowed:g} s")

    async def release(self) -> None:
        """Lets the next one lead at once. Call when nothing is in work any more."""
        if self._held is None:
            return
        held, self._held, self._renewed_at = self._held, None, -math.inf
        try:
            await self._cluster.replace({**held, "spec": {**held["spec"], "holderIdentity": "", "leaseDurationSeconds": 1}})
        except ClusterError as error:
            log.warning("the Lease was not released, others wait until it lapses: %s", error)

    async def _try_to_take(self) -> bool:
        started = self._clock()
        record = await self._cluster.get("Lease", self._settings.namespace, self._settings.lease_name)
        self.in_contact = True
        if record is None:
            record = self._new_record()
            taken = await self._cluster.create(record)
        elif self._is_free(record, started):
            taken = await self._cluster.replace(claimed(record, self.identity, self._settings.lease_seconds, self._now()))
        else:
            return False
        self._held, self._renewed_at = taken, started
        return True

    def _new_record(self) -> Manifest:
        metadata = {"name": self._settings.lease_name, "namespace": self._settings.namespace}
        record = {"apiVersion": KINDS["Lease"].api_version, "kind": "Lease", "metadata": metadata, "spec": {}}
        record["spec"] = {"leaseTransitions": first_transitions(self._now())}
        return claimed(record, self.identity, self._settings.lease_seconds, self._now(), first=True)

    def _is_free(self, record: Manifest, at: float) -> bool:
        """By our own clock: free when the record has not changed for as long as its holder promised to renew it."""
        if self._observed[0] != (version := record["metadata"]["resourceVersion"]):
            self._observed = (version, at)
        spec = record["spec"]
        promised = float(spec.get("leaseDurationSeconds") or self._settings.lease_seconds)
        return not spec.get("holderIdentity") or at - self._observed[1] > promised

    async def _renew(self) -> None:
        assert self._held is not None, "only a holder renews"
        started = self._clock()
        renewed = {**self._held, "spec": {**self._held["spec"], "renewTime": micro_time(self._now())}}
        self._held = await self._cluster.replace(renewed)
        self._renewed_at = started

    async def _after_conflict(self) -> None:
        """An earlier renewal whose answer was lost looks like a conflict too: read who holds it."""
        try:
            record = await self._cluster.get("Lease", self._settings.namespace, self._settings.lease_name)
        except ClusterError as error:
            log.warning("the Lease cannot be read: %s", error)
            return
        if record is None or record["spec"].get("holderIdentity") != self.identity:
            holder = record["spec"].get("holderIdentity") if record else "nobody: it was deleted"
            self._on_lost(f"the Lease is held by {holder}")
        self._held = record


def claimed(record: Manifest, identity: str, lease_seconds: float, now: datetime, *, first: bool = False) -> Manifest:
    """The record with this identity as the holder. Pure. Every taking but the first one is a transition."""
    transitions = int(record["spec"].get("leaseTransitions", 0)) + (0 if first else 1)
    spec = {
        "holderIdentity": identity,
        "leaseDurationSeconds": math.ceil(lease_seconds),
        "acquireTime": micro_time(now),
        "renewTime": micro_time(now),
        "leaseTransitions": transitions,
    }
    return {**record, "spec": spec}


def first_transitions(now: datetime) -> int:
    """Where a Lease without a past starts to count: seconds since 2026, which fit its 32 bits until 2094. A Lease that is
    deleted and made again must not give out terms that pods have seen before, and it never changes hands within a second."""
    return max(0, int((now - _TERM_EPOCH).total_seconds()))
