"""Which challengers a deployment had in its life, what was asked of each, and how traffic was split under each plan. Pure.

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

MAX_SPLITS = 5000
"""Plans that are remembered, the newest."""
CHAMPION = "champion"

UnitRule = Literal["Row", "Request", "JoinKey", "StickyInput", "Unknown"]
"""Row, Request: each is a unit. JoinKey, StickyInput: a unit is a key's first request. Unknown: the sticky key is a header
that was not captured."""


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
    output: str
    positive_class: str
    unit: UnitRule
    sticky_input: str = ""

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


class Split(msgspec.Struct, frozen=True):
    """Of one plan: who was champion, and per canary its digest and percentage."""

    champion: str
    canaries: dict[str, tuple[str, int]]

    def with_more(self, later: "Split") -> "Split":
        """A plan never changes, but status leaves out a canary that is no longer wished, and knows the version of one that
        is being replaced only by what replaces it: what was seen first stays."""
        added = {name: one for name, one in later.canaries.items() if not self.canaries.get(name, ("", 0))[0]}
        return Split(self.champion, {**self.canaries, **added})

    def share(self, question: Question) -> float | None:
        """The chance of the challenger among {champion, challenger}. None: it is not these two that were compared then."""
        digest, percent = self.canaries.get(question.name, ("", 0))
        rest = 100 - sum(other for _, other in self.canaries.values())
        if (self.champion, digest) != (question.champion_digest, question.digest) or percent <= 0 or rest <= 0:
            return None
        return percent / (percent + rest)


class Ledger(msgspec.Struct, frozen=True):
    """Of one deployment's life, which its uid names."""

    uid: str
    trials: tuple[Trial, ...] = ()
    splits: dict[int, Split] = {}
    """By epoch."""

    def trial_of(self, question: Question) -> Trial | None:
        return next((trial for trial in self.trials if trial.question == question), None)


def enrolled(ledger: Ledger | None, watched: Watched, now: datetime) -> Ledger:
    """The ledger with the challengers and the split that are there now."""
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
    splits = dict(ledger.splits)
    split = split_of(watched)
    if split is not None and watched.status is not None and watched.status.epoch is not None:
        before = splits.get(watched.status.epoch)
        splits[watched.status.epoch] = before.with_more(split) if before else split
    newest = dict(sorted(splits.items())[-MAX_SPLITS:])
    return Ledger(watched.uid, tuple(trials), newest)


def questions(watched: Watched) -> Iterator[Question]:
    """One per challenger whose package is known."""
    spec, champion = watched.spec, champion_digest(watched)
    metric, monitoring = spec.promotion.metric, spec.monitoring
    for challenger in spec.challengers:
        digest = challenger_digest(watched, challenger)
        if not digest or not champion or digest == champion:
            continue
        unit, sticky_input = unit_rule(watched, challenger.mode)
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
            output=monitoring.prediction.output or "",
            positive_class=monitoring.prediction.positive_class or "",
            unit=unit,
            sticky_input=sticky_input,
        )


def _serves(watched: Watched, name: str) -> bool:
    """A challenger that only starts has no rows, and what it is compared with may be on its way out."""
    if watched.status is None:
        return True
    return any((entry.name, entry.state) == (name, "Serving") for entry in watched.status.challengers)


def unit_rule(watched: Watched, mode: str) -> tuple[UnitRule, str]:
    """What counts once, and the input that holds its key, if one does."""
    sticky, join = watched.spec.sticky_by, watched.spec.capture.join_key
    if sticky.type == "Request":
        if join.type in ("Input", "Header"):
            return "JoinKey", ""
        return ("Row" if mode == "Shadow" else "Request"), ""
    if join.type == "Sticky":
        return "JoinKey", ""
    if sticky.type == "Input":
        hidden = sticky.input in watched.spec.capture.redact
        same = join.type == "Input" and join.input == sticky.input
        return ("JoinKey", "") if same else ("Unknown", "") if hidden else ("StickyInput", sticky.input or "")
    same = join.type == "Header" and (join.header or "").lower() == (sticky.header or "").lower()
    return ("JoinKey" if same else "Unknown"), ""


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


def split_of(watched: Watched) -> Split | None:
    """As committed; where there is no status at all (manifests without a cluster), as the manifest says."""
    status, champion = watched.status, champion_digest(watched)
    if not champion:
        return None
    if status is None:
        wished = [one for one in watched.spec.challengers if one.mode == "Canary"]
        return Split(champion, {one.name: (challenger_digest(watched, one), one.percent or 0) for one in wished})
    if status.epoch is None:
        return None
    return Split(
        champion,
        {
            one.name: (one.digest if one.state == "Serving" else "", one.percent)
            for one in status.challengers
            if one.percent > 0
        },
    )


def splits_of(ledger: Ledger, watched: Watched) -> "Splits":
    """How traffic was split, by epoch."""
    return Splits(ledger.splits, split_of(watched) if watched.status is None else None)


class Splits(msgspec.Struct, frozen=True):
    by_epoch: dict[int, Split]
    otherwise: Split | None = None
    """Under plans that were not seen."""

    def is_known(self, epoch: int) -> bool:
        return epoch in self.by_epoch or self.otherwise is not None

    def share(self, epoch: int, question: Question) -> float | None:
        split = self.by_epoch.get(epoch, self.otherwise)
        return split.share(question) if split is not None else None
