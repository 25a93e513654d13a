"""A batch of rows moves a trial on: each unit is counted once, for the arm that it belongs to. Pure.

Twice each: when it is ripe, for what needs no label (who failed, how traffic was split, how long it took), and when it has a
loss, for the evidence.
"""

from dataclasses import dataclass, field

import numpy as np

from podium_evaluation.evidence import Differences, Pool, Question, Standing, assigned, continued, paired
from podium_evaluation.guardrails import Latencies
from podium_evaluation.sample_ratio import Segment, is_mismatch
from podium_evaluation.sequences import Floats
from podium_monitor.evidence.counted import (
    CHALLENGER,
    Counted,
    Measure,
    Truths,
    count_selected,
    counted,
    cover,
    latencies,
    remember,
)
from podium_monitor.evidence.holding import Batch, held, watch_length
from podium_monitor.evidence.ledger import CHAMPION, Trial
from podium_monitor.evidence.reading import LATE, horizon_of
from podium_monitor.evidence.splits import shares as shares_of
from podium_monitor.evidence.standing import GuardLoss, State, empty_tally, thresholds, with_coverage, with_units
from podium_monitor.evidence.units import Answers, Hashes, Rows, counts_by_row, first_of_each, losses_of, reach_of, units_of

_NONE: Hashes = np.zeros(0, dtype=np.uint64)
UNKNOWN_SPLIT = "they were assigned to the challenger and do not say by which split"


@dataclass(frozen=True)
class Keys:
    """Keys that were units, sorted: of all that are ripe, and of those with a loss. Empty where units have no keys."""

    ripe: Hashes = field(default_factory=lambda: _NONE)
    valued: Hashes = field(default_factory=lambda: _NONE)


def count(state: State, trial: Trial, measure: Measure, rows: Rows, keys: Keys) -> Keys:
    """Moves `state` on by rows that became known after all that it knows. Returns the keys that have now been units."""
    question = trial.question
    chosen, shares = counts_by_row(rows, question), np.zeros(len(rows))
    if question.mode == "Canary":
        shares = _shares(state, trial, rows)
        chosen &= ~np.isnan(shares)
    state.rows += int((~rows.late).sum())
    rows, shares = rows.chosen(chosen), shares[chosen]
    if not len(rows):
        return keys
    units, arms = units_of(rows, question), _Arms(trial, measure, rows)
    losses = arms.losses(question.metric)
    valued = _all_there(losses) & ~arms.counted_before(question.metric)
    ripe = first_of_each(units, ~rows.late, keys.ripe)
    first = first_of_each(units, valued, keys.valued)
    found = counted(trial, measure, rows.chosen(first), shares[first])
    stays = _held(state, trial, rows, ripe & ~arms.failed, first, found)
    count_ripe = _count_ripe_shadowed if question.mode == "Shadow" else _count_ripe_assigned
    count_ripe(state, arms.of(ripe), counted(trial, measure, rows.chosen(ripe), shares[ripe]), valued[ripe])
    _count_losses(state, arms.of(first), found, losses[:, first], stays)
    if question.unit in ("Row", "Request"):
        return keys
    return Keys(np.union1d(keys.ripe, units[ripe]), np.union1d(keys.valued, units[first]))


def _shares(state: State, trial: Trial, rows: Rows) -> Floats:
    """By row; NaN where champion and challenger were not split between."""
    splits: list[str | None] = rows.texts("split")
    silent = np.array([split is None for split in splits], dtype=np.bool_) & ~rows.late
    unknown = int((silent & (np.array(rows.texts("arm_assigned"), dtype=object) == trial.question.name)).sum())
    if unknown:
        state.left_out = {**state.left_out, UNKNOWN_SPLIT: state.left_out.get(UNKNOWN_SPLIT, 0) + unknown}
    return shares_of(splits, trial.question)


def _held(state: State, trial: Trial, rows: Rows, ripe: Truths, first: Truths, found: Counted) -> Truths:
    """By unit that now has a loss, whether no verdict may be taken at it. Moves what is known of labels on."""
    challenger = np.array(rows.texts("arm_assigned"), dtype=object) != CHAMPION
    canary = trial.question.mode == "Canary"
    arms = {CHAMPION: ~challenger, CHALLENGER: challenger} if canary else {CHAMPION: np.ones(len(rows), dtype=np.bool_)}
    batch = Batch(rows.moments, ripe, first, rows.late, found.classes.tolist(), arms)
    length = watch_length(horizon_of(trial), LATE)
    state.watch, stays = held(state.watch, state.coverage, batch, trial.question.minimum_coverage, length)
    state.delays = state.delays.plus(found.rows.label_delays)
    return stays


