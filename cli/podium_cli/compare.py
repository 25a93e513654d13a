"""`podium compare-scores`: is one model's score better than another's, on rows that both scored?"""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
from rich.console import Console
from rich.table import Table

from podium_cli.errors import UserError
from podium_cli.evaluation_rows import TRUTHS
from podium_cli.loading import load_table
from podium_evaluation.auc import Auc, AucDifference, auc_difference
from podium_evaluation.losses import LossType, NotProbabilities, differences
from podium_evaluation.sequences import Floats, Verdict, confidence_sequence, first_verdict

_IN_WORDS = {
    "Better": "B is better",
    "NotBetter": "B is not better by the minimum that was asked for",
    "Worse": "B is worse",
    "Undecided": "undecided: go on",
    "NotEnoughData": "not enough data for a verdict",
}


@dataclass(frozen=True)
class CompareOptions:
    """As typed. `scores` are the champion's and the challenger's columns."""

    file: Path
    target: str
    scores: tuple[str, ...]
    identity: str | None
    loss: str
    alpha: float
    minimum_improvement: float
    json: str | None


def compare_scores(options: CompareOptions, console: Console) -> None:
    """Prints both AUCs, DeLong's test and the sequential verdict. Raises UserError naming what does not fit."""
    if options.loss not in get_args(LossType):
        raise UserError(f"--loss is {options.loss!r}, must be one of {', '.join(get_args(LossType))}")
    if len(options.scores) != 2:
        raise UserError(
            f"--score is given {len(options.scores)} times; give it twice: the champion's column, the challenger's"
        )
    rows = _columns(options)
    try:
        areas = auc_difference(rows.target, rows.first, rows.second)
        paired = differences(cast(LossType, options.loss), rows.target, rows.first, rows.second)
        sequence = confidence_sequence(paired.values, options.alpha)
        verdict = first_verdict(sequence, paired.enough, options.minimum_improvement)
    except NotProbabilities as error:
        raise UserError(f"--loss {error}") from error
    except ValueError as error:
        raise UserError(f"{options.file}: {error}") from error
    if options.json is not None:
        _write_json(options, areas, verdict, rows)
    else:
        _show(options, areas, verdict, console)
        if rows.unlabelled:
            console.print(f"{rows.unlabelled} rows without a target were left out")


@dataclass(frozen=True)
class Columns:
    """Of the rows whose target is known, in the file's order; shapes (n,)."""

    target: Floats
    first: Floats
    second: Floats
    unlabelled: int
    """Rows that were left out: their target is not known yet."""


def _columns(options: CompareOptions) -> Columns:
    table = load_table(options.file)
    asked = [("--target", options.target), *(("--score", name) for name in options.scores)]
    for option, name in asked:
        if name not in table.columns:
            listed = ", ".join(map(str, table.columns[:20]))
            raise UserError(f"{option} is {name!r}, but {options.file} has the columns {listed}")
    if options.identity is not None:
        if options.identity not in table.columns:
            raise UserError(f"--id is {options.identity!r}, which is no column of {options.file}")
        twice = table[options.identity][table[options.identity].duplicated()]
        if len(twice):
            raise UserError(f"{len(twice)} rows of {options.file} have an --id that another has, e.g. {twice.iloc[0]}")
    labelled = table[table[options.target].notna()]
    if len(labelled) == 0:
        raise UserError(f"no row of {options.file} has a {options.target!r}")
    found = []
    for _, name in asked:
        try:
            values = np.asarray(_spelled(labelled[name]) if name == options.target else labelled[name], dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise UserError(f"column {name!r} of {options.file} holds what is no number: {error}") from error
        if not np.isfinite(values).all():
            row = labelled.index[int(np.flatnonzero(~np.isfinite(values))[0])]
            raise UserError(f"column {name!r} of {options.file} has no finite number in row {row} (rows count from 0)")
        found.append(values)
    return Columns(found[0], found[1], found[2], unlabelled=len(table) - len(labelled))


def _spelled(truth: Any) -> Any:
    """Words for 1 and 0 as numbers; all else as it is."""
    return [TRUTHS.get(value.strip().lower(), value) if isinstance(value, str) else value for value in truth.tolist()]


def _show(options: CompareOptions, areas: AucDifference, verdict: Verdict, console: Console) -> None:
    table = Table("score", "AUC", "95 % interval")
    for name, area in zip(options.scores, (areas.first, areas.second), strict=True):
        table.add_row(name, f"{area.value:.6f}", f"{area.interval[0]:.6f} to {area.interval[1]:.6f}")
    table.add_row("A - B", f"{areas.difference:+.6f}", f"{areas.interval[0]:+.6f} to {areas.interval[1]:+.6f}")
    console.print(table)
    console.print(f"DeLong    z = {areas.z:.4f}, p = {areas.p_value:.4g} (one look, fixed sample)")
    console.print(
        f"evidence  {_IN_WORDS[verdict.decision.value]}: after {verdict.units} units {options.loss} of A - B is "
        f"{verdict.improvement:+.6f}, {verdict.lower:+.6f} to {verdict.upper:+.6f} at all times with "
        f"{100 * (1 - options.alpha):g} % (a look after each unit)",
        soft_wrap=True,
    )


def _finite(value: Any) -> Any:
    """Numbers that do not exist are null: JSON has no NaN."""
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _write_json(options: CompareOptions, areas: AucDifference, verdict: Verdict, rows: Columns) -> None:
    def shown(area: Auc) -> dict[str, Any]:
        return {"auc": area.value, "standard_error": area.standard_error, "interval": list(area.interval)}

    document = {
        "rows": len(rows.target),
        "unlabelled": rows.unlabelled,
        "a": shown(areas.first),
        "b": shown(areas.second),
        "delong": {
            "difference": areas.difference,
            "interval": list(areas.interval),
            "z": areas.z,
            "p_value": areas.p_value,
        },
        "sequential": {"loss": options.loss, "alpha": options.alpha, **asdict(verdict)},
    }
    text = json.dumps(_finite(document), indent=2) + "\n"
    if options.json == "-":
        print(text, end="")
    else:
        Path(str(options.json)).write_text(text, encoding="utf-8")
