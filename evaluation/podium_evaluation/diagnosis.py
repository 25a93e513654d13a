"""Why a window looks as it does, in sentences with figures: a column that went null, a unit that changed, a category that
vanished, and the drift of columns that matter to the score.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from podium_evaluation.columns import Column
from podium_evaluation.drift import Sample, kolmogorov_smirnov, sample_of
from podium_evaluation.evaluate import Window
from podium_evaluation.sequences import Floats
from podium_evaluation.tables import Table

_FACTORS = {
    60.0: "minutes and hours or seconds and minutes",
    3600.0: "seconds and hours",
    24.0: "hours and days",
    1440.0: "minutes and days",
    7.0: "days and weeks",
    12.0: "months and years",
    100.0: "fractions and percents, or cents and whole units",
    1000.0: "units and thousands",
    1e6: "units and millions",
    1.609344: "kilometres and miles",
    2.54: "inches and centimetres",
    3.28084: "feet and metres",
    0.45359237: "pounds and kilograms",
}
"""What a factor between two scales of one quantity usually means."""
_FACTOR_TOLERANCE = 0.15
_TOLERANCE_OF_LOGARITHM = 0.04
"""A ratio near 60 is hardly ever met by chance, one near 1.6 often is: values that halved are no pounds that became
kilograms."""
_FEWEST_VALUES = 30
_GONE_SHARE = 0.01
_MISSING_JUMP = 0.1
_QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
_MOST_NAMED = 10
MOVED = "its distribution moved"
"""What is said where no pattern is found."""


@dataclass(frozen=True)
class UnitChange:
    """The column is about `factor` times what it was."""

    factor: float
    meaning: str


def unit_change(reference: Column, current: Column) -> UnitChange | None:
    """The factor that turns the reference's quantiles into the window's, where one of the usual factors does and no less
    would. Compares after dividing: the distance that remains must be small beside the one that was there, and no other
    usual factor may leave a smaller one."""
    old, new = _scaled(reference), _scaled(current)
    if old is None or new is None:
        return None
    before = kolmogorov_smirnov(old, new).statistic
    ratios = np.quantile(np.abs(new.ordered), _QUANTILES) / np.quantile(np.abs(old.ordered), _QUANTILES)
    ratio = float(np.log(np.median(ratios)))
    left = {
        UnitChange(candidate, meaning): kolmogorov_smirnov(old, sample_of(new.ordered / candidate)).statistic
        for factor, meaning in _FACTORS.items()
        for candidate in (factor, 1 / factor)
        if abs(ratio - np.log(candidate)) < min(_FACTOR_TOLERANCE, _TOLERANCE_OF_LOGARITHM * abs(np.log(candidate)))
    }
    best = min(left, key=lambda change: left[change], default=None)
    return best if best is not None and before > 0.3 and left[best] < before / 3 else None


def _scaled(column: Column) -> Sample | None:
    """What a factor changes: finite values other than 0. None of too few to tell."""
    numbers = column.numbers[np.isfinite(column.numbers) & (column.numbers != 0)]
    return sample_of(numbers) if len(numbers) >= _FEWEST_VALUES else None


def importances(reference: Table) -> dict[str, float]:
    """How strongly each feature goes with the score in the reference: |Spearman's rho| of numbers, the correlation ratio's
    root of categories; between 0 and 1. A proxy that needs no model: what the score does not follow cannot explain it."""
    return importances_of({name: reference.columns[name] for name in reference.features}, reference.scores)


def importances_of(columns: Mapping[str, Column], scores: Floats) -> dict[str, float]:
    """The same of columns beside their rows' scores, shape (n,) each."""
    ranks = stats.rankdata(scores)
    found = {}
    for name, column in columns.items():
        present = ~column.missing
        if present.sum() < 3:
            found[name] = 0.0
        elif column.kind == "Numeric":
            values = column.values[present]
            constant = bool((values == values[0]).all()) or bool((scores[present] == scores[present][0]).all())
            found[name] = 0.0 if constant else abs(float(stats.spearmanr(values, scores[present]).statistic))
        else:
            found[name] = _correlation_ratio(column.values[present], ranks[present])
    return {name: 0.0 if value != value else value for name, value in found.items()}


def _correlation_ratio(categories: np.ndarray, ranks: np.ndarray) -> float:
    _, inverse, counts = np.unique(categories.astype(str), return_inverse=True, return_counts=True)
    means = np.bincount(inverse, ranks) / counts
    total = float(np.sum((ranks - ranks.mean()) ** 2))
    between = float(np.sum(counts * (means - ranks.mean()) ** 2))
    return float(np.sqrt(between / total)) if total > 0 else 0.0


def diagnose(windows: Sequence[Window], tables: Sequence[Table], reference: Table) -> list[str]:
    """Sentences on what happened and when, the first window of each finding named; most important first."""
    weights = importances(reference)
    sentences = [_performance_sentence(name, windows) for name in ("auc", "accuracy", "log_loss", "rmse")]
    by_weight = sorted(reference.features, key=lambda name: -weights.get(name, 0.0))
    for name in by_weight:
        goes = f"; it goes with the score by {weights[name]:.2f}"
        sentences.append(_column_sentence(name, windows, tables, reference, "column", goes))
    answers = {reference.score: "the score"} | ({reference.prediction: "the decision"} if reference.prediction else {})
    sentences += [_column_sentence(name, windows, tables, reference, what, "") for name, what in answers.items()]
    if tables:
        sentences.append(_not_in("the current rows", reference.features, tables[0]))
        sentences.append(_not_in("the reference", tables[0].features, reference))
    return [sentence for sentence in sentences if sentence]


