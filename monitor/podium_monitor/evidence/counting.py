"""A batch of rows moves a trial on: each unit is counted once, for the arm that it belongs to. Pure."""

from dataclasses import dataclass

import numpy as np

from podium_evaluation.evidence import Differences, Pool, Question, Standing, assigned, continued, paired
from podium_evaluation.guardrails import Latencies
from podium_evaluation.sample_ratio import Segment, is_mismatch
from podium_evaluation.sequences import Floats
from podium_monitor.evidence.counted import (
    CHALLENGER,
    CLASS_LOSSES,
    Counted,
    Measure,
    Truths,
    count_selected,
    counted,
    cover,
    latencies,
    remember,
)
from podium_monitor.evidence.ledger import CHAMPION, Trial
from podium_monitor.evidence.standing import GuardLoss, State, empty_tally, thresholds, with_coverage, with_units
from podium_monitor.evidence.units import Answers, Hashes, Rows, firsts, grouped, losses_of, units_of

NO_KEYS: Hashes = np.zeros(0, dtype=np.uint64)
UNKNOWN_SPLIT = "they were assigned to the challenger under a plan whose split is not known"


def count(state: State, trial: Trial, measure: Measure, rows: Rows, seen: Hashes) -> Hashes:
    """Moves `state` on by rows that come after all that it knows. Returns the keys that have now been units, sorted."""
    state.rows += len(rows)
    shares = np.zeros(len(rows))
    if trial.question.mode == "Canary":
        shares = _shares(state, trial, measure, rows)
        known = ~np.isnan(shares)
        rows, shares = rows.chosen(known), shares[known]
    units = units_of(rows, trial.question)
    chosen = firsts(rows, units, seen)
    rows, units, shares = rows.chosen(chosen), units[chosen], shares[chosen]
    found = counted(trial, measure, rows, grouped(units), shares)
    if len(found) and trial.question.mode == "Shadow":
        _count_paired(state, trial, measure, found)
    elif len(found):
        _count_assigned(state, trial, measure, found)
    return np.union1d(seen, units) if trial.question.unit in ("JoinKey", "StickyInput", "Unknown") else NO_KEYS


def _shares(state: State, trial: Trial, measure: Measure, rows: Rows) -> Floats:
    """By row; NaN where champion and challenger were not split between then, or nobody knows how."""
    epochs = np.asarray(rows.table["epoch"].fill_null(-1).to_numpy(), dtype=np.int64)
    found, unknown = np.full(len(rows), np.nan), np.zeros(len(rows), dtype=np.bool_)
    for epoch in np.unique(epochs).tolist():
        share = measure.splits.share(epoch, trial.question)
        found[epochs == epoch] = np.nan if share is None else share
        unknown |= (epochs == epoch) & (not measure.splits.is_known(epoch))
    lost = int((unknown & (np.array(rows.texts("arm_assigned"), dtype=object) == trial.question.name)).sum())
    if lost:
        state.left_out = {**state.left_out, UNKNOWN_SPLIT: state.left_out.get(UNKNOWN_SPLIT, 0) + lost}
    return found


@dataclass(frozen=True)
class _Pair:
    """Both arms' answers to the same rows."""

    measure: Measure
    champion: Answers
    challenger: Answers
    found: Counted

    def losses(self, metric: str) -> tuple[Floats, Floats]:
        """Per unit, over the rows of it that both have a loss for; NaN where there is none."""
        rows, expression = self.found.rows, self.measure.expression
        old = losses_of(metric, self.champion, rows, expression)
        new = losses_of(metric, self.challenger, rows, expression)
        gone = np.isnan(old) | np.isnan(new)
        mean = self.found.grouping.mean
        return mean(np.where(gone, np.nan, old)), mean(np.where(gone, np.nan, new))


def _count_paired(state: State, trial: Trial, measure: Measure, found: Counted) -> None:
    rows, metric = found.rows, trial.question.metric
    failed = found.grouping.any(np.array([error != "" for error in rows.texts("error")], dtype=np.bool_))
    state.failures = (state.failures[0] + int(failed.sum()), state.failures[1] + len(found))
    champion = Answers(rows.objects("outputs"), measure.champion, latencies(rows))
    challenger = Answers(rows.objects("other"), measure.challenger, np.full(len(rows), np.nan))
    pair = _Pair(measure, champion, challenger, found)
    old, new = pair.losses(metric)
    valued = ~np.isnan(old) & ~np.isnan(new) & ~failed
    alone = found.grouping.mean(losses_of(metric, champion, rows, measure.expression))
    cover(state, CHAMPION, len(found), int((~np.isnan(alone)).sum()))
    cover(state, CHALLENGER, int((~failed).sum()), int(valued.sum()))
    differences = paired(old[valued], new[valued], found.classes_of(metric, valued))
    with_units(state, trial, differences, found.times[valued], classes=metric in CLASS_LOSSES)
    remember(state, found, valued)
    for loss in _guard_losses(measure):
        old, new = pair.losses(loss)
        both = ~np.isnan(old) & ~np.isnan(new) & ~failed
        before = _guard_loss(state, trial, loss)
        differences = paired(old[both], new[both], found.classes_of(loss, both))
        standing, _ = continued(before.standing, differences, _guard_question(trial, loss))
        state.losses = {**state.losses, loss: GuardLoss(standing)}
    count_selected(state, measure, found, challenger, ~failed)


