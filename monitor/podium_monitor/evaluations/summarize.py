"""Rows become a tally: counts and sums that add up over batches, hours and days. Pure.

Names of the tally (podium_evaluation.tallies has those of performance):
- `rows`: rows, rows with a truth, fallbacks; `latency`, `delay`: counts by steps of 5 %
- `column`/name/`bins`, `other` (missing, wrong type or unseen, sums beyond the reference), `unseen`/value; `output`/…
- `local`/name: labelled rows, then their losses, by the profile's bins
- `all`/… performance; `segment`/column/value/…; `group`/column/value/…; `value`/kpi: n, sum, sum of squares
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from podium_evaluation.sequences import Floats
from podium_evaluation.tallies import (
    Key,
    Tally,
    binary_tally,
    estimated_tally,
    group_tally,
    multiclass_tally,
    regression_tally,
    under,
)
from podium_monitor.evaluations.answers import Answers, answers_of
from podium_monitor.evaluations.batch import Batch, Texts
from podium_monitor.evaluations.subject import NumericColumn, Subject, TextColumn

STEP = 1.05
"""Neighbouring edges of seconds: a percentile is known to within 2.5 %."""
SECONDS = 1e-5 * STEP ** np.arange(600)
"""From 10 µs to more than a year."""
_MOST = 50
"""Segments, groups and unseen values of a column that are told apart."""


def summarize(batch: Batch, subject: Subject) -> Tally:
    """The tally of some rows of one version in one arm."""
    answers = answers_of(subject.outputs, batch)
    known = _known(answers)
    labelled = known.any()
    loss = _losses(subject, answers) if labelled else None
    tally: Tally = {("rows",): np.array([batch.rows, known.sum(), batch.fallback.sum()], dtype=np.float64)}
    tally["latency",] = _seconds(batch.latency)
    if labelled:
        tally["delay",] = _seconds(batch.delay[known])
    for column in subject.columns:
        tally |= _column("column", column, batch.numbers, batch.texts, known, loss)
    for name, wrong in batch.wrong.items():
        if ("column", name, "other") in tally:
            tally["column", name, "other"] += np.array([0.0, wrong.sum(), 0.0, 0.0])
    for column in subject.of_outputs:
        tally |= _column("output", column, batch.output_numbers, batch.output_texts, known, None)
    if answers.scores is not None:
        scored = ~np.isnan(answers.scores)
        tally |= under(("all",), estimated_tally(answers.scores[scored], answers.decided[scored]))
    tally |= under(("all",), _performance(subject, answers, known))
    tally |= _segments(batch, subject, answers, known)
    tally |= _groups(batch, subject, answers)
    return tally | _values(batch, subject, answers)


def bounded(tally: Tally) -> Tally:
    """Without all but the most frequent segments, groups and unseen values of each column: a column with a million values
    makes no summary of that size. Of a value that is not among the most frequent of each batch some rows are not counted."""
    counted: dict[Key, dict[str, float]] = {}
    for key, values in tally.items():
        if (place := _value_of(key)) is not None and (key[0] != "segment" or key[3:] == ("rows",)):
            counted.setdefault(key[:place], {})[key[place]] = float(values[0])
    kept = {prefix: set(sorted(found, key=lambda one: -found[one])[:_MOST]) for prefix, found in counted.items()}
    return {
        key: values for key, values in tally.items() if (place := _value_of(key)) is None or key[place] in kept[key[:place]]
    }


def _value_of(key: Key) -> int | None:
    """Where a value of a column stands in the key."""
    if key[0] in ("segment", "group"):
        return 2
    return 3 if len(key) == 4 and key[2] == "unseen" else None


def performance_tally(batch: Batch, subject: Subject) -> Tally:
    """Under `all`, of the rows whose truth is known."""
    answers = answers_of(subject.outputs, batch)
    return under(("all",), _performance(subject, answers, _known(answers)))


def _known(answers: Answers) -> np.ndarray:
    known = ~np.isnan(answers.truth) & ~np.isnan(answers.decided)
    if answers.scores is not None:
        known &= ~np.isnan(answers.scores)
    if answers.probabilities is not None:
        known &= ~np.isnan(answers.probabilities).any(axis=1)
    return known


def _losses(subject: Subject, answers: Answers) -> Floats:
    """Per row: whether it was wrong, or by how much."""
    if subject.outputs.task == "Regression":
        return np.abs(answers.truth - answers.decided)
    return np.asarray(answers.truth != answers.decided, dtype=np.float64)


def _performance(subject: Subject, answers: Answers, known: np.ndarray) -> Tally:
    if not known.any():
        return {}
    truth, decided = answers.truth[known], answers.decided[known]
    task = subject.outputs.task
    if task == "Regression":
        return regression_tally(truth, decided, subject.origin)
    if task == "Multiclass":
        matrix = None if answers.probabilities is None else answers.probabilities[known]
        return multiclass_tally(truth, decided, matrix, len(subject.outputs.classes))
    return binary_tally(truth, decided, None if answers.scores is None else answers.scores[known])


def _seconds(values: Floats) -> Floats:
    present = values[~np.isnan(values)]
    with np.errstate(divide="ignore"):
        steps = np.log(np.maximum(present, SECONDS[0]) / SECONDS[0]) / np.log(STEP)
    return np.bincount(np.minimum(steps, len(SECONDS) - 1).astype(np.int64), minlength=len(SECONDS)).astype(np.float64)


def _column(
    kind: str,
    column: NumericColumn | TextColumn,
    numbers: Mapping[str, Floats],
    texts: Mapping[str, Texts],
    known: np.ndarray,
    loss: Floats | None,
) -> Tally:
    if isinstance(column, NumericColumn):
        return {} if column.name not in numbers else _numeric(kind, column, numbers[column.name], known, loss)
    return {} if column.name not in texts else _text(kind, column, texts[column.name], known, loss)


def _numeric(kind: str, column: NumericColumn, values: Floats, known: np.ndarray, loss: Floats | None) -> Tally:
    gone = np.isnan(values)
    missing = int(gone.sum())
    if missing:
        values, known, loss = values[~gone], known[~gone], None if loss is None else loss[~gone]
    places = column.grid.places(values)
    bins = np.bincount(places, minlength=len(column.grid.edges) + 1).astype(np.float64)
    tails = column.grid.tails(values) if bins[0] or bins[-1] else (0.0, 0.0)
    tally: Tally = {(kind, column.name, "bins"): bins, (kind, column.name, "other"): np.array([missing, 0.0, *tails])}
    if loss is None:
        return tally
    local = np.zeros((2, len(column.edges) + 1))
    counted = bins if known.all() else np.bincount(places[known], minlength=len(bins))
    local[0] = np.bincount(column.coarse_of, counted, minlength=local.shape[1])
    wrong = np.flatnonzero(known & (loss != 0))
    local[1] = np.bincount(column.coarse_of[places[wrong]], loss[wrong], minlength=local.shape[1])
    return tally | {("local", column.name): local.ravel()}


def _text(kind: str, column: TextColumn, texts: Texts, known: np.ndarray, loss: Floats | None) -> Tally:
    """Bins: the categories, then missing, then all further ones."""
    place_of = {category: index for index, category in enumerate(column.categories)}
    further = len(column.categories) + 1
    place_by_code = np.array([*(place_of.get(name, further) for name in texts.names), further - 1], dtype=np.int64)
    places = place_by_code[texts.codes]
    tally: Tally = {(kind, column.name, "bins"): np.bincount(places, minlength=further + 1).astype(np.float64)}
    if column.known is not None:
        counted = np.bincount(texts.codes + 1, minlength=len(texts.names) + 1)[1:]
        unseen = {name: int(count) for name, count in zip(texts.names, counted.tolist(), strict=True) if count}
        unseen = {name: count for name, count in unseen.items() if name not in column.known}
        total = float(sum(unseen.values()))
        tally[kind, column.name, "other"] = np.array([float((texts.codes < 0).sum()), total, 0.0, 0.0])
        for name in sorted(unseen, key=lambda one: -unseen[one])[:_MOST]:
            tally[kind, column.name, "unseen", name] = np.array([float(unseen[name])])
    if loss is not None:
        local = np.zeros((2, further + 1))
        local[0] = np.bincount(places[known], minlength=further + 1)
        local[1] = np.bincount(places[known], loss[known], minlength=further + 1)
        tally["local", column.name] = local.ravel()
    return tally


def _parts(batch: Batch, name: str, edges: tuple[float, ...] | None, most: int) -> list[tuple[str, np.ndarray]]:
    """A column's values, or its quarters, and which rows have them; the most frequent `most`."""
    if name in batch.numbers and edges is not None:
        places = np.searchsorted(edges, batch.numbers[name], side="right")
        bounds = ["-inf", *(f"{edge:.6g}" for edge in edges), "inf"]
        there = ~np.isnan(batch.numbers[name])
        named = [f"[{low}, {high})" for low, high in pairwise(bounds)]
        return [(text, there & (places == index)) for index, text in enumerate(named)]
    texts = batch.texts.get(name)
    if texts is None and name in batch.numbers:
        texts = numbers_as_texts(batch.numbers[name])
    if texts is None:
        return []
    counted = np.bincount(texts.codes + 1, minlength=len(texts.names) + 1)[1:]
    frequent = np.argsort(-counted, kind="stable")[:most]
    return [(texts.names[code], texts.codes == code) for code in frequent if counted[code]]


