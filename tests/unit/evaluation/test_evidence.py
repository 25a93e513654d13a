"""Evidence for and against a challenger: by hand, in batches, and by simulation of what would mislead it."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import binom

from podium_evaluation.evidence import (
    Differences,
    Pool,
    Question,
    Standing,
    Tally,
    Thresholds,
    assigned,
    assigned_thresholds,
    continued,
    hidden,
    is_enough,
    missing_units,
    paired,
    paired_thresholds,
)
from podium_evaluation.losses import class_losses, number_losses, possible_surprises
from podium_evaluation.sequences import Decision, confidence_sequence, first_verdict

RUNS = 2000
ALPHA = 0.05
MOST_FALSE = binom.ppf(0.99, RUNS, ALPHA)
"""More than so many of RUNS, and the 99 % interval of the rate lies above ALPHA."""
NO_THRESHOLDS = Thresholds(units=1, of_each_class=0)
Floats = npt.NDArray[np.float64]


def classes(truth: npt.ArrayLike) -> npt.NDArray[np.object_]:
    return np.where(np.asarray(truth) > 0, "1", "0").astype(object)


def one_class(units: int) -> npt.NDArray[np.object_]:
    return np.full(units, "", dtype=object)


def decided(differences: Differences, thresholds: Thresholds) -> bool:
    tally = Tally(({}, {})) if thresholds.of_each_arm else Tally()
    return continued(Standing(tally=tally), differences, Question(ALPHA, 0.0, thresholds))[0].verdict is not None


def false_decisions(run: Callable[[np.random.Generator], Differences], thresholds: Thresholds, runs: int = RUNS) -> int:
    chance = np.random.default_rng(20261121)
    return sum(decided(run(chance), thresholds) for _ in range(runs))


def test_losses_of_a_classifier_and_of_a_number() -> None:
    truth, said = np.array([0, 2, -1, 1]), np.array([0, 1, 1, -1])
    probabilities = np.array([[0.7, 0.2, 0.1], [0.2, 0.5, 0.3], [0.1, 0.1, 0.8], [np.nan, np.nan, np.nan]])
    assert class_losses("ZeroOne", truth, said, probabilities) == pytest.approx([0, 1, np.nan, np.nan], nan_ok=True)
    log = [-np.log(0.7), -np.log(0.3), np.nan, np.nan]
    assert class_losses("LogLoss", truth, said, probabilities) == pytest.approx(log, nan_ok=True)
    brier = [(0.09 + 0.04 + 0.01) / 2, (0.04 + 0.25 + 0.49) / 2, np.nan, np.nan]
    assert class_losses("Brier", truth, said, probabilities) == pytest.approx(brier, nan_ok=True)
    two = np.array([[0.3, 0.7]])
    assert class_losses("Brier", np.array([1]), np.array([1]), two) == pytest.approx([0.09])
    assert number_losses("AbsoluteError", np.array([1.0, 2.0]), np.array([3.0, np.nan])) == pytest.approx(
        [2, np.nan], nan_ok=True
    )
    assert number_losses("SquaredError", np.array([1.0]), np.array([3.0])) == pytest.approx([4])


def test_an_assigned_unit_counts_by_the_inverse_of_its_chance_around_the_mean_before_it() -> None:
    losses, challenger = np.array([1.0, 3.0, 2.0]), np.array([False, True, False])
    pool, differences = assigned(Pool(), losses, challenger, np.array([0.5, 0.25, 0.2]), one_class(3))
    assert differences.values == pytest.approx([1 / 0.5, -(3 - 1) / 0.25, (2 - 2) / 0.8])
    assert pool == Pool(3, 6.0)
    later, again = assigned(pool, np.array([4.0]), np.array([True]), np.array([0.5]), one_class(1))
    assert again.values == pytest.approx([-(4 - 2) / 0.5])
    assert later == Pool(4, 10.0)


def test_a_share_of_nothing_or_all_is_no_chance() -> None:
    with pytest.raises(ValueError, match="no chance"):
        assigned(Pool(), np.ones(1), np.array([False]), np.array([0.0]), one_class(1))


@pytest.mark.parametrize("batch", [1, 7, 1000, 5000])
def test_batches_of_units_come_to_what_all_at_once_do(batch: int) -> None:
    chance = np.random.default_rng(3)
    units, question = 3000, Question(ALPHA, 0.01, paired_thresholds(classes=True, zero_one=False))
    champion, challenger = chance.exponential(1.2, units), chance.exponential(1.0, units)
    truth = classes(chance.random(units) < 0.1)
    whole, sequence = continued(Standing(), paired(champion, challenger, truth), question)
    standing, lows = Standing(), []
    for start in range(0, units, batch):
        part = slice(start, start + batch)
        standing, looks = continued(standing, paired(champion[part], challenger[part], truth[part]), question)
        lows.append(looks.lower)
    assert whole.verdict is not None
    assert standing.verdict is not None
    assert (standing.tally, standing.verdict.units) == (whole.tally, whole.verdict.units)
    assert standing.verdict.decision is Decision.BETTER
    assert np.concatenate(lows) == pytest.approx(sequence.lower)
    assert standing.running.mean == pytest.approx(whole.running.mean)


def test_a_decision_stays_whatever_comes_after() -> None:
    question = Question(ALPHA, 0.0, NO_THRESHOLDS)
    better, _ = continued(Standing(), paired(np.ones(50), np.zeros(50), one_class(50)), question)
    later, _ = continued(better, paired(np.zeros(5000), np.ones(5000), one_class(5000)), question)
    assert later.verdict == better.verdict
    assert later.running.mean < 0


def test_the_first_look_that_counts_is_that_of_sequences() -> None:
    chance = np.random.default_rng(5)
    values = chance.normal(0.2, 1.0, 4000)
    thresholds = Thresholds(units=1500, of_each_class=0)
    standing, _ = continued(Standing(), paired(values, np.zeros(4000), one_class(4000)), Question(ALPHA, 0.0, thresholds))
    expected = first_verdict(confidence_sequence(values, ALPHA), np.arange(1, 4001) >= 1500)
    assert standing.verdict == expected


def test_what_is_not_there_yet_is_told() -> None:
    thresholds = paired_thresholds(classes=True, zero_one=True)
    tally = Tally(({"yes": 10, "no": 600},), 7)
    assert not is_enough(tally, thresholds)
    assert missing_units(tally, thresholds) == [
        "610 of 1000 labelled units",
        "10 of 50 units of the rarer class",
        "7 of 30 units on which they differ",
    ]
    arms = Tally(({"yes": 400, "no": 700}, {"yes": 100, "no": 20}))
    assert missing_units(arms, assigned_thresholds(classes=True)) == [
        "120 of 300 units of the challenger",
        "20 of 50 units of the rarer class at the challenger",
    ]
    assert is_enough(Tally(({"yes": 60, "no": 1000},), 30), thresholds)


def test_no_verdict_comes_before_units_of_each_class_and_arm() -> None:
    units = 2000
    truth = classes(np.arange(units) >= 1900)
    differences = paired(np.ones(units), np.zeros(units), truth)
    standing, _ = continued(Standing(), differences, Question(ALPHA, 0.0, paired_thresholds(classes=True, zero_one=True)))
    assert standing.verdict is not None
    assert standing.verdict.units == 1950


def test_many_classes_ask_for_units_outside_of_the_most_frequent_one() -> None:
    units = 6000
    names = np.array([f"c{index}" for index in range(units)], dtype=object)
    names[:5000] = "usual"
    question = Question(ALPHA, 0.0, paired_thresholds(classes=True, zero_one=False))
    standing, _ = continued(Standing(), paired(np.ones(units), np.zeros(units), names), question)
    assert standing.verdict is not None
    assert standing.verdict.units == 5050


# What would mislead evidence, simulated. Each run is looked at after each unit; RUNS runs; at most ALPHA may decide.


def scored(chance: np.random.Generator, units: int) -> tuple[Floats, Floats, Floats]:
    """Truths (one in five), and two models' log losses of equal mean that differ by class: one is bold, one careful."""
    odds = chance.normal(-1.4, 1.0, units)
    truth = (chance.random(units) < 1 / (1 + np.exp(-odds))).astype(np.float64)

    def losses(extra: Floats) -> Floats:
        said = np.clip(1 / (1 + np.exp(-(odds + extra))), 1e-6, 1 - 1e-6)
        return -np.where(truth > 0, np.log(said), np.log1p(-said))

    return truth, losses(chance.normal(0.0, 0.7, units)), losses(chance.normal(0.0, 0.7, units))


