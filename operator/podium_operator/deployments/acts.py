"""Carries out the steps of a swap: writes of the record by compare-and-swap, messages to pods, deletion of a pod.

The order inside each act is the fence: the record first, the pods after it. An act that fails half way is not repaired here;
the next observation sees what is so.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from podium_crds.plan import ControlStatus, HeldPlan, Plan, RegistryCredential
from podium_operator.conditions import timestamp
from podium_operator.deployments import steps
from podium_operator.deployments.control import Answer, ControlClient
from podium_operator.deployments.credentials import credential_for
from podium_operator.deployments.memory import Memory
from podium_operator.deployments.observed import Observed, PodListed
from podium_operator.deployments.pools import memory_limit_bytes
from podium_operator.deployments.steps import PodSeen, Sealed, Step
from podium_operator.deployments.wish import FailedPlan, Wish
from podium_operator.kinds import Manifest
from podium_operator.manifests.record import Notes, record_config_map
from podium_operator.runtime.context import Context

FIRST_REQUEST_SECONDS = 0.5
_FLIP_POLL_SECONDS = 0.05

Send = Callable[[PodListed], Awaitable[Answer]]


class SwapActs:
    """The effects of `swap.next_step`."""

    def __init__(self, context: Context, control: ControlClient) -> None:
        self._context = context
        self._control = control

    async def carry_out(self, step: Step, seen: Observed, wish: Wish, memory: Memory) -> None:
        """Raises ClusterError. `Wait` and `Settled` do nothing."""
        match step:
            case steps.Initialise(plan):
                await self._initialise(seen, wish, plan)
            case steps.Rebuild(commit):
                await self._rebuild(seen, commit)
            case steps.TakeBack():
                await self._take_back(seen, step, memory)
            case steps.AbortStray(stray):
                await self._abort_stray(seen, stray)
            case steps.Begin(plan):
                await self._begin(seen, plan)
            case steps.Prepare(plan, pods):
                await self._prepare(seen, plan, pods)
            case steps.Replace():
                await self._replace(seen, step)
            case steps.WriteCommit(plan):
                await self._write_commit(seen, wish, plan)
                await self._watch_flips(seen, plan, memory)
            case steps.SendCommit(commit, pods):
                await self._send_commit(seen, commit, pods)
            case steps.Wait() | steps.Settled():
                return

    async def _initialise(self, seen: Observed, wish: Wish, plan: Plan) -> None:
        notes = self._notes_of_swap(seen, wish, plan)
        await self._write(seen, self._control.seal(plan), None, notes)

    async def _rebuild(self, seen: Observed, commit: Sealed) -> None:
        notes = self._notes_rebuilt(seen, commit.plan)
        await self._write(seen, commit, None, notes)
        message = f"the record was gone or changed; it is again what the pods hold: epoch {commit.plan.epoch}"
        await self._context.events.record(seen.manifest, "RecordRebuilt", message, "Warning", "Repair")

    async def _begin(self, seen: Observed, plan: Plan) -> None:
        await self._write(seen, _committed(seen), plan, _used(seen.record.notes, plan.epoch))

    async def tidy_record(self, seen: Observed) -> None:
        """Labels, owner and pages of the record as we write them. Raises Conflict."""
        read, committed = seen.record.manifest, seen.record.committed
        if read is None or committed is None:
            return
        wanted = record_config_map(seen.owner, committed.envelope, seen.record.pending, seen.record.notes)
        if not is_tidy(read, wanted):
            await self._context.cluster.replace(_as_read(wanted, read))

    async def _take_back(self, seen: Observed, step: steps.TakeBack, memory: Memory) -> None:
        await self._write(seen, _committed(seen), None, _used(seen.record.notes, step.plan.epoch))
        if step.failure is not None:
            memory.fail(FailedPlan(step.plan, step.failure), seen.generation, self._context.clock())
        key, term = seen.owner.key, self._context.term
        await self._to(seen.champion_pods, lambda pod: self._control.abort(pod.address, pod.uid, key, term, step.plan))
        message = f"epoch {step.plan.epoch} was taken back: {step.message}"
        await self._context.events.record(
            seen.manifest, "SwapTakenBack", message, "Warning" if step.failure else "Normal", "Swap"
        )

    async def _abort_stray(self, seen: Observed, stray: Iterable[tuple[PodSeen, HeldPlan]]) -> None:
        held = {pod.uid: plan for pod, plan in stray}
        key, term = seen.owner.key, self._context.term
        await self._to(
            (pod for pod in seen.champion_pods if pod.uid in held),
            lambda pod: self._control.abort(pod.address, pod.uid, key, term, held[pod.uid]),
        )

    async def _prepare(self, seen: Observed, plan: Plan, pods: tuple[PodSeen, ...]) -> None:
        """Returns when each pod has answered: done, or not yet."""
        uids = {pod.uid for pod in pods}
        limit = memory_limit_bytes(seen.spec.serving.template)
        credential = await self._credential(seen, plan.champion.version.name)
        await self._to(
            (pod for pod in seen.champion_pods if pod.uid in uids),
            lambda pod: self._control.prepare(pod.address, pod.uid, plan, limit, credential),
        )

    async def _write_commit(self, seen: Observed, wish: Wish, plan: Plan) -> None:
        sealed = self._control.seal(plan)
        await self._write(seen, sealed, None, self._notes_of_swap(seen, wish, plan))
        await self._to(seen.champion_pods, lambda pod: self._control.commit(pod.address, pod.uid, sealed.envelope))
        await self._tell_routes(seen, plan)

    async def _watch_flips(self, seen: Observed, plan: Plan, memory: Memory) -> None:
        """A pod knows its first request under the new plan only once it came: a moment is waited for it, for the figures."""
        ends = self._context.clock() + FIRST_REQUEST_SECONDS
        while _changes_version(seen, plan) and self._context.clock() < ends:
            answers = await self._to(
                seen.champion_pods, lambda pod: self._control.inquire(pod.address, pod.uid, seen.owner.key)
            )
            flips = memory.note_flips(answers, plan.epoch)
            if len(flips) < len(answers) or all(flip.first_admitted_new is not None for flip in flips):
                return
            await asyncio.sleep(_FLIP_POLL_SECONDS)

    async def _send_commit(self, seen: Observed, commit: Sealed, pods: tuple[PodSeen, ...]) -> None:
        uids = {pod.uid for pod in pods}
        await self._give(seen, commit, [pod for pod in seen.champion_pods if pod.uid in uids])

    async def _replace(self, seen: Observed, step: steps.Replace) -> None:
        pod = next(pod for pod in seen.champion_pods if pod.uid == step.pod.uid)
        await self._context.cluster.delete(pod.manifest)
        message = f"pod {pod.name} is replaced: {step.reason}: {step.message}"
        await self._context.events.record(seen.manifest, "PodReplaced", message, "Warning", "Swap")

    async def help_starting(self, seen: Observed, records: dict[str, Sealed]) -> None:
        """Starting pods have no registry password of their own. Challengers' pods get their record's commit as well."""
        committed = seen.record.committed
        if committed is not None:
            starting = [pod for pod in seen.champion_pods if _is_starting(seen.status_of(pod))]
            await self._hand_credential(seen, committed.plan.champion.version.name, starting)
        for pool, commit in records.items():
            pods = [pod for pod in seen.pods if pod.pool == pool and _is_starting(seen.status_of(pod))]
            await self._give(seen, commit, pods)

    async def _give(self, seen: Observed, commit: Sealed, pods: list[PodListed]) -> None:
        """A committed plan, and what it takes to fetch it."""
        await self._hand_credential(seen, commit.plan.champion.version.name, pods)
        await self._to(pods, lambda pod: self._control.commit(pod.address, pod.uid, commit.envelope))

    async def _hand_credential(self, seen: Observed, version: str, pods: list[PodListed]) -> None:
        credential = await self._credential(seen, version) if pods else None
        if credential is not None:
            key = seen.owner.key
            await self._to(pods, lambda pod: self._control.hand_credential(pod.address, pod.uid, key, credential))

    async def _credential(self, seen: Observed, version: str) -> RegistryCredential | None:
        found = seen.versions.get(version)
        if found is None or not found.pull_secret:
            return None
        secret = await self._context.cluster.get("Secret", seen.owner.namespace, found.pull_secret)
        return credential_for(found.uri, secret)

    async def _to(self, pods: Iterable[PodListed], send: Send) -> list[Answer]:
        """To all at once: the flip is as wide as this is slow."""
        return await asyncio.gather(*(send(pod) for pod in pods if pod.address))

    async def _write(self, seen: Observed, commit: Sealed, pending: Plan | None, notes: Notes) -> None:
        """Raises Conflict when somebody else wrote since the record was read."""
        manifest = record_config_map(seen.owner, commit.envelope, pending, notes)
        if seen.record.manifest is None:
            await self._context.cluster.create(manifest)
        else:
            await self._context.cluster.replace(_as_read(manifest, seen.record.manifest))

    def _notes_of_swap(self, seen: Observed, wish: Wish, plan: Plan) -> Notes:
        """With another version than before a swap begins to count."""
        used = _used(seen.record.notes, plan.epoch)
        facts, before = wish.champion, seen.committed.champion.version if seen.committed else None
        now = timestamp(self._context.now())
        if not _changes_version(seen, plan):
            if seen.committed is None or seen.committed.champion.pool == plan.champion.pool:
                return used
            return used.model_copy(update={"pool_since": now, "contract": facts.contract if facts else 1})
        return Notes(
            highest_epoch=used.highest_epoch,
            since=now,
            pool_since=now,
            swap_epoch=plan.epoch,
            from_version=before.name if before else "",
            schema_digest=facts.schema_digest if facts else "",
            inputs=facts.inputs if facts else "",
            outputs=facts.outputs if facts else "",
            contract=facts.contract if facts else 1,
            peak_memory_bytes=facts.peak_memory_bytes if facts else 0,
        )

    def _notes_rebuilt(self, seen: Observed, plan: Plan) -> Notes:
        """From what stands elsewhere: the notes if they are of this champion, else status and the ModelVersion."""
        notes = _used(seen.record.notes, plan.epoch)
        if notes.since and (seen.committed is None or seen.committed.champion.version == plan.champion.version):
            return notes
        version, shown = plan.champion.version, seen.status.champion
        found = seen.versions.get(version.name)
        facts = found if found and found.digest == version.digest else None
        return Notes(
            highest_epoch=max(notes.highest_epoch, seen.status.epoch or 0),
            since=shown.since if shown and shown.digest == version.digest else timestamp(self._context.now()),
            schema_digest=facts.schema_digest if facts else "",
            inputs=facts.inputs if facts else "",
            outputs=facts.outputs if facts else "",
            contract=facts.contract if facts and facts.image == version.image else 1,
            peak_memory_bytes=facts.peak_memory_bytes if facts else 0,
        )

    async def _tell_routes(self, seen: Observed, plan: Plan) -> None:
        before = {route.name: route for route in seen.committed.routes} if seen.committed else {}
        after = {route.name: route for route in plan.routes}
        for name, route in after.items():
            if name not in before or before[name].version != route.version:
                message = f"challenger '{name}' joined with version '{route.version.name}' as {route.mode}"
                await self._context.events.record(seen.manifest, "ChallengerJoined", message, action="Route")
        for name in before.keys() - after.keys():
            message = f"challenger '{name}' gets no requests any more"
            await self._context.events.record(seen.manifest, "ChallengerLeft", message, action="Route")


def _changes_version(seen: Observed, plan: Plan) -> bool:
    before, after = seen.committed.champion.version if seen.committed else None, plan.champion.version
    return before is None or (before.name, before.digest) != (after.name, after.digest)


def _committed(seen: Observed) -> Sealed:
    assert seen.record.committed is not None  # the decision asks for this act only with a committed plan
    return seen.record.committed


def _is_starting(status: ControlStatus | None) -> bool:
    return status is not None and status.committed is None


def is_tidy(read: Manifest, wanted: Manifest) -> bool:
    labels, owners = read["metadata"].get("labels", {}), read["metadata"].get("ownerReferences", [])
    return bool(
        read.get("data") == wanted["data"]
        and wanted["metadata"]["labels"].items() <= labels.items()
        and owners == wanted["metadata"]["ownerReferences"]
    )


def _used(notes: Notes, epoch: int) -> Notes:
    return notes.model_copy(update={"highest_epoch": max(notes.highest_epoch, epoch)})


def _as_read(manifest: Manifest, read: Manifest) -> Manifest:
    """`manifest` in place of `read`, and of nothing else; other people's labels and annotations stay."""
    metadata = {**read["metadata"], **manifest["metadata"]}
    metadata["labels"] = {**read["metadata"].get("labels", {}), **manifest["metadata"]["labels"]}
    metadata.pop("managedFields", None)
    return {**manifest, "metadata": metadata}