def numbers_as_texts(values: Floats) -> Texts:
    """Numbers as categories, whole ones without a point."""
    unique, inverse = np.unique(values, return_inverse=True)
    names = tuple(str(int(value)) if float(value).is_integer() else str(value) for value in unique if value == value)
    return Texts(np.where(np.isnan(values), -1, inverse).astype(np.int64), names)


def _segments(batch: Batch, subject: Subject, answers: Answers, known: np.ndarray) -> Tally:
    tally: Tally = {}
    for name, edges in subject.segments.items():
        for value, rows in _parts(batch, name, edges, _MOST):
            prefix: Key = ("segment", name, value)
            tally[*prefix, "rows"] = np.array([rows.sum(), (rows & known).sum()], dtype=np.float64)
            tally |= under(prefix, _performance(subject, answers, known & rows))
    return tally


def _groups(batch: Batch, subject: Subject, answers: Answers) -> Tally:
    """Only where a decision selects: of two classes."""
    if subject.outputs.task != "Binary":
        return {}
    tally: Tally = {}
    decided = ~np.isnan(answers.decided)
    for name in subject.protected:
        edges = subject.segments.get(name)
        for value, rows in _parts(batch, name, edges, _MOST):
            chosen = rows & decided
            tally |= under(("group", name, value), group_tally(answers.decided[chosen], answers.truth[chosen]))
    return tally


