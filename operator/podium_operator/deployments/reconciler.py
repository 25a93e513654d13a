"""Reconcile of a ModelDeployment: observe, decide, act, look again, until there is nothing to do, or something to wait for.

A swap runs inside one reconcile, round by round, each on a fresh observation: so a changed manifest is seen at once, a crash
leaves nothing half done in memory, and no step waits in the queue.
"""

import asyncio
from base64 import b64decode
from dataclasses import replace

from podium_crds.evidence import monitor_token
from podium_crds.plan import SigningKey
from podium_crds.v1alpha1.model_deployment import ModelDeploymentStatus, TrafficShare
from podium_operator.conditions import RECONCILING, is_true
from podium_operator.deployments import figures, steps, swap
from podium_operator.deployments.acts import SwapActs
from podium_operator.deployments.appliers import ChildAppliers
from podium_operator.deployments.children import Installation, pool_wishes
from podium_operator.deployments.control import ControlClient
from podium_operator.deployments.last_swap import last_swap
from podium_operator.deployments.memory import Memory
from podium_operator.deployments.monitor import MonitorReader
from podium_operator.deployments.observed import Observed
from podium_operator.deployments.observer import Observer
from podium_operator.deployments.pools import Room, running_room, wished_room
from podium_operator.deployments.scrape import Scraper
from podium_operator.deployments.status import Outcome, announcement, status_for
from podium_operator.deployments.steps import Sealed, Step, SwapSeen
from podium_operator.deployments.telling import events
from podium_operator.deployments.traffic import shown
from podium_operator.deployments.turns import Turns
from podium_operator.deployments.wish import Wish, WishInput, wants_move, wish
from podium_operator.errors import Conflict
from podium_operator.kinds import Key, Manifest
from podium_operator.manifests.pods import CONTAINER, Surroundings
from podium_operator.manifests.secret import TOKEN
from podium_operator.runtime.context import Context, Result

ROUNDS_SECONDS = 20.0
"""A reconcile gives its worker back after so long; the swap goes on in the next one."""
_TRAFFIC_SECONDS = 60.0
_TURN_POLL_SECONDS = 15.0


