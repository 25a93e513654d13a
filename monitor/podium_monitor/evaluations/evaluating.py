"""One deployment, evaluated: summaries brought up to date, the document assembled and kept. What the evaluator runs."""

import hashlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import msgspec

from podium_crds.evidence import DeploymentEvidence
from podium_evaluation.documents import (
    DOCUMENT_FORMAT,
    Arm,
    DeploymentEvaluation,
    Window,
    evaluation_path,
    with_outlines,
)
from podium_monitor.evaluations.assembling import Assembly, changed_dates, digests_of
from podium_monitor.evaluations.engine import Lake, Update
from podium_monitor.evaluations.explaining import explained
from podium_monitor.evaluations.keeping import week_of
from podium_monitor.evaluations.measuring import Measuring, wishes
from podium_monitor.evaluations.parts import Parts
from podium_monitor.evaluations.reading import outlined, part
from podium_monitor.evaluations.timeline import timeline_of
from podium_monitor.lake.store import Store
from podium_monitor.world import Watched

_BYTES_OF_KEY = 64
"""While labels are matched with it: its hash among others, sorted, and its hour."""
REFERENCE_BYTES = 256 * 1024 * 1024
_SECONDS = 60.0
"""Of reading hours for one deployment in one round: others get their turn."""
_SAY_AGAIN_SECONDS = 300.0
"""A document in which nothing changed is written again after this, so that its time shows that it was looked at."""


class Evaluations:
    """For one thread at a time."""

    def __init__(
        self,
        store: Store,
        days: int,
        threads: int,
        memory_bytes: int,
        reference_bytes: int = REFERENCE_BYTES,
        evidence_of: Callable[[str, str], DeploymentEvidence | None] = lambda _namespace, _name: None,
    ) -> None:
        """`memory_bytes`: of join keys; `reference_bytes`: of what versions are measured by, remembered from round to round.
        `evidence_of` is asked for verdicts, by namespace and name: they stand in the timeline."""
        self._store, self._days, self._evidence_of = store, days, evidence_of
        self.stopping: Callable[[], bool] = lambda: False
        """Asked between two hours."""
        self._pool = ThreadPoolExecutor(threads, "counting")
        self._most_keys = memory_bytes // _BYTES_OF_KEY
        self._measuring = Measuring(store, reference_bytes)
        self._listed: set[tuple[str, str]] = set()
        """Deployments of which all dates were listed since the process began: who knows what happened before."""

    def close(self) -> None:
        self._pool.shutdown()

    def evaluate(self, watched: Watched, now: datetime | None = None) -> DeploymentEvaluation | None:
        """The deployment's newest document, with outlines of its days (`reading.latest` has them whole). None: nothing was
        ever captured of it. Raises OSError when the store fails."""
        at, place = now or datetime.now(UTC), (watched.namespace, watched.name)
        lake = Lake(self._store, self._pool, self._days, self._most_keys)
        update = Update(lake, *place, lambda digest: self._measuring.of(watched, digest).subject, at)
        update.run(self.stopping, _SECONDS, everything=place not in self._listed)
        self._listed.add(place)
        previous = outlined(self._store, *place)
        seen = digests_of(update.states.head.hours)
        if not seen and previous is None:
            return None
        judged_by = hashlib.sha256(wishes(watched).encode()).hexdigest()[:16]
        if previous is not None and (previous.judged_by != judged_by or previous.uid != watched.uid):
            previous = None
        is_as_it_was = previous is not None and seen == previous.seen
        if previous is not None and is_as_it_was and (at - previous.evaluated_at).total_seconds() < _SAY_AGAIN_SECONDS:
            return previous
        parts = Parts(self._store, *place, previous.parts if previous else {})
        if previous is not None and is_as_it_was and parts.are_there():
            document = msgspec.structs.replace(previous, evaluated_at=at)
            document.timeline = timeline_of(document, self._evidence(watched))
        else:
            kept = previous if parts.are_there() else None
            document = self._document(watched, update, kept, seen, at)
            document.judged_by = judged_by
        document.diagnosis = [*update.troubles, *(one for one in document.diagnosis if one not in update.troubles)]
        self._store.replace(evaluation_path(*place), msgspec.json.encode(document))
        parts.clean(document.parts)
        return document

    def _document(
        self,
        watched: Watched,
        update: Update,
        previous: DeploymentEvaluation | None,
        seen: Mapping[str, int],
        at: datetime,
    ) -> DeploymentEvaluation:
        """Its parts are durable, it is not."""
        before = previous.seen if previous else {}
        changed = {name for name in {*seen, *before} if seen.get(name) != before.get(name)}
        assembly = Assembly(
            watched.spec,
            lambda digest: self._measuring.of(watched, digest),
            update.keeper.summary,
            update.states.summarized(),
            changed,
            previous,
        )
        found = assembly.assembled()
        document = DeploymentEvaluation(watched.namespace, watched.name, watched.uid, at, arms=found.arms)
        document.format, document.seen = DOCUMENT_FORMAT, dict(seen)
        parts = Parts(self._store, watched.namespace, watched.name, previous.parts if previous else {})
        document.parts = parts.put(found.arms, found.dates, found.computed, changed_dates(changed))
        explained(
            document,
            watched.spec,
            found,
            lambda digest: self._measuring.of(watched, digest).subject,
            lambda arm, day: self._whole(document, arm, day),
        )
        for arm in document.arms:
            if arm.days and not self._has_whole(found.computed, previous, arm):
                arm.days[-1] = self._whole(document, arm, arm.days[-1])
        document.timeline = timeline_of(document, self._evidence(watched))
        return with_outlines(document)

    def _has_whole(self, computed: set[str], previous: DeploymentEvaluation | None, arm: Arm) -> bool:
        """Its newest day: made now, or the newest in the head of before, too."""
        newest = arm.days[-1].start
        before = (one for one in (previous.arms if previous else ()) if one.days and one.days[-1].start == newest)
        same = any((one.role, one.name, one.version, one.digest) == _place(arm) for one in before)
        return same or f"{newest:%Y-%m-%d}" in computed

    def _whole(self, document: DeploymentEvaluation, arm: Arm, day: Window) -> Window:
        date = f"{day.start:%Y-%m-%d}"
        for one in part(self._store, document, week_of(date))[date]:
            if (one.role, one.name, one.version, one.digest) == _place(arm):
                return one.window
        return day

    def _evidence(self, watched: Watched) -> DeploymentEvidence | None:
        """As it was told last; of a deployment of this name that was deleted, none."""
        found = self._evidence_of(watched.namespace, watched.name)
        return found if found is not None and found.uid == watched.uid else None


def _place(arm: Arm) -> tuple[str, str, str, str]:
    return arm.role, arm.name, arm.version, arm.digest
