"""One deployment, evaluated: summaries brought up to date, the document assembled and kept. What the evaluator runs."""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import msgspec

from podium_crds.evidence import DeploymentEvidence
from podium_evaluation.documents import DeploymentEvaluation, evaluation_path
from podium_monitor.evaluations.assembling import Assembly
from podium_monitor.evaluations.engine import Lake, Update
from podium_monitor.evaluations.explaining import explained
from podium_monitor.evaluations.keeping import Keeper
from podium_monitor.evaluations.measuring import Measuring, wishes
from podium_monitor.evaluations.reading import latest
from podium_monitor.evaluations.timeline import timeline_of
from podium_monitor.lake.store import Store
from podium_monitor.world import Watched

_BYTES_OF_KEY = 64
"""While labels are matched with it: its hash among others, sorted, and its hour."""
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
        evidence_of: Callable[[str, str], DeploymentEvidence | None] = lambda _namespace, _name: None,
    ) -> None:
        """`evidence_of` is asked for verdicts, by namespace and name: they stand in the timeline."""
        self._store, self._days, self._evidence_of = store, days, evidence_of
        self.stopping: Callable[[], bool] = lambda: False
        """Asked between two hours."""
        self._pool = ThreadPoolExecutor(threads, "counting")
        self._most_keys = memory_bytes // _BYTES_OF_KEY
        self._measuring = Measuring(store)

    def close(self) -> None:
        self._pool.shutdown()

    def evaluate(self, watched: Watched, now: datetime | None = None) -> DeploymentEvaluation | None:
        """The deployment's newest document. None: nothing was ever captured of it. Raises OSError when the store fails."""
        at = now or datetime.now(UTC)
        lake = Lake(self._store, self._pool, self._days, self._most_keys)
        update = Update(lake, watched.namespace, watched.name, lambda digest: self._measuring.of(watched, digest).subject)
        changed = update.run(at, self.stopping, _SECONDS)
        previous = latest(self._store, watched.namespace, watched.name)
        judged_by = hashlib.sha256(wishes(watched).encode()).hexdigest()[:16]
        everything = previous is None or previous.judged_by != judged_by or previous.uid != watched.uid
        hours = sorted(hour for hour, state in update.state.hours.items() if state.revision)
        if not hours and previous is None:
            return None
        if not changed and not everything and previous is not None:
            if (at - previous.evaluated_at).total_seconds() < _SAY_AGAIN_SECONDS:
                return previous
            document = msgspec.structs.replace(previous, evaluated_at=at)
            document.timeline = timeline_of(document, self._evidence(watched))
        else:
            kept = None if everything else previous
            document = self._document(watched, update.keeper, hours, set(hours) if everything else changed, kept, at)
            document.judged_by = judged_by
        document.diagnosis = [*update.troubles, *(one for one in document.diagnosis if one not in update.troubles)]
        self._store.replace(evaluation_path(watched.namespace, watched.name), msgspec.json.encode(document))
        return document

    def _document(
        self,
        watched: Watched,
        keeper: Keeper,
        hours: list[str],
        changed: set[str],
        previous: DeploymentEvaluation | None,
        at: datetime,
    ) -> DeploymentEvaluation:
        assembly = Assembly(
            watched.spec,
            lambda digest: self._measuring.of(watched, digest),
            keeper.summary,
            hours,
            changed,
            previous,
        )
        found = assembly.assembled()
        document = DeploymentEvaluation(watched.namespace, watched.name, watched.uid, at, arms=found.arms)
        explained(document, watched.spec, found, lambda digest: self._measuring.of(watched, digest).subject)
        document.timeline = timeline_of(document, self._evidence(watched))
        return document

    def _evidence(self, watched: Watched) -> DeploymentEvidence | None:
        """As it was told last; of a deployment of this name that was deleted, none."""
        found = self._evidence_of(watched.namespace, watched.name)
        return found if found is not None and found.uid == watched.uid else None
