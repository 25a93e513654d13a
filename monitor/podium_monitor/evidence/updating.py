"""Evidence brought up to date from the lake, kept beside it, and read again. Blocking; one caller per deployment at a time.

Predictions are taken once, in order, when labels have had their time: what a step costs follows from what is new. A step
that is cut short by a crash is taken again from where the state that was written last stands.
"""

import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import duckdb
import msgspec
import numpy as np
from pydantic import ValidationError

from podium_crds.evidence import ChallengerEvidence, DeploymentEvidence, Finding
from podium_crds.v1alpha1.model_deployment import ModelDeploymentSpec
from podium_evaluation.documents import DeploymentEvaluation
from podium_evaluation.expressions import ExpressionError, parse
from podium_monitor.evaluations.subject import Outputs, outputs_of
from podium_monitor.evidence import standing
from podium_monitor.evidence.counted import Measure
from podium_monitor.evidence.counting import Keys, count
from podium_monitor.evidence.judging import told
from podium_monitor.evidence.ledger import Ledger, Trial, enrolled, questions
from podium_monitor.evidence.reading import Place, Window, connection, rows
from podium_monitor.evidence.standing import MAX_UNITS, State, begun
from podium_monitor.evidence.units import Rows
from podium_monitor.lake.reading import dates
from podium_monitor.lake.store import Store
from podium_monitor.references import reference_of
from podium_monitor.world import Watched

logger = logging.getLogger(__name__)

_SETTLE = timedelta(seconds=10)
"""What was received is in the lake by then."""
_STEP = timedelta(days=1)
"""Taken at a time, where there is much to take."""
_REST = 20
"""A step waits so many times as long as the one before took: evidence has a twentieth of a core at most."""
_BUDGET_SECONDS = 20.0
"""Of one update of one trial; the rest comes with the next."""
_QUIET = timedelta(hours=1)
_REWRITE_SECONDS = 300.0


class CannotMeasure(Exception):
    """Nothing of the trial can be counted yet. The text says why, and what would be right."""


def folder_of(namespace: str, deployment: str) -> str:
    return f"evidence/namespace={namespace}/deployment={deployment}"


def evidence_of(store: Store, namespace: str, deployment: str) -> DeploymentEvidence | None:
    """As it was told last. None: nothing was ever told of such a deployment. Raises OSError."""
    try:
        content = store.read(f"{folder_of(namespace, deployment)}/latest.json")
    except FileNotFoundError:
        return None
    try:
        return DeploymentEvidence.model_validate_json(content)
    except ValidationError:
        logger.warning("%s/%s: what was told last cannot be read; it is told anew", namespace, deployment)
        return None


def update(
    store: Store,
    watched: Watched,
    now: datetime,
    evaluation: DeploymentEvaluation | None = None,
    findings: Sequence[Finding] = (),
) -> DeploymentEvidence:
    """Takes what is new in the lake into the evidence of each challenger, and keeps what is told. Raises OSError."""
    at = _Place(store, watched.namespace, watched.name)
    before = at.ledger()
    ledger = enrolled(before, watched, now)
    if ledger != before and ledger.trials:
        at.keep_ledger(ledger)
    challengers = [
        _advanced(at, ledger, trial, watched, now)
        for question in questions(watched)
        if (trial := ledger.trial_of(question)) is not None
    ]
    evidence = DeploymentEvidence(
        namespace=watched.namespace,
        deployment=watched.name,
        uid=watched.uid,
        evaluated_at=now,
        labels=_labels(evaluation),
        label_coverage=evaluation.label_coverage if evaluation else None,
        challengers=challengers,
        findings=list(findings),
    )
    at.tell(evidence)
    return evidence


def recomputed(store: Store, watched: Watched, evidence: ChallengerEvidence) -> ChallengerEvidence:
    """The same evidence from the lake's rows alone, from the first prediction to the watermark: what an auditor compares
    with what was told. `watched` gives guardrails and settings as they are. Raises OSError, ValueError."""
    at = _Place(store, watched.namespace, watched.name)
    trial = msgspec.convert(evidence.data["trial"], Trial)
    until = datetime.fromisoformat(evidence.data["watermark"])
    measure = _measure(at, trial, watched)
    with connection() as base:
        state, _ = _take(base, at, trial, measure, begun(trial), Keys(), until, float("inf"))
    return told(trial, state, watched.spec, [])


def _labels(evaluation: DeploymentEvaluation | None) -> int:
    return sum(window.labelled for arm in evaluation.arms for window in arm.days) if evaluation else 0