def test_equal_models_are_told_apart_in_alpha_of_the_runs_at_most() -> None:
    def run(chance: np.random.Generator) -> Differences:
        truth, champion, challenger = scored(chance, 2500)
        return paired(champion, challenger, classes(truth))

    assert false_decisions(run, paired_thresholds(classes=True, zero_one=False)) <= MOST_FALSE


def delayed(chance: np.random.Generator, units: int) -> tuple[npt.NDArray[np.bool_], Floats, Floats, Floats]:
    """Truths, label delays (positives soon, negatives late), and losses that are equal in the mean but not by class."""
    truth = chance.random(units) < 0.5
    delay = np.where(truth, chance.uniform(0, 100, units), chance.uniform(0, 3000, units))
    champion = np.where(truth, 0.7, 0.3) + chance.normal(0, 0.5, units)
    challenger = np.where(truth, 0.3, 0.7) + chance.normal(0, 0.5, units)
    return truth, delay, champion, challenger


def rarely_wrong(chance: np.random.Generator, units: int) -> Floats:
    """A loss of at most 1: one model is a thousandth better on nearly all units, and wrong on one in a thousand."""
    return np.where(chance.random(units) < 0.001, -1.0, 0.001 / 0.999)


def test_losses_that_are_rarely_large_mislead_nobody_who_knows_how_large_they_may_be() -> None:
    """Who looks at what came only errs before the first of them."""

    def run(chance: np.random.Generator, *, known: bool) -> Differences:
        values = rarely_wrong(chance, 3500)
        reach = np.ones(3500) if known else None
        return paired(values, np.zeros(3500), classes(chance.random(3500) < 0.3), reach)

    thresholds = paired_thresholds(classes=True, zero_one=False)
    assert false_decisions(lambda chance: run(chance, known=True), thresholds, runs=600) <= binom.ppf(0.99, 600, ALPHA)
    assert false_decisions(lambda chance: run(chance, known=False), thresholds, runs=100) > 20