def _performance_sentence(name: str, windows: Sequence[Window]) -> str:
    bad = [window for window in windows if name in window.performance and window.performance[name].alert]
    if not bad:
        return ""
    mean, deviation = bad[0].usual[name]
    worst = max(bad, key=lambda window: abs(window.performance[name].value - window.usual[name][0]))
    return (
        f"{name} leaves its usual range of {mean:.4g} ± {3 * deviation:.2g} first in {_when(bad[0])} "
        f"({bad[0].performance[name].value:.4g}), in {len(bad)} of {len(windows)} windows; "
        f"farthest in {_when(worst)} ({worst.performance[name].value:.4g})"
    )


def _column_sentence(
    name: str, windows: Sequence[Window], tables: Sequence[Table], reference: Table, what: str, more: str
) -> str:
    alarming = [window for window in windows if name in window.alerts]
    if not alarming:
        return ""
    first = alarming[0]
    old, new = reference.columns[name], tables[first.index].columns[name]
    drift, quality = first.drift[name], first.quality[name]
    span = f"from {_when(first)} on" if len(alarming) == len(windows) - first.index else f"first in {_when(first)}"
    said = what_happened(old, new, quality.missing, quality.unseen)
    if said == MOVED and quality.wrong_type > _GONE_SHARE:
        said = f"{100 * quality.wrong_type:.0f} % of its values are text, where the reference has numbers"
    return f"{what} {name!r} drifted {span} (PSI {drift.psi:.2f}, {len(alarming)} of {len(windows)} windows{more}): {said}"


def _not_in(place: str, names: Sequence[str], table: Table) -> str:
    gone = [name for name in names if name not in table.columns]
    if not gone:
        return ""
    listed = ", ".join(repr(name) for name in gone[:_MOST_NAMED]) + (" and more" if len(gone) > _MOST_NAMED else "")
    return f"not in {place}, so not compared: {listed}"


def what_happened(old: Column, new: Column, missing: float, unseen: float) -> str:
    """The upstream pattern behind a column's drift, from samples of the reference and of the window; `missing` and `unseen`
    are shares of the window's rows."""
    causes = [_missing(old, missing), _unit(old, new), _vanished(old, new), _unseen(unseen)]
    return "; ".join(cause for cause in causes if cause) or _moved(old, new)


def _moved(old: Column, new: Column) -> str:
    """Where the middle half of numbers lies, or the category whose share moved most."""
    if old.kind != new.kind or not len(old.counts if old.kind == "Categorical" else old.numbers):
        return MOVED
    if old.kind == "Numeric":
        if not len(new.numbers):
            return MOVED
        was, now = (np.quantile(one.numbers, (0.25, 0.75), method="nearest") for one in (old, new))
        if (was == now).all():
            return _moved_bin(old, new)
        return f"{MOVED}, the middle half of its values from {was[0]:.4g}..{was[1]:.4g} to {now[0]:.4g}..{now[1]:.4g}"
    shares = {name: (old.counts.get(name, 0) / len(old), new.counts.get(name, 0) / len(new)) for name in old.counts}
    name = max(shares, key=lambda one: abs(shares[one][1] - shares[one][0]))
    return f"{MOVED}, category {name!r} from {100 * shares[name][0]:.1f} % to {100 * shares[name][1]:.1f} %"


def _moved_bin(old: Column, new: Column) -> str:
    """The bin of the reference whose share moved most: of a column that is nearly always 0, how often it is not."""
    bins, counts = old.bins
    shares = counts[:-1] / max(1, len(old.numbers)), bins.count(new.numbers)[:-1] / max(1, len(new.numbers))
    most = int(np.argmax(np.abs(shares[1] - shares[0])))
    return f"{MOVED}, values {bins.names[most]} from {100 * shares[0][most]:.1f} % to {100 * shares[1][most]:.1f} %"


def _missing(old: Column, share: float) -> str:
    before = float(old.missing.mean()) if len(old) else 0.0
    if share - before < _MISSING_JUMP:
        return ""
    return f"{100 * share:.0f} % of its values are missing, {100 * before:.1f} % were in the reference"


def _unit(old: Column, new: Column) -> str:
    if old.kind != "Numeric" or new.kind != "Numeric":
        return ""
    change = unit_change(old, new)
    if change is None:
        return ""
    times = f"{change.factor:g}" if change.factor >= 1 else f"1/{1 / change.factor:g}"
    return f"its values are about {times} times what they were, as between {change.meaning}: a unit changed"


def _vanished(old: Column, new: Column) -> str:
    if old.kind != "Categorical" or not len(old) or new.kind != "Categorical":
        return ""
    gone = [
        (count / len(old), name)
        for name, count in old.counts.items()
        if name not in new.counts and count / len(old) > _GONE_SHARE and count / len(old) * len(new) >= 10
    ]
    if not gone:
        return ""
    share, name = max(gone)
    others = f" and {len(gone) - 1} more" if len(gone) > 1 else ""
    return f"category {name!r}{others} vanished, {100 * share:.1f} % of the reference"


def _unseen(share: float) -> str:
    return f"{100 * share:.1f} % of its values are categories that the reference has not" if share > _GONE_SHARE else ""


def _when(window: Window) -> str:
    return f"the window of {window.start}" if window.start else f"window {window.index}"
