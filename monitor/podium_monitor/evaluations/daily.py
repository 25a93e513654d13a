"""What a day says by itself: how far the importance of its inputs has moved, and what explains it. Pure.

From that day's counts and sample and the reference alone, so that it is computed once, when the day changes.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from scipy import stats

from podium_evaluation.bins import bin_names
from podium_evaluation.columns import Column
from podium_evaluation.diagnosis import importances_of, what_happened
from podium_evaluation.documents import Figure, Window
from podium_evaluation.sequences import Floats
from podium_evaluation.tallies import Tally
from podium_monitor.evaluations.subject import NumericColumn, Subject

MOST_SENTENCES = 30
DRIFTED = " drifted (PSI "
"""Between a column's name and how far."""
_FEWEST_SAMPLED = 100
_FEWEST_LOCAL = 100
_REFERENCE_ROWS = 2_000

ReferenceOf = Callable[[], pa.Table | None]


def explain(
    window: Window,
    tally: Tally,
    sample: pa.Table | None,
    subject: Subject,
    weights: Mapping[str, float],
    reference: ReferenceOf,
) -> None:
    """Fills in the day's shift of importance and its diagnosis. `weights` are the importances in the reference, empty
    without one."""
    window.importance_shift = importance_shift(subject, weights, sample)
    sentences = [
        f"{name} is {said(figure)}, outside of its bounds"
        for name, figure in window.performance.items()
        if figure.alert and figure.value is not None
    ]
    sentences += drift_sentences(window, subject, weights, reference, sample)
    if window.performance:
        sentences += local_sentences(window, subject, tally) + segment_sentences(window)
    window.diagnosis = sentences[:MOST_SENTENCES]


def importance(subject: Subject, reference: pa.Table) -> dict[str, float]:
    """How strongly each input goes with the score, of at most 2,000 rows."""
    return _importances(subject, reference.slice(0, _REFERENCE_ROWS))


def importance_shift(subject: Subject, then: Mapping[str, float], sample: pa.Table | None) -> float | None:
    """1 - Spearman's rank correlation of the inputs' importance in the reference with that in the sample. None: too few rows
    or inputs, or all matter alike."""
    if not then or sample is None or sample.num_rows < _FEWEST_SAMPLED:
        return None
    now = _importances(subject, sample)
    both = [name for name in then if name in now]
    if len(both) < 3 or len({then[name] for name in both}) < 2 or len({now[name] for name in both}) < 2:
        return None
    return 1 - float(stats.spearmanr([then[name] for name in both], [now[name] for name in both]).statistic)


def drift_sentences(
    window: Window, subject: Subject, weights: Mapping[str, float], reference: ReferenceOf, sample: pa.Table | None
) -> list[str]:
    """The columns that drifted, those first that matter most to the score, and what happened to them upstream."""
    alarming = [column for column in subject.columns if column.name in window.drift and window.drift[column.name].alert]
    table = reference() if alarming else None
    found = []
    for column in sorted(alarming, key=lambda one: -weights.get(one.name, 0.0) * (window.drift[one.name].psi or 0.0)):
        name, quality = column.name, window.quality[column.name]
        numeric = isinstance(column, NumericColumn)
        then, now = _column(table, name, numeric), _column(sample, name, numeric)
        happened = "its distribution moved"
        if then is not None and now is not None:
            happened = what_happened(then, now, quality.missing, quality.unseen)
        if quality.wrong_type > 0.01:
            happened = f"{100 * quality.wrong_type:.0f} % of its values are no numbers; {happened}"
        matters = f", goes with the score by {weights[name]:.2f}" if name in weights else ""
        found.append(f"{name}{DRIFTED}{window.drift[name].psi:.2f}{matters}): {happened}")
    return found


def local_sentences(day: Window, subject: Subject, tally: Tally) -> list[str]:
    """Where in the space of inputs the model is wrong more often than elsewhere: the bin that stands out most, only when
    performance left its bounds."""
    if not any(figure.alert for figure in day.performance.values()):
        return []
    worst: tuple[float, str] | None = None
    for column in subject.columns:
        local = tally.get(("local", column.name))
        if local is None:
            continue
        rows, losses = local.reshape(2, -1)
        if rows.sum() == 0:
            continue
        mean = losses.sum() / rows.sum()
        with np.errstate(invalid="ignore", divide="ignore"):
            excess = np.where(rows >= _FEWEST_LOCAL, losses - mean * rows, -np.inf)
        place = int(np.argmax(excess))
        if excess[place] > 0 and (worst is None or excess[place] > worst[0]):
            rate = losses[place] / rows[place]
            worst = float(excess[place]), _local_sentence(column, place, subject, float(rate), float(mean))
    return [worst[1]] if worst else []


def _local_sentence(column: Any, place: int, subject: Subject, rate: float, mean: float) -> str:
    if isinstance(column, NumericColumn):
        name = bin_names(column.edges)[place]
        where = f"{column.name} {'in' if name.endswith(')') else '='} {name}"
    else:
        where = f"{column.name} = {[*column.categories, 'missing', 'other'][place]!r}"
    if subject.outputs.task == "Regression":
        return f"the mean error is {rate:.4g} where {where}, {mean:.4g} overall"
    return f"{100 * rate:.1f} % of decisions are wrong where {where}, {100 * mean:.1f} % overall"


def segment_sentences(day: Window) -> list[str]:
    """The segment whose accuracy lies farthest below that of the day, beyond both intervals."""
    whole = day.performance.get("accuracy")
    if whole is None or whole.low is None or whole.value is None:
        return []
    found = []
    for segment in day.segments:
        figure = segment.performance.get("accuracy")
        if figure is not None and figure.high is not None and figure.value is not None and figure.high < whole.low:
            gap = (whole.value - figure.value) * segment.labelled
            found.append(
                (gap, f"accuracy is {said(figure)} where {segment.column} is {segment.value}, {said(whole)} overall")
            )
    return [max(found)[1]] if found else []


def said(figure: Figure) -> str:
    interval = "" if figure.low is None or figure.high is None else f" [{figure.low:.4g}, {figure.high:.4g}]"
    return f"{figure.value:.4g}{interval}"


def _importances(subject: Subject, table: pa.Table) -> dict[str, float]:
    score = _score(subject, table)
    if score is None:
        return {}
    columns = {}
    for column in subject.columns:
        if (found := _column(table, column.name, isinstance(column, NumericColumn))) is not None:
            columns[column.name] = found
    return importances_of(columns, score)


def _score(subject: Subject, table: pa.Table) -> Floats | None:
    """What the model said, as a number per row."""
    outputs = subject.outputs
    name = outputs.probabilities or outputs.value
    if name is None:
        return None
    place = outputs.positive
    of_class = f"output.{name}[{outputs.classes[place]}]" if outputs.classes else ""
    if of_class in table.column_names:
        values = np.asarray(table[of_class].to_numpy(), dtype=np.float64)
    elif f"output.{name}" in table.column_names:
        rows = table[f"output.{name}"].to_pylist()
        values = np.array(
            [row[place] if isinstance(row, list) else np.nan if row is None else row for row in rows], np.float64
        )
    else:
        return None
    return None if np.isnan(values).any() else values


def _column(table: pa.Table | None, name: str, numeric: bool) -> Column | None:
    if table is None or name not in table.column_names:
        return None
    values = table[name].to_pylist()
    if numeric:
        return Column(name, "Numeric", np.array([np.nan if value is None else value for value in values], np.float64))
    return Column(name, "Categorical", np.array([None if value in (None, "") else str(value) for value in values], object))