def certain(chance: np.random.Generator, units: int) -> tuple[Floats, Floats, npt.NDArray[np.bool_]]:
    """Probabilities of two models and the truth. The challenger knows the chance, but of one input in a thousand it is
    certain that the answer is no. The champion's noise makes their mean log losses equal."""
    odds = chance.normal(-1, 1, units)
    right = 1 / (1 + np.exp(-odds))
    champion = 1 / (1 + np.exp(-(odds + chance.normal(0, 0.335, units))))
    challenger = np.where(chance.random(units) < 0.001, 0.0, right)
    return np.stack([1 - champion, champion], 1), np.stack([1 - challenger, challenger], 1), chance.random(units) < right


def test_a_model_that_is_certain_and_wrong_of_few_inputs_misleads_nobody_before_they_come() -> None:
    def run(chance: np.random.Generator, *, known: bool) -> Differences:
        champion, challenger, truth = certain(chance, 2500)
        losses = [class_losses("LogLoss", truth.astype(int), truth.astype(int), said) for said in (champion, challenger)]
        return paired(losses[0], losses[1], classes(truth), possible_surprises(champion, challenger) if known else None)

    thresholds = paired_thresholds(classes=True, zero_one=False)
    assert false_decisions(lambda chance: run(chance, known=True), thresholds, runs=500) <= binom.ppf(0.99, 500, ALPHA)
    assert false_decisions(lambda chance: run(chance, known=False), thresholds, runs=100) > 30


def test_a_verdict_waits_until_what_was_not_seen_could_not_change_it() -> None:
    question = Question(ALPHA, 0.0, NO_THRESHOLDS)
    always = paired(np.full(4000, 0.001), np.zeros(4000), one_class(4000), np.ones(4000))
    standing, _ = continued(Standing(), always, question)
    assert standing.verdict is not None
    assert standing.verdict.units == int(-np.log(ALPHA) / 0.001) + 1
    assert hidden(standing, ALPHA) == pytest.approx(-np.log(ALPHA) / 4000)


def test_a_difference_may_not_be_larger_than_it_could_be_but_as_large_as_it_was() -> None:
    found = paired(np.array([3.0, 1.0]), np.zeros(2), one_class(2), np.array([1.0, np.nan]))
    assert found.reach.tolist() == [3.0, 1.0]
    champion, challenger = np.array([[0.9, 0.1], [0.5, 0.5]]), np.array([[1.0, 0.0], [0.5, 0.5]])
    assert possible_surprises(champion, challenger) == pytest.approx([np.log(0.1 / 1e-15), np.log(1000)])


def test_looks_that_are_held_take_no_verdict_and_leave_the_sequence_as_it_is() -> None:
    units, question = 3000, Question(ALPHA, 0.0, paired_thresholds(classes=False, zero_one=False))
    differences = paired(np.random.default_rng(1).normal(0.5, 1, units), np.zeros(units), one_class(units))
    free, sequence = continued(Standing(), differences, question)
    kept, same = continued(Standing(), differences, question, np.arange(units) < 2000)
    never, _ = continued(Standing(), differences, question, np.ones(units, dtype=np.bool_))
    assert same.lower.tolist() == sequence.lower.tolist()
    assert [found.verdict.units if found.verdict else None for found in (free, kept, never)] == [1000, 2001, None]