def _count_assigned(state: State, trial: Trial, measure: Measure, found: Counted) -> None:
    """As assigned: what fell back to the champion counts for the challenger, which did not answer."""
    rows, metric, arm = found.rows, trial.question.metric, found.challenger
    first = found.grouping.first_row
    _count_split(state, found)
    fallbacks = np.array(rows.texts("fallback"), dtype=object)[first] != ""
    state.failures = (state.failures[0] + int((fallbacks & arm).sum()), state.failures[1] + int(arm.sum()))
    for name, of_arm in ((CHAMPION, ~arm), (CHALLENGER, arm)):
        known = state.latencies.get(name, Latencies())
        state.latencies = {**state.latencies, name: known.plus(latencies(rows)[first[of_arm]])}
    losses = found.grouping.mean(_answered_losses(metric, trial, measure, found))
    valued = ~np.isnan(losses)
    for name, of_arm in ((CHAMPION, ~arm), (CHALLENGER, arm)):
        cover(state, name, int(of_arm.sum()), int((of_arm & valued).sum()))
    one_class = np.full(len(found), "", dtype=object)
    state.labelled_pool, labelled = assigned(state.labelled_pool, valued.astype(np.float64), arm, found.shares, one_class)
    with_coverage(state, labelled)
    state.pool, differences = _differences(state.pool, losses, metric, found, valued)
    with_units(state, trial, differences, found.times[valued], classes=metric in CLASS_LOSSES)
    remember(state, found, valued)
    for loss in _guard_losses(measure):
        losses = found.grouping.mean(_answered_losses(loss, trial, measure, found))
        before = _guard_loss(state, trial, loss)
        pool, differences = _differences(before.pool, losses, loss, found, ~np.isnan(losses))
        standing, _ = continued(before.standing, differences, _guard_question(trial, loss))
        state.losses = {**state.losses, loss: GuardLoss(standing, pool)}
    said = Answers(rows.objects("outputs"), measure.challenger, latencies(rows))
    count_selected(state, measure, found, said, arm)


def _differences(pool: Pool, losses: Floats, metric: str, found: Counted, valued: Truths) -> tuple[Pool, Differences]:
    classes = found.classes_of(metric, valued)
    return assigned(pool, losses[valued], found.challenger[valued], found.shares[valued], classes)


def _count_split(state: State, found: Counted) -> None:
    """All units, labelled or not: the split has nothing to do with labels."""
    segments = dict(state.segments)
    for share in np.unique(found.shares).tolist():
        here = found.shares == share
        old, new = segments.get(f"{share:.9f}", (0, 0))
        segments[f"{share:.9f}"] = (
            old + int((here & ~found.challenger).sum()),
            new + int((here & found.challenger).sum()),
        )
    state.segments = segments
    state.mismatch = state.mismatch or is_mismatch(segments_of(state))


def segments_of(state: State) -> list[Segment]:
    """What the sample-ratio test is of."""
    return [Segment(counts, (1 - float(share), float(share))) for share, counts in state.segments.items()]


def _answered_losses(metric: str, trial: Trial, measure: Measure, found: Counted) -> Floats:
    """Per row, by the package that answered it."""
    rows, losses = found.rows, np.full(len(found.rows), np.nan)
    by_challenger = np.array(rows.texts("digest"), dtype=object) == trial.question.digest
    for outputs, mask in ((measure.champion, ~by_challenger), (measure.challenger, by_challenger)):
        mine = rows.chosen(np.asarray(mask, dtype=np.bool_))
        if len(mine):
            answers = Answers(mine.objects("outputs"), outputs, latencies(mine))
            losses[mask] = losses_of(metric, answers, mine, measure.expression)
    return losses


def _guard_losses(measure: Measure) -> list[str]:
    return sorted({rail.loss for rail in measure.guardrails if rail.type == "Loss" and rail.loss})


def _guard_loss(state: State, trial: Trial, loss: str) -> GuardLoss:
    return state.losses.get(loss) or GuardLoss(Standing(tally=empty_tally(trial)))


def _guard_question(trial: Trial, loss: str) -> Question:
    return Question(trial.alpha, 0.0, thresholds(trial, classes=loss in CLASS_LOSSES))