@dataclass(frozen=True)
class _Place:
    """Where a deployment's evidence lies."""

    store: Store
    namespace: str
    deployment: str

    @property
    def folder(self) -> str:
        return folder_of(self.namespace, self.deployment)

    @property
    def key(self) -> tuple[str, str]:
        return self.namespace, self.deployment

    def ledger(self) -> Ledger | None:
        try:
            return msgspec.json.decode(self.store.read(f"{self.folder}/ledger.json"), type=Ledger)
        except FileNotFoundError:
            return None

    def keep_ledger(self, ledger: Ledger) -> None:
        self.store.replace(f"{self.folder}/ledger.json", msgspec.json.encode(ledger))

    def state(self, ledger: Ledger, trial: Trial) -> tuple[State, Keys]:
        try:
            state = standing.decoded(self.store.read(self._state_path(ledger, trial)))
        except FileNotFoundError:
            return begun(trial), Keys()
        except msgspec.DecodeError:
            logger.warning("%s/%s: trial %d cannot be read and is gathered anew from the lake", *self.key, trial.nth)
            return begun(trial), Keys()
        if not state.seen:
            return state, Keys()
        found = np.frombuffer(self.store.read(f"{self.folder}/{state.seen}"), dtype="<u8").astype(np.uint64)
        ripe = int(found[0]) + 1
        return state, Keys(found[1:ripe], found[ripe:])

    def keep(self, ledger: Ledger, trial: Trial, state: State, keys: Keys) -> None:
        """The keys first, under a new name: the state that names them is never without them."""
        before = state.seen
        if len(keys.ripe) or len(keys.valued):
            state.seen = f"seen-{trial.nth}-{state.watermark.timestamp():.6f}.keys"
            count_of_ripe = np.array([len(keys.ripe)], dtype=np.uint64)  # with a plain int numpy would make floats of all
            content = np.concatenate([count_of_ripe, keys.ripe, keys.valued]).astype("<u8").tobytes()
            self.store.replace(f"{self.folder}/{state.seen}", content)
        self.store.replace(self._state_path(ledger, trial), standing.encoded(state))
        if before and before != state.seen:
            self.store.delete(f"{self.folder}/{before}")

    def _state_path(self, ledger: Ledger, trial: Trial) -> str:
        """By the deployment's uid too: one of the same name that was made anew begins anew."""
        return f"{self.folder}/trial-{ledger.uid}-{trial.nth}.json"

    def tell(self, evidence: DeploymentEvidence) -> None:
        """Not when nothing is new: a file a minute for each of hundreds of quiet deployments is wear."""
        before = evidence_of(self.store, *self.key)
        if before is not None:
            same = before.model_copy(update={"evaluated_at": evidence.evaluated_at}) == evidence
            if same and (evidence.evaluated_at - before.evaluated_at).total_seconds() < _REWRITE_SECONDS:
                return
        self.store.replace(f"{self.folder}/latest.json", evidence.model_dump_json().encode())


def _advanced(at: _Place, ledger: Ledger, trial: Trial, watched: Watched, now: datetime) -> ChallengerEvidence:
    state, keys = at.state(ledger, trial)
    until, notes = now - _SETTLE, []
    if max(state.standing.running.units, len(keys.ripe)) >= MAX_UNITS:
        notes.append(f"{MAX_UNITS} units are counted; more are not")
    elif (until - state.watermark).total_seconds() >= _REST * state.cost_seconds:
        try:
            measure = _measure(at, trial, watched)
            with connection() as base:
                moved, keys = _take(base, at, trial, measure, state, keys, until, _BUDGET_SECONDS)
            # An hour in which nothing came is looked through again, and costs no write.
            if _says_more(moved, state) or moved.watermark - state.watermark >= _QUIET:
                at.keep(ledger, trial, moved, keys)
                state = moved
        except CannotMeasure as error:
            notes.append(str(error))
    return told(trial, state, watched.spec, notes)


def _says_more(moved: State, state: State) -> bool:
    return (moved.rows, moved.fingerprint) != (state.rows, state.fingerprint)


def _measure(at: _Place, trial: Trial, watched: Watched) -> Measure:
    """Raises CannotMeasure."""
    question, spec = trial.question, watched.spec
    try:
        expression = parse(question.expression) if question.metric == "Value" else None
    except ExpressionError as error:
        raise CannotMeasure(f"promotion.metric.expression cannot be read: {error}") from error
    found = []
    for digest in (question.champion_digest, question.digest):
        reference = reference_of(at.store, *at.key, digest)
        if reference is None and question.metric != "Value":
            raise CannotMeasure(
                f"no pod has brought the description of version {digest[:19]} yet: which output is compared with the "
                "label is not known, and nothing counts until it is"
            )
        found.append(outputs_of(spec, reference.descriptor if reference else None))
    _check_outputs(question.metric, spec, found)
    return Measure(found[0], found[1], expression, spec.promotion.guardrails)


def _check_outputs(metric: str, spec: ModelDeploymentSpec, found: Iterable[Outputs]) -> None:
    """Raises CannotMeasure where the metric and the package have nothing to do with each other."""
    for outputs in found:
        task = outputs.task
        numeric = metric in ("AbsoluteError", "SquaredError")
        if metric != "Value" and (task == "Unknown" or numeric != (task == "Regression")):
            fits = "a number" if numeric else "classes"
            said = spec.monitoring.prediction.output or "absent"
            raise CannotMeasure(
                f"promotion.metric.type {metric} needs an output with {fits}; the package's is {task} "
                f"(monitoring.prediction.output is {said})"
            )


def _take(
    base: duckdb.DuckDBPyConnection,
    at: _Place,
    trial: Trial,
    measure: Measure,
    state: State,
    keys: Keys,
    until: datetime,
    seconds: float,
) -> tuple[State, Keys]:
    """What became known up to `until` is counted, window by window, for so many seconds."""
    tables = Place(at.store, at.namespace, at.deployment)
    if not state.rows:
        days = dates(at.store, "predictions", *at.key)
        if not days:
            return state, keys
        first = datetime.fromisoformat(days[0]).replace(tzinfo=UTC)
        state = msgspec.structs.replace(state, watermark=max(state.watermark, first))
    started = time.monotonic()
    while state.watermark < until and time.monotonic() - started < seconds:
        window, began = Window(state.watermark, min(until, state.watermark + _STEP)), time.monotonic()
        moved, seen = msgspec.structs.replace(state), keys
        try:
            for part in rows(base, tables, trial, window, inputs=measure.needs_inputs):
                seen = count(moved, trial, measure, Rows(part), seen)
        except (FileNotFoundError, duckdb.IOException):
            logger.info("%s/%s: files of the lake were compacted while they were read; later again", *at.key)
            break
        moved.watermark, moved.cost_seconds = window.end, time.monotonic() - began
        state, keys = moved, seen
    return state, keys
