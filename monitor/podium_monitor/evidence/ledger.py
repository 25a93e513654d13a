"""Which challengers a deployment had in its life, and what was asked of each. Pure.

A trial is one question about one version. All that could be chosen by looking at its answer is part of the question and
fixed when the trial begins: whoever changes it begins another trial, with a smaller share of alpha, on rows that come
after. One that comes again as it was goes on where it stood.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Literal

import msgspec

from podium_crds.v1alpha1.model_deployment import Challenger
from podium_evaluation.sequences import TUNED_FOR_UNITS, challenger_alpha
from podium_monitor.world import Watched

CHAMPION = "champion"

UnitRule = Literal["Row", "Request", "JoinKey", "UnitKey"]
"""Row, Request: each is a unit. JoinKey, UnitKey: a unit is a key's first request, by what rows are joined by, or by the
sticky key that is captured beside it."""


class Question(msgspec.Struct, frozen=True):
    """What is asked: equal questions are one trial."""

    name: str
    version: str
    digest: str
    mode: Literal["Shadow", "Canary"]
    champion_digest: str
    metric: str
    expression: str
    minimum_improvement: float
    alpha: float
    """Of the deployment's life."""
    horizon_seconds: int
    minimum_coverage: float
    output: str
    positive_class: str
    unit: UnitRule

    @property
    def pair(self) -> tuple[str, str]:
        """The packages that are compared."""
        return self.champion_digest, self.digest


class Trial(msgspec.Struct, frozen=True):
    nth: int
    question: Question
    first_seen: datetime
    begins_at: datetime
    """Predictions after it count."""
    tuned_for_units: int = TUNED_FOR_UNITS

    @property
    def alpha(self) -> float:
        """Its own share."""
        return challenger_alpha(self.question.alpha, self.nth)


class Ledger(msgspec.Struct, frozen=True):
    """Of one deployment's life, which its uid names."""

    uid: str
    trials: tuple[Trial, ...] = ()

    def trial_of(self, question: Question) -> Trial | None:
        return next((trial for trial in self.trials if trial.question == question), None)


def enrolled(ledger: Ledger | None, watched: Watched, now: datetime) -> Ledger:
    """The ledger with the challengers that are there now."""
    if ledger is None or ledger.uid != watched.uid:
        ledger = Ledger(watched.uid)
    trials = list(ledger.trials)
    for question in questions(watched):
        if any(trial.question == question for trial in trials) or not _serves(watched, question.name):
            continue
        # Of two versions that were never compared nobody has seen a figure: their rows may count from the beginning.
        known = any(trial.question.pair == question.pair for trial in trials)
        begins_at = now if known else datetime.fromisoformat(watched.created_at)
        trials.append(Trial(len(trials) + 1, question, now, begins_at))
    return Ledger(watched.uid, tuple(trials))


def questions(watched: Watched) -> Iterator[Question]:
    """One per challenger whose package is known."""
    spec, champion = watched.spec, champion_digest(watched)
    metric, monitoring = spec.promotion.metric, spec.monitoring
    for challenger in spec.challengers:
        digest = challenger_digest(watched, challenger)
        if not digest or not champion or digest == champion:
            continue
        yield Question(
            name=challenger.name,
            version=challenger.model_version_ref.name,
            digest=digest,
            mode=challenger.mode,
            champion_digest=champion,
            metric=metric.type,
            expression=metric.expression or "",
            minimum_improvement=float(metric.minimum_improvement),
            alpha=float(metric.alpha),
            horizon_seconds=monitoring.labels.horizon_seconds,
            minimum_coverage=float(monitoring.labels.minimum_coverage),
            output=monitoring.prediction.output or "",
            positive_class=monitoring.prediction.positive_class or "",
            unit=unit_rule(watched, challenger.mode),
        )


def _serves(watched: Watched, name: str) -> bool:
    """A challenger that only starts has no rows, and what it is compared with may be on its way out."""
    if watched.status is None:
        return True
    return any((entry.name, entry.state) == (name, "Serving") for entry in watched.status.challengers)


def unit_rule(watched: Watched, mode: str) -> UnitRule:
    """What counts once."""
    sticky, join = watched.spec.sticky_by, watched.spec.capture.join_key
    if sticky.type == "Request":
        if join.type in ("Input", "Header"):
            return "JoinKey"
        return "Row" if mode == "Shadow" else "Request"
    if join.type == "Sticky":
        return "JoinKey"
    if sticky.type == "Input":
        same = join.type == "Input" and join.input == sticky.input
    else:
        same = join.type == "Header" and (join.header or "").lower() == (sticky.header or "").lower()
    return "JoinKey" if same else "UnitKey"


def champion_digest(watched: Watched) -> str:
    """Of the version that serves; without a status, of the one that is wished. Empty: unknown."""
    if watched.status is not None and watched.status.champion is not None:
        return watched.status.champion.digest
    version = watched.versions.get(watched.spec.champion.model_version_ref.name)
    return version.spec.artifact.digest if version else ""


def challenger_digest(watched: Watched, challenger: Challenger) -> str:
    """Of the version that the spec names, as it is committed or registered. Empty: unknown."""
    for entry in watched.status.challengers if watched.status is not None else []:
        same = (entry.name, entry.model_version) == (challenger.name, challenger.model_version_ref.name)
        if same and entry.digest:
            return entry.digest
    version = watched.versions.get(challenger.model_version_ref.name)
    return version.spec.artifact.digest if version else ""