class DeploymentReconciler:
    """One per leader."""

    def __init__(self, context: Context) -> None:
        settings, key = context.settings, SigningKey(context.signing_key)
        self._context = context
        self._control = ControlClient(key, context.fence, context.now)
        self._observer = Observer(context.cluster, self._control)
        self._acts = SwapActs(context, self._control)
        installation = Installation(
            surroundings=Surroundings((key.public,), settings.insecure_registries),
            operator_namespace=settings.namespace,
            collector_url=settings.collector_url,
            secret_root=b64decode(key.to_text()),
            collector_key=context.collector_key,
        )
        self._appliers = ChildAppliers(context, self._control, installation)
        self._scraper = Scraper(context.cluster, context.metrics, settings.watch_namespaces, context.clock)
        self._monitor = MonitorReader(
            settings.monitor_url,
            monitor_token(context.collector_key),
            context.metrics,
            context.clock,
            settings.evidence_seconds,
        )
        self._memories: dict[Key, Memory] = {}
        self._turns = Turns()
        self._traffic_written: dict[Key, float] = {}
        self._traffic_shown: dict[Key, list[TrafficShare]] = {}
        self._serving: dict[Key, frozenset[str]] = {}

    async def run(self) -> None:
        """Scrapes pods and asks the monitor, until cancelled; a reconcile follows where status has something new to show."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._scraper.run(self._notice_traffic), name="scrape")
                group.create_task(self._monitor.run(self._context.queue.add), name="monitor")
        finally:
            await self._control.close()

    async def reconcile(self, key: Key) -> Result:
        memory = self._memories.setdefault(key, Memory())
        ends = self._context.clock() + ROUNDS_SECONDS
        before: Step = steps.Settled()
        while True:
            seen = await self._observer.observe(key)
            if seen is None:
                self._forget(key)
                return Result()
            if seen.status.observed_generation != seen.generation:
                seen = await self._announce(seen)
            memory.note(seen, self._context.clock())
            seen = replace(seen, confirmed=memory.confirmed_on(seen.committed))
            asked = self._with_turn(key, self._wish_input(seen, memory))
            wished = wish(asked)
            records = await self._appliers.challenger_records(seen, wished)
            applied = await self._appliers.apply(seen, wished)
            await self._acts.help_starting(seen, records)
            going = await self._appliers.remove_unneeded(seen, wished)
            step = swap.next_step(await self._swap_seen(seen, wished, memory))
            if not isinstance(step, steps.Wait | steps.Settled) and self._context.clock() < ends:
                if type(step) is type(before):
                    # It did not help at once; what it waits for takes its time.
                    await asyncio.sleep(steps.POLL_SECONDS)
                await self._carry_out(step, seen, wished, memory)
                before = step
                continue
            if isinstance(step, steps.Settled):
                await self._acts.tidy_record(seen)
            outcome = Outcome(step, applied.problems, applied.conflict, rolls=applied.rolls)
            delay = await self._conclude(key, seen, wished, outcome, memory, going=going)
            if wants_move(asked):
                return Result(delay if asked.may_move else min(delay or _TURN_POLL_SECONDS, _TURN_POLL_SECONDS))
            if not going:
                self._turns.end(key)
            return Result(delay)

    def _forget(self, key: Key) -> None:
        for known in (self._memories, self._traffic_written, self._traffic_shown, self._serving):
            known.pop(key, None)
        self._turns.end(key)
        self._monitor.forget(key)
        figures.forget(self._context.metrics, key)

    async def _announce(self, seen: Observed) -> Observed:
        status = announcement(seen, self._context.now())
        written = await self._context.cluster.apply_status(seen.manifest, as_manifest(status))
        return replace(seen, manifest=written, status=status)

    async def _carry_out(self, step: Step, seen: Observed, wished: Wish, memory: Memory) -> None:
        try:
            await self._acts.carry_out(step, seen, wished, memory)
        except Conflict:
            # Somebody else wrote the record: another look tells who, and what is to be done now.
            return

    def _wish_input(self, seen: Observed, memory: Memory) -> WishInput:
        ready = {pod.pool for pod in seen.pods if pod.challenger and pod.ready and not pod.terminating}
        return WishInput(
            owner=seen.owner,
            spec=seen.spec,
            versions=seen.versions,
            committed=seen.committed,
            notes=seen.record.notes,
            ready_pools=frozenset(ready),
            rooms=rooms(seen),
            capture_url=self._context.settings.collector_url,
            failed=memory.failed,
        )

    def _with_turn(self, key: Key, found: WishInput) -> WishInput:
        return replace(found, may_move=wants_move(found) and self._turns.take(key, self._context.clock()))

    async def _swap_seen(self, seen: Observed, wished: Wish, memory: Memory) -> SwapSeen:
        now = self._context.clock()
        record = seen.record
        found = SwapSeen(
            term=self._context.term,
            committed=record.committed,
            pending=record.pending,
            highest_epoch=max(record.notes.highest_epoch, seen.status.epoch or 0),
            wished=wished.plan,
            pods=memory.pods_seen(seen, now),
            pool_ready=is_pool_ready(seen, wished),
            unserved_seconds=memory.unserved_seconds(now),
            pending_seconds=memory.pending_seconds(record.pending, now),
            moving_seconds=seen.moving_seconds(self._context.now()),
        )
        if not swap.asks_peers(found):
            return found
        return replace(found, peers=await self._peers(seen))

    async def _peers(self, seen: Observed) -> Sealed | None:
        secret = seen.children.get(("Secret", seen.owner.child("serving")), {})
        token = b64decode((secret.get("data") or {}).get(TOKEN, "")).decode()
        return await self._observer.highest_peer_commit(seen, token)

    async def _conclude(
        self, key: Key, seen: Observed, wished: Wish, outcome: Outcome, memory: Memory, *, going: bool
    ) -> float | None:
        """Writes status and tells what happened. When to look again, in seconds."""
        now = self._context.now()
        newest = seen.status.last_swap
        if seen.committed is not None and isinstance(outcome.step, steps.Settled):
            newest = last_swap(seen.record.notes, seen.committed.champion.version.name, memory.flips.values(), newest)
        monitored = self._monitor.monitored(key, seen.owner.uid, captured=seen.spec.capture.percent > 0)
        outcome = replace(outcome, last_swap=newest, traffic=tuple(self._traffic(key, seen)), monitored=monitored)
        status = status_for(seen, wished, outcome, now)
        figures.show(self._context.metrics, key, status)
        refused = wished.refusal is not None and seen.committed is not None
        for told in events(seen.status, status, champion_refused=refused):
            await self._context.events.record(seen.manifest, told.reason, told.message, told.type, told.action)
        await self._context.cluster.apply_status(seen.manifest, as_manifest(status))
        unsettled = going or is_true(status.conditions, RECONCILING)
        delay = memory.look_again_seconds(self._context.clock(), unsettled=unsettled)
        return delay if isinstance(outcome.step, steps.Wait | steps.Settled) else 0.0

    def _traffic(self, key: Key, seen: Observed) -> list[TrafficShare]:
        """At most once a minute something new."""
        before, now = seen.status.traffic, self._context.clock()
        self._serving[key] = serving = serving_versions(seen)
        written = self._traffic_written.get(key, -_TRAFFIC_SECONDS)
        found = shown(before, self._scraper.traffic(key), serving) if now - written >= _TRAFFIC_SECONDS else before
        self._traffic_shown[key] = found
        if found != before:
            self._traffic_written[key] = now
        return found

    def _notice_traffic(self, key: Key) -> None:
        """After a scrape: a reconcile only where status would say something new."""
        before, written = self._traffic_shown.get(key), self._traffic_written.get(key, -_TRAFFIC_SECONDS)
        if before is None or self._context.clock() - written < _TRAFFIC_SECONDS:
            return
        if shown(before, self._scraper.traffic(key), self._serving[key]) != before:
            self._context.queue.add(key)


def as_manifest(status: ModelDeploymentStatus) -> Manifest:
    """As it goes to the API server; equal status gives equal manifests.

    Empty lists stay out: where items were before, server-side apply stores no list in place of an empty one.
    """
    found = status.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {name: value for name, value in found.items() if value != []}


def serving_versions(seen: Observed) -> frozenset[str]:
    """Names of the versions that the committed plan sends clients' requests to."""
    plan = seen.committed
    return frozenset({plan.champion.version.name, *(route.version.name for route in plan.routes)}) if plan else frozenset()


def is_pool_ready(seen: Observed, wished: Wish) -> bool:
    """Whether the wished champion's pool can take over. The pool in use can always."""
    if wished.plan is None or seen.committed is None or wished.plan.champion.pool == seen.committed.champion.pool:
        return True
    pool = seen.pools.get(wished.plan.champion.pool)
    return pool is not None and pool.current and pool.replicas >= pool_wishes(seen, wished)[pool.id].replicas


def rooms(seen: Observed) -> tuple[Room, ...]:
    """Of champion pods: as wished, and as the running ones have it."""
    running = [
        running_room(container)
        for pod in seen.champion_pods
        for container in pod.manifest["spec"]["containers"]
        if container["name"] == CONTAINER
    ]
    return (wished_room(seen.spec.serving), *running)
