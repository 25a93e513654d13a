"""The rows that `podium evaluate` judges: tables from files, with their labels, as the statistics see them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from podium_cli.errors import UserError
from podium_cli.loading import load_table
from podium_evaluation.columns import Column, column, texts
from podium_evaluation.evaluate import task_of
from podium_evaluation.sequences import Floats
from podium_evaluation.tables import Table, Task

TRUTHS = {"true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0}
"""Words for 1 and 0, in small letters."""
_ROUNDING = 1e-6
"""Probabilities of single precision may lie so far outside of 0 and 1."""


@dataclass(frozen=True)
class Options:
    """As typed: the files, and the columns that mean something."""

    reference: Path
    current: Path
    target: str | None
    score: str
    prediction: str | None
    labels: Path | None
    identity: str | None
    protected: list[str]
    segments: list[str]


@dataclass(frozen=True)
class Rows:
    """Reference and current rows, and what the user may want to know of how they were read."""

    frame: Any
    """The current rows as they were read."""
    reference: Table
    current: Table
    task: Task
    notes: list[str]


def rows_of(options: Options, time_column: str | None) -> Rows:
    """Raises UserError naming what does not fit."""
    reference, (current, notes) = load_table(options.reference), _labelled(options)
    for frame, path in ((reference, options.reference), (current, options.current)):
        if len(frame) == 0:
            raise UserError(f"{path} has no row")
        _check_columns(frame, path, options, is_current=path == options.current)
    _check_named_somewhere(options, [reference, current])
    old, new = (_table(frame, options, time_column) for frame in (reference, current))
    old, new, task = _meant(old, new, options)
    notes += _notes(old, task)
    return Rows(current, old, new, task, notes)


def _labelled(options: Options) -> tuple[Any, list[str]]:
    """The current rows with the labels that came apart from them. Of several labels of an id the last one counts; a row
    without any keeps the truth that its own file may hold."""
    frame = load_table(options.current)
    if options.labels is None:
        return frame, []
    target, identity = options.target, options.identity
    if identity is None or target is None:
        raise UserError("--labels needs --id, the column that joins them, and --target, the column that they hold")
    labels = load_table(options.labels)
    asked = (options.labels, labels, [identity, target]), (options.current, frame, [identity])
    for path, table, needed in asked:
        gone = [name for name in needed if name not in table.columns]
        if gone:
            raise UserError(f"{path} has no column {gone[0]!r}; it must have {' and '.join(map(repr, needed))}")
    given = labels.dropna(subset=[identity])[[identity, target]]
    newest = given.drop_duplicates(identity, keep="last")
    try:
        joined = frame[[identity]].merge(newest, on=identity, how="left", indicator=True)
    except ValueError as error:
        kinds = " and ".join(f"{table[identity].dtype} in {path}" for path, table, _ in asked)
        raise UserError(f"--id {identity!r} is {kinds}: no row can have a label; write it alike in both") from error
    found = np.asarray(joined["_merge"] == "both")
    own = np.asarray(frame[target], dtype=object) if target in frame.columns else np.full(len(frame), None, dtype=object)
    truth = np.where(found, np.asarray(joined[target], dtype=object), own)
    notes = []
    if not found.any():
        notes.append(f"no row of {options.current} has a label in {options.labels}")
    differing = int((given.groupby(identity)[target].nunique() > 1).sum())
    if differing:
        notes.append(f"{differing} ids of {options.labels} have several labels that differ; the last of each counts")
    return frame.assign(**{target: truth}), notes


def _check_columns(frame: Any, path: Path, options: Options, *, is_current: bool) -> None:
    named = [("--score", options.score)]
    if options.prediction is not None:
        named.append(("--prediction", options.prediction))
    if is_current:
        named += [("--protected", name) for name in options.protected]
        named += [("--segment", name) for name in options.segments]
    for option, wanted in named:
        if wanted not in frame.columns:
            raise UserError(f"{option} is {wanted!r}, but {path} has the columns {_listed(frame)}")


def _check_named_somewhere(options: Options, frames: Sequence[Any]) -> None:
    """A target may be absent from one file; from both it is mistyped. And it is no score."""
    if options.target is not None and options.target in (options.score, options.prediction):
        raise UserError(f"--target is {options.target!r}, which is given as --score or --prediction too")
    for option, wanted in (("--target", options.target), ("--id", options.identity)):
        if wanted is not None and not any(wanted in frame.columns for frame in frames):
            raise UserError(f"{option} is {wanted!r}, which neither file has: {options.current} has {_listed(frames[1])}")


def _listed(frame: Any) -> str:
    names = ", ".join(map(str, frame.columns[:20]))
    return names if len(frame.columns) <= 20 else f"{names}, and {len(frame.columns) - 20} more"


def _table(frame: Any, options: Options, time_column: str | None) -> Table:
    columns = {str(name): column(str(name), np.asarray(frame[name])) for name in frame.columns}
    special = {options.score, options.target, options.prediction, options.identity, time_column}
    return Table(
        columns=columns,
        score=options.score,
        target=options.target,
        prediction=options.prediction,
        protected=options.protected,
        segments=options.segments,
        features=[name for name in columns if name not in special],
    )


def _meant(reference: Table, current: Table, options: Options) -> tuple[Table, Table, Task]:
    """Both with scores as numbers, truths and decisions as numbers or classes, and what the rows ask for. The reference's
    truths say that, where it has any."""
    scored = [
        _with(table, options.score, _numbers(table.columns[options.score], path))
        for table, path in ((reference, options.reference), (current, options.current))
    ]
    probabilities, scored = _as_probabilities(scored)
    scored = [replace(table, probabilities=probabilities) for table in scored]
    numbers = [_all_numbers(table, options, path) for table, path in zip(scored, _paths(options), strict=True)]
    kept = [one for one in numbers if not isinstance(one, UserError)]
    if len(kept) == len(numbers):
        task = _task(kept, decided=options.prediction is not None)
        if task != "Classes":
            _check_binary(kept, options, task)
            return kept[0], kept[1], task
    if options.prediction is None or options.target is None:
        raise next(one for one in numbers if isinstance(one, UserError))
    old, new = _as_classes(scored, options.target, options.prediction)
    return old, new, "Classes"


def _task(tables: Sequence[Table], *, decided: bool) -> Task:
    """The reference's truths say it, where it has any, else the current ones. Probabilities without any truth are of two
    classes: what can be told before labels arrive is told."""
    truth = next((table.truth for table in tables if not np.isnan(table.truth).all()), None)
    if truth is None:
        return "Binary" if tables[0].probabilities else "Numbers"
    return task_of(truth, decided=decided)


def _paths(options: Options) -> tuple[Path, Path]:
    return options.reference, options.current


def _with(table: Table, name: str, found: Column) -> Table:
    return replace(table, columns={**table.columns, name: found})


def _all_numbers(table: Table, options: Options, path: Path) -> Table | UserError:
    """With the target and the decision as numbers, or why they are none."""
    for name in (options.target, options.prediction):
        if name is not None and name in table.columns:
            try:
                table = _with(table, name, _numbers(table.columns[name], path))
            except UserError as error:
                return error
    return table


def _check_binary(tables: Sequence[Table], options: Options, task: Task) -> None:
    if task != "Binary":
        return
    for table, path in zip(tables, _paths(options), strict=True):
        for name, values in ((options.target, table.truth), (options.prediction, table.decided)):
            wrong = values[~np.isnan(values) & ~np.isin(values, (0.0, 1.0))]
            if len(wrong):
                raise UserError(f"column {name!r} of {path} holds {wrong[0]:g}, must hold 0 and 1 as the other truths do")


def _as_classes(tables: Sequence[Table], target: str, prediction: str) -> list[Table]:
    names: dict[str, set[str]] = {target: set(), prediction: set()}
    found = []
    for table in tables:
        for name in names:
            if name in table.columns:
                text = texts(table.columns[name].values)
                names[name] |= {value for value in text.tolist() if value is not None}
                table = _with(table, name, Column(name, "Categorical", text))
        found.append(table)
    if names[target] and names[prediction] and not names[target] & names[prediction]:
        one, other = min(names[target]), min(names[prediction])
        raise UserError(f"{target!r} and {prediction!r} have no class in common: {one!r} in one, {other!r} in the other")
    return [replace(table, classes=tuple(sorted(names[target] | names[prediction]))) for table in found]


def _as_probabilities(tables: Sequence[Table]) -> tuple[bool, list[Table]]:
    """Whether the reference's scores (or else the current ones) lie in [0, 1], those a rounding error outside of it moved
    back."""
    known = next((table.scores for table in tables if np.isfinite(table.scores).any()), np.empty(0))
    known = known[np.isfinite(known)]
    if not ((known >= -_ROUNDING) & (known <= 1 + _ROUNDING)).all():
        return False, list(tables)
    found = []
    for table in tables:
        scores = table.scores
        near = (scores >= -_ROUNDING) & (scores <= 1 + _ROUNDING)
        moved = np.where(near, np.clip(scores, 0.0, 1.0), scores)
        found.append(_with(table, table.score, Column(table.score, "Numeric", moved)))
    return True, found


def _notes(reference: Table, task: Task) -> list[str]:
    if task != "Binary" or reference.decides:
        return []
    note = f"scores in {reference.score!r} are no probabilities, so no decision follows from them: "
    return [note + "name the column of decisions by --prediction for accuracy, F1 and fairness"]


def _numbers(found: Column, path: Path) -> Column:
    """Scores and truths are numbers; a column of true and false, or yes and no, is one too."""
    if found.kind == "Numeric":
        return found
    try:
        values: Floats = np.array([number_of(value) for value in found.values.tolist()], np.float64)
    except ValueError as error:
        raise UserError(
            f"column {found.name!r} of {path} holds {error}, which is no number; write numbers, true and false, or yes and "
            "no, or name the column of decided classes by --prediction"
        ) from error
    return Column(found.name, "Numeric", values)


def number_of(value: str | None) -> float:
    """Raises ValueError that says only what is none."""
    if value is None:
        return np.nan
    if value.strip().lower() in TRUTHS:
        return TRUTHS[value.strip().lower()]
    try:
        return float(value)
    except ValueError:
        raise ValueError(repr(value)) from None
