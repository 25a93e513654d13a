"""What a window's figures are computed from, as arrays that add up: the tally of a day is the sum of those of its hours.

Sums and counts give means, their intervals and everything of a confusion matrix exactly; a fine histogram of the scores
gives AUC, calibration and lift to within a stated error.
"""

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from podium_evaluation.losses import squared_errors, surprises
from podium_evaluation.sequences import Floats

Key = tuple[str, ...]
Tally = dict[Key, Floats]
"""Arrays by name; a name that is absent counts nothing."""

MOST_CLASSES = 50


def _probability_edges() -> Floats:
    """Steps of 0.001, and towards 0 and 1 steps of 2 % of what is left: rare events have scores near 0 alone."""
    small = np.exp(np.linspace(np.log(1e-9), np.log(0.05), 700))
    return np.unique(np.concatenate([np.arange(1, 1000) / 1000, small, 1 - small[small > 1e-7]]))


PROBABILITY_EDGES = _probability_edges()
"""Of the score histogram, between 0 and 1."""


_CELLS = 1 << 16
_FIRST_OF_CELL = np.searchsorted(PROBABILITY_EDGES, np.arange(_CELLS + 1) / _CELLS, side="right")
_PADDED = np.append(PROBABILITY_EDGES, np.inf)
_NEAR_AN_END = 0.001
"""Here a cell holds several edges, so that a search is needed; elsewhere one at most."""


def score_places(scores: Floats) -> npt.NDArray[np.int64]:
    """The bin of each score, shape (n,), all within [0, 1]: by a table, six times as fast as a search."""
    places = _FIRST_OF_CELL[(scores * _CELLS).astype(np.int64)]
    places += scores >= _PADDED[places]
    ends = np.flatnonzero((scores < _NEAR_AN_END) | (scores > 1 - _NEAR_AN_END))
    places[ends] = np.searchsorted(PROBABILITY_EDGES, scores[ends], side="right")
    return places


def added(tallies: Iterable[Mapping[Key, Floats]]) -> Tally:
    """The sum, name by name."""
    total: Tally = {}
    for tally in tallies:
        for key, values in tally.items():
            total[key] = total[key] + values if key in total else values
    return total


def below(tally: Mapping[Key, Floats], *prefix: str) -> Tally:
    """The part under a prefix, without it."""
    depth = len(prefix)
    return {key[depth:]: values for key, values in tally.items() if key[:depth] == prefix}


def under(prefix: Key, tally: Mapping[Key, Floats]) -> Tally:
    """The same under a prefix."""
    return {(*prefix, *key): values for key, values in tally.items()}


def binary_tally(truth: Floats, decided: Floats, scores: Floats | None) -> Tally:
    """Of rows whose truth is known: `truth` and `decided` 0 or 1, `scores` the probability of 1 (None: there is none),
    shapes (n,).

    `confusion` holds true positives, false positives, true negatives, false negatives; `losses` the sums and the sums of
    squares of log loss and Brier loss; `positive` and `negative` histograms of the score.
    """
    is_one, said = truth == 1, decided == 1
    right_ones, ones, said_ones = int((is_one & said).sum()), int(is_one.sum()), int(said.sum())
    zeros = len(truth) - ones
    counts = [right_ones, said_ones - right_ones, zeros - (said_ones - right_ones), ones - right_ones]
    tally: Tally = {("confusion",): np.array(counts, dtype=np.float64)}
    if scores is None or not len(scores):
        return tally
    bins = len(PROBABILITY_EDGES) + 1
    places = score_places(scores)
    tally["positive",] = np.bincount(places[is_one], minlength=bins).astype(np.float64)
    tally["negative",] = np.bincount(places, minlength=bins).astype(np.float64) - tally["positive",]
    tally["said",] = np.bincount(places, scores, minlength=bins).astype(np.float64)
    log, brier = surprises(is_one, scores), squared_errors(is_one, scores)
    tally["losses",] = np.array([log.sum(), np.dot(log, log), brier.sum(), np.dot(brier, brier)])
    return tally


def multiclass_tally(truth: Floats, decided: Floats, probabilities: Floats | None, classes: int) -> Tally:
    """Of rows whose truth is known: class numbers from 0, shapes (n,); `probabilities` of shape (n, classes)."""
    places = (truth * classes + decided).astype(np.int64)
    tally: Tally = {("matrix",): np.bincount(places, minlength=classes * classes).astype(np.float64)}
    if probabilities is None or not len(truth):
        return tally
    given = probabilities[np.arange(len(truth)), truth.astype(np.int64)]
    log = surprises(np.ones(len(given), dtype=bool), given)
    tally["losses",] = np.array([log.sum(), np.dot(log, log)])
    bins = len(PROBABILITY_EDGES) + 1
    for one in range(classes):
        binned = score_places(probabilities[:, one])
        is_it = truth == one
        tally["one", str(one), "positive"] = np.bincount(binned[is_it], minlength=bins).astype(np.float64)
        tally["one", str(one), "negative"] = np.bincount(binned[~is_it], minlength=bins).astype(np.float64)
    return tally


def regression_tally(truth: Floats, predicted: Floats, origin: float) -> Tally:
    """Of rows whose truth is known, shapes (n,). `errors`: n, and sums of the error's 1st, 2nd and 4th power and of its
    size; `truth`: n, sums of the truth less `origin` and of its square. A fixed origin near the reference's mean keeps the
    sums of squares exact."""
    error = truth - predicted
    square, moved = error**2, truth - origin
    return {
        ("errors",): np.array(
            [len(error), error.sum(), square.sum(), np.dot(square, square), np.abs(error).sum()], dtype=np.float64
        ),
        ("truth",): np.array([len(error), moved.sum(), np.dot(moved, moved)], dtype=np.float64),
    }


def estimated_tally(scores: Floats, decided: Floats | None = None) -> Tally:
    """Of all rows, labelled or not, from the probability of 1: what the performance would be if it were calibrated.
    `decided` is 0 or 1, by default and where it is NaN whether the probability is at least 0.5.

    `estimated`: n, sum of the chance to be right, of its variance, and of the entropy in nats; `all`: the score's
    histogram; `all said`: sums of the scores by bin.
    """
    bins = len(PROBABILITY_EDGES) + 1
    places = score_places(scores)
    said = scores >= 0.5 if decided is None else np.where(np.isnan(decided), scores >= 0.5, decided == 1)
    right = np.where(said, scores, 1 - scores)
    return {
        ("all",): np.bincount(places, minlength=bins).astype(np.float64),
        ("all said",): np.bincount(places, scores, minlength=bins).astype(np.float64),
        ("estimated",): np.array([len(scores), right.sum(), np.dot(right, 1 - right), _entropy(scores).sum()]),
    }


def _entropy(p: Floats) -> Floats:
    kept = np.clip(p, 1e-300, 1.0)
    other = np.clip(1 - p, 1e-300, 1.0)
    return np.asarray(-(p * np.log(kept) + (1 - p) * np.log(other)), dtype=np.float64)


def group_tally(selected: Floats, truth: Floats) -> Tally:
    """A protected group: rows, selected, true positives, positives, false positives, negatives. `selected` 0 or 1, `truth`
    NaN where it is not known, shapes (n,)."""
    known = ~np.isnan(truth)
    ones, zeros = known & (truth == 1), known & (truth == 0)
    said = selected == 1
    counts = [len(said), said.sum(), (said & ones).sum(), ones.sum(), (said & zeros).sum(), zeros.sum()]
    return {("group",): np.array(counts, dtype=np.float64)}