def test_labels_that_come_later_for_one_class_mislead_nobody_who_waits_for_the_horizon() -> None:
    """A unit a second. Behind the horizon of 3,000 s all labels have come. Who counts whatever is labelled errs."""

    def patient(chance: np.random.Generator) -> Differences:
        truth, _, champion, challenger = delayed(chance, 5000)
        return paired(champion[:2000], challenger[:2000], classes(truth[:2000]))

    def impatient(chance: np.random.Generator) -> Differences:
        truth, delay, champion, challenger = delayed(chance, 5000)
        here = np.arange(5000) + delay <= 5000
        return paired(champion[here], challenger[here], classes(truth[here]))

    thresholds = paired_thresholds(classes=True, zero_one=False)
    assert false_decisions(patient, thresholds) <= MOST_FALSE
    assert false_decisions(impatient, thresholds, runs=100) > 30


def test_customers_who_come_again_are_one_unit_each() -> None:
    """A customer has a liking for one of the models, and comes ten times. Who counts each visit errs."""

    def visits(chance: np.random.Generator, customers: int, each: int) -> Differences:
        liking = np.repeat(chance.normal(0, 1, customers), each)
        champion = liking + chance.normal(0, 0.5, customers * each)
        return paired(champion, np.zeros(customers * each), one_class(customers * each))

    thresholds = paired_thresholds(classes=False, zero_one=False)
    assert false_decisions(lambda chance: visits(chance, 2500, 1), thresholds) <= MOST_FALSE
    assert false_decisions(lambda chance: visits(chance, 250, 10), thresholds, runs=200) > 20


@pytest.mark.parametrize("share", [0.5, 0.1])
def test_fallbacks_count_for_the_arm_that_units_were_assigned_to(share: float) -> None:
    """The challenger is too late on hard units, which the champion then answers. Both are equally good. Who compares by
    whoever answered finds the challenger better."""

    def arms(chance: np.random.Generator, *, as_assigned: bool) -> Differences:
        units = 2500 if share == 0.5 else 6000
        hard = chance.random(units) < 0.3
        losses = np.where(hard, 1.0, 0.3) * chance.exponential(1.0, units)
        challenger = chance.random(units) < share
        answered = challenger & ~hard
        arm = challenger if as_assigned else answered
        chances = np.full(units, share if as_assigned else share * 0.7)
        return assigned(Pool(), losses, arm, chances, one_class(units))[1]

    thresholds = assigned_thresholds(classes=False)
    assert false_decisions(lambda chance: arms(chance, as_assigned=True), thresholds) <= MOST_FALSE
    assert false_decisions(lambda chance: arms(chance, as_assigned=False), thresholds, runs=100) > 30


def test_a_split_that_moves_while_customers_change_is_weighted_by_the_split_of_each_moment() -> None:
    """The share rises from 5 % to 50 % while losses double. Who does not weight finds the challenger worse."""

    def arms(chance: np.random.Generator, *, weighted: bool) -> Differences:
        units = 5000
        share = np.where(np.arange(units) < 2500, 0.05, 0.5)
        losses = np.where(np.arange(units) < 2500, 1.0, 2.0) * chance.exponential(1.0, units)
        challenger = chance.random(units) < share
        return assigned(Pool(), losses, challenger, share if weighted else np.full(units, 0.275), one_class(units))[1]

    thresholds = assigned_thresholds(classes=False)
    assert false_decisions(lambda chance: arms(chance, weighted=True), thresholds) <= MOST_FALSE
    assert false_decisions(lambda chance: arms(chance, weighted=False), thresholds, runs=100) > 30


def test_where_the_decision_hides_the_outcome_arms_are_compared_by_the_value_of_what_they_decided() -> None:
    """Each arm approves by its own score, equally well; a rejected loan is worth 0 and needs no label. The mean loss over
    the labelled would be the approved ones' only, which is another population in each arm."""

    def arms(chance: np.random.Generator) -> Differences:
        units = 4000
        risk = chance.normal(0, 1, units)
        challenger = chance.random(units) < 0.3
        said = risk + chance.normal(0, 1, units)
        value = np.where(said < 0, np.where(chance.random(units) < 1 / (1 + np.exp(-risk)), -5.0, 2.0), 0.0)
        return assigned(Pool(), -value, challenger, np.full(units, 0.3), one_class(units))[1]

    assert false_decisions(arms, assigned_thresholds(classes=False)) <= MOST_FALSE


def test_a_better_challenger_is_found_from_assigned_units() -> None:
    chance = np.random.default_rng(11)
    found = 0
    for _ in range(100):
        challenger = chance.random(8000) < 0.5
        losses = chance.normal(1.0, 1.0, 8000) - 0.2 * challenger
        _, differences = assigned(Pool(), losses, challenger, np.full(8000, 0.5), one_class(8000))
        standing = Standing(tally=Tally(({}, {})))
        standing, _ = continued(standing, differences, Question(ALPHA, 0.0, assigned_thresholds(classes=False)))
        found += standing.verdict is not None and standing.verdict.decision is Decision.BETTER
    assert found >= 95
