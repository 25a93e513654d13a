"""Evidence brought up to date from the lake, kept beside it, and read again. Blocking; one caller per deployment at a time.

Predictions are taken once, in order, when labels have had their time: what a step costs follows from what is new. A step
that is cut short by a crash is taken again from where the state that was written last stands.
"""

import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import duckdb
import msgspec
import numpy as np
from pydantic import ValidationError

from podium_crds.evidence import ChallengerEvidence, DeploymentEvidence, Finding
from podium_crds.v1alpha1.model_deployment import ModelDeploymentSpec
from podium_evaluation.expressions import ExpressionError, parse
from podium_monitor.evaluations.documents import DeploymentEvaluation
from podium_monitor.evaluations.subject import Outputs, outputs_of
from podium_monitor.evidence import standing
from podium_monitor.evidence.counted import Measure
from podium_monitor.evidence.counting import NO_KEYS, count
from podium_monitor.evidence.judging import told
from podium_monitor.evidence.ledger import Ledger, Trial, enrolled, questions, splits_of
from podium_monitor.evidence.reading import connection, packs, rows, wait_of
from podium_monitor.evidence.standing import MAX_UNITS, State, begun
from podium_monitor.evidence.units import Hashes, Rows
from podium_monitor.lake.store import Store
from podium_monitor.references import reference_of
from podium_monitor.world import Watched

logger = logging.getLogger(__name__)

_STEP_SHARE = 50
_LONGEST_STEP = timedelta(hours=1)
"""A step waits until a fiftieth of the horizon is new, or an hour: each reads the labels of a whole horizon."""
_BUDGET_SECONDS = 20.0
"""Of one update of one trial; the rest comes with the next."""
_REWRITE_SECONDS = 300.0
_PART_ROWS = 50_000
"""Rows that are Python objects at a time: 100 MB or so."""


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
    if ledger != before and (ledger.trials or ledger.splits):
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
    """The same evidence from the lake's rows alone, taken at once from the first prediction to the watermark: what an
    auditor compares with what was told. `watched` gives guardrails and settings as they are. Raises OSError, ValueError."""
    at = _Place(store, watched.namespace, watched.name)
    trial = msgspec.convert(evidence.data["trial"], Trial)
    taken, until = (datetime.fromisoformat(evidence.data[name]) for name in ("taken_at", "watermark"))
    state = begun(trial)
    measure = _measure(at, at.ledger() or Ledger(watched.uid), trial, watched)
    with connection() as base:
        _take(base, at, trial, measure, state, NO_KEYS, until, taken, float("inf"))
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

    def state(self, ledger: Ledger, trial: Trial) -> tuple[State, Hashes]:
        try:
            state = standing.decoded(self.store.read(self._state_path(ledger, trial)))
        except FileNotFoundError:
            return begun(trial), NO_KEYS
        except msgspec.DecodeError:
            logger.warning("%s/%s: trial %d cannot be read and is gathered anew from the lake", *self.key, trial.nth)
            return begun(trial), NO_KEYS
        if not state.seen:
            return state, NO_KEYS
        return state, np.frombuffer(self.store.read(f"{self.folder}/{state.seen}"), dtype="<u8").astype(np.uint64)

    def keep(self, ledger: Ledger, trial: Trial, state: State, seen: Hashes) -> None:
        """The keys first, under a new name: the state that names them is never without them."""
        before = state.seen
        if len(seen):
            state.seen = f"seen-{trial.nth}-{state.watermark.timestamp():.0f}-{len(seen)}.keys"
            if state.seen != before:
                self.store.replace(f"{self.folder}/{state.seen}", seen.astype("<u8").tobytes())
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
    state, seen = at.state(ledger, trial)
    before = msgspec.structs.replace(state)  # its parts are never changed in place
    until, notes = now - wait_of(trial), []
    step = min(_LONGEST_STEP, wait_of(trial) / _STEP_SHARE)
    if state.standing.running.units >= MAX_UNITS or len(seen) >= MAX_UNITS:
        notes.append(f"{MAX_UNITS} units are counted; more are not")
    elif until - state.watermark >= step:
        try:
            measure = _measure(at, ledger, trial, watched)
            with connection() as base:
                seen = _take(base, at, trial, measure, state, seen, until, now, _BUDGET_SECONDS)
            if state.rows != before.rows or state.watermark - before.watermark >= _LONGEST_STEP:
                at.keep(ledger, trial, state, seen)
            else:
                state = before  # an hour without a row is looked through again, and costs no write
        except CannotMeasure as error:
            notes.append(str(error))
    return told(trial, state, watched.spec, notes)


def _measure(at: _Place, ledger: Ledger, trial: Trial, watched: Watched) -> Measure:
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
    return Measure(found[0], found[1], expression, spec.promotion.guardrails, splits_of(ledger, watched))


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
    seen: Hashes,
    until: datetime,
    now: datetime,
    seconds: float,
) -> Hashes:
    """Counts predictions up to `until`, window by window, for so many seconds. Returns the keys that were units."""
    started = time.monotonic()
    for window in packs(at.store, at.key, state.watermark, until):
        if not window.predictions and state.taken is None:
            break  # the first look of all is the first that finds something
        if window.predictions:
            taken = state.taken or now
            try:
                found = Rows(rows(base, at.store, trial, at.key, window, taken, inputs=measure.needs_inputs(trial)))
            except (FileNotFoundError, duckdb.IOException):
                logger.info("%s/%s: files of the lake were compacted while they were read; later again", *at.key)
                break
            for part in found.parts(_PART_ROWS):
                seen = count(state, trial, measure, part, seen)
            state.taken, state.files = taken, list(window.predictions)
        state.watermark = window.end
        if time.monotonic() - started > seconds:
            break
    return seen