@dataclass(frozen=True)
class _Arms:
    """Who answered the rows, and what it cost."""

    trial: Trial
    measure: Measure
    rows: Rows

    def of(self, chosen: Truths) -> "_Arms":
        return _Arms(self.trial, self.measure, self.rows.chosen(chosen))

    def losses(self, metric: str) -> Floats:
        """By arm and row: champion's and challenger's where units are paired, shape (2, n); else that of whoever answered,
        shape (1, n). NaN where there is none."""
        rows, measure = self.rows, self.measure
        if self.trial.question.mode == "Shadow":
            found = [losses_of(metric, one, rows, measure.expression) for one in (self._champion(), self.shadow())]
            return np.where(self.failed, np.nan, np.stack(found))
        losses = np.full(len(rows), np.nan)
        by_challenger = np.array(rows.texts("digest"), dtype=object) == self.trial.question.digest
        for outputs, mask in ((measure.champion, ~by_challenger), (measure.challenger, by_challenger)):
            mine = rows.chosen(np.asarray(mask, dtype=np.bool_))
            if len(mine):
                answers = Answers(mine.objects("outputs"), outputs, latencies(mine))
                losses[mask] = losses_of(metric, answers, mine, measure.expression)
        return losses[np.newaxis, :]

    def counted_before(self, metric: str) -> Truths:
        """Late rows that had a loss without their label, too: the value of a decision may need none."""
        if metric != "Value":
            return np.zeros(len(self.rows), dtype=np.bool_)
        before = _Arms(self.trial, self.measure, self.rows.without_labels()).losses(metric)
        return self.rows.late & _all_there(before)

    @property
    def failed(self) -> Truths:
        """Of a shadow."""
        return np.array([error != "" for error in self.rows.texts("error")], dtype=np.bool_)

    def reach(self, metric: str) -> Floats | None:
        """By how much the losses of each row could have differed. None: units are not paired."""
        if self.trial.question.mode != "Shadow":
            return None
        return reach_of(metric, self._champion(), self.shadow())

    def _champion(self) -> Answers:
        return Answers(self.rows.objects("outputs"), self.measure.champion, latencies(self.rows))

    def shadow(self) -> Answers:
        return Answers(self.rows.objects("other"), self.measure.challenger, np.full(len(self.rows), np.nan))


def _count_ripe_shadowed(state: State, arms: _Arms, found: Counted, _valued: Truths) -> None:
    failed = arms.failed
    state.failures = (state.failures[0] + int(failed.sum()), state.failures[1] + len(found))
    for name in (CHAMPION, CHALLENGER):
        cover(state, name, units=int((~failed).sum()))
    count_selected(state, arms.measure, found, arms.shadow(), ~failed)


def _count_ripe_assigned(state: State, arms: _Arms, found: Counted, valued: Truths) -> None:
    """As assigned: what fell back to the champion counts for the challenger, which did not answer."""
    rows, arm = found.rows, found.challenger
    segments = dict(state.segments)
    for share in np.unique(found.shares).tolist():
        here = found.shares == share
        old, new = segments.get(f"{share:.9f}", (0, 0))
        segments[f"{share:.9f}"] = (old + int((here & ~arm).sum()), new + int((here & arm).sum()))
    state.segments = segments
    state.mismatch = state.mismatch or is_mismatch(segments_of(state))
    fallbacks = np.array(rows.texts("fallback"), dtype=object) != ""
    state.failures = (state.failures[0] + int((fallbacks & arm).sum()), state.failures[1] + int(arm.sum()))
    for name, of_arm in ((CHAMPION, ~arm), (CHALLENGER, arm)):
        known = state.latencies.get(name, Latencies())
        state.latencies = {**state.latencies, name: known.plus(latencies(rows)[of_arm])}
        cover(state, name, units=int(of_arm.sum()))
    if len(found):
        one_class = np.full(len(found), "", dtype=object)
        labelled = assigned(state.labelled_pool, valued.astype(np.float64), arm, found.shares, one_class)
        state.labelled_pool = labelled[0]
        with_coverage(state, labelled[1])
    count_selected(
        state, arms.measure, found, Answers(rows.objects("outputs"), arms.measure.challenger, latencies(rows)), arm
    )


def segments_of(state: State) -> list[Segment]:
    """What the sample-ratio test is of."""
    return [Segment(counts, (1 - float(share), float(share))) for share, counts in state.segments.items()]


def _count_losses(state: State, arms: _Arms, found: Counted, losses: Floats, held: Truths) -> None:
    """All of the units have a loss by the metric; `losses` as _Arms gives them."""
    trial, metric = arms.trial, arms.trial.question.metric
    everywhere = np.ones(len(found), dtype=np.bool_)
    for name, of_arm in ((CHAMPION, ~found.challenger), (CHALLENGER, found.challenger)):
        cover(state, name, labelled=len(found) if trial.question.mode == "Shadow" else int(of_arm.sum()))
    state.pool, differences = _differences(state.pool, losses, arms.reach(metric), metric, found, everywhere)
    with_units(state, trial, differences, found.times, held)
    remember(state, found.rows)
    for loss in sorted({rail.loss for rail in arms.measure.guardrails if rail.type == "Loss" and rail.loss}):
        losses = arms.losses(loss)
        before = state.losses.get(loss) or GuardLoss(Standing(tally=empty_tally(trial)))
        pool, differences = _differences(before.pool, losses, arms.reach(loss), loss, found, _all_there(losses))
        question = Question(trial.alpha, 0.0, thresholds(trial, loss))
        standing, _ = continued(before.standing, differences, question)
        state.losses = {**state.losses, loss: GuardLoss(standing, pool)}


def _all_there(losses: Floats) -> Truths:
    return np.asarray(~np.isnan(losses).any(axis=0))


def _differences(
    pool: Pool, losses: Floats, reach: Floats | None, metric: str, found: Counted, chosen: Truths
) -> tuple[Pool, Differences]:
    """`losses` and `reach` as _Arms gives them."""
    classes = found.classes_of(metric, chosen)
    if reach is not None:
        return pool, paired(losses[0][chosen], losses[1][chosen], classes, reach[chosen])
    return assigned(pool, losses[0][chosen], found.challenger[chosen], found.shares[chosen], classes)