def _values(batch: Batch, subject: Subject, answers: Answers) -> Tally:
    if not subject.values:
        return {}
    columns = expression_columns(batch, subject, answers)
    tally: Tally = {}
    for name, expression in subject.values.items():
        values = expression.evaluate(
            {key: columns[key] for key in expression.columns if key in columns} or {"": batch.latency}
        )
        present = values[~np.isnan(values)]
        tally["value", name] = np.array([len(present), present.sum(), np.dot(present, present)], dtype=np.float64)
    return tally


def expression_columns(batch: Batch, subject: Subject, answers: Answers) -> dict[str, Any]:
    """What expressions may name."""
    columns: dict[str, Any] = {"latency": batch.latency, "label": batch.truth}
    columns |= {f"input.{name}": values for name, values in batch.numbers.items()}
    columns |= {f"input.{name}": texts.values() for name, texts in batch.texts.items()}
    columns |= {f"output.{name}": values for name, values in batch.output_numbers.items()}
    columns |= {f"output.{name}": texts.values() for name, texts in batch.output_texts.items()}
    columns |= {f"outcome.{name}": values for name, values in batch.outcomes.items()}
    probabilities = subject.outputs.probabilities
    for index, name in enumerate(subject.outputs.classes):
        if probabilities and f"output.{probabilities}[{name}]" in columns:
            columns.setdefault(f"output.{probabilities}[{index}]", columns[f"output.{probabilities}[{name}]"])
    if answers.scores is not None:
        columns["score"] = answers.scores
    columns["prediction"] = answers.decided
    if subject.outputs.classes:
        columns["prediction"], columns["label"] = (_classes(subject, one) for one in (answers.decided, answers.truth))
    return columns


def _classes(subject: Subject, codes: Floats) -> Any:
    """Class numbers as what the classes are called: whoever labelled may have written them otherwise."""
    classes = list(subject.outputs.classes)
    if subject.outputs.task == "Binary" and subject.outputs.positive == 0:
        classes = classes[::-1]
    try:
        names: Any = np.array([*map(float, classes), np.nan])
    except ValueError:
        names = np.array([*classes, None], dtype=object)
    return names[np.where(np.isnan(codes), -1, codes).astype(np.int64)]
