"""The pipeline and the rows that it is examined on: which columns they have, and whether the library itself answers them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from podium_cli.answers import Answers, library_answers
from podium_cli.columns import Column, Floats, infer_columns
from podium_cli.convert import as_pipeline, refuse_native_categories
from podium_cli.errors import ModelRefused, UserError
from podium_cli.nullability import imputed_columns

MAX_SAMPLE_ROWS = 200_000
"""Rows of the sample that are looked at, evenly spread. Beyond that bins and ranges no longer move."""
MAX_NAME_LENGTH = 128
FEW_ROWS = 200
"""A sample below this is packaged with a warning: parity on it proves little."""


@dataclass(frozen=True)
class Subject:
    """The pipeline with the rows it is examined on."""

    pipeline: Pipeline
    frame: Any
    target: Any | None
    columns: list[Column]
    sample_rows: int
    """All rows of the sample, also those that are not looked at."""
    warnings: list[str]


def examined(pipeline: Any, sample: Any, target: str | None, floats: Floats) -> Subject:
    fitted = as_pipeline(pipeline)
    refuse_native_categories(fitted)
    frame, truth = split_target(fitted, sample, target)
    rows = len(frame)
    warnings = []
    if rows > MAX_SAMPLE_ROWS:
        spread = np.linspace(0, rows - 1, num=MAX_SAMPLE_ROWS).astype(int)
        frame, truth = frame.iloc[spread], None if truth is None else truth.iloc[spread]
        warnings.append(f"the sample has {rows} rows; {MAX_SAMPLE_ROWS} of them, evenly spread, are looked at")
    if rows < FEW_ROWS:
        warnings.append(f"the sample has {rows} rows; parity on fewer than {FEW_ROWS} proves little")
    frame = frame.reset_index(drop=True)
    imputed = {name for name in imputed_columns(fitted, list(frame.columns)) if _takes_missing(fitted, frame, name)}
    return Subject(fitted, frame, truth, infer_columns(frame, imputed, floats), rows, warnings)


def split_target(pipeline: Pipeline, sample: Any, target: str | None) -> tuple[Any, Any | None]:
    """The pipeline's own columns of `sample`, in its order, and the target."""
    _check_table(sample)
    if target is not None and target not in sample.columns:
        raise UserError(f"the sample has no column {target!r}; its columns are {', '.join(map(str, sample.columns))}")
    truth = None if target is None else sample[target]
    if truth is not None and truth.isna().any():
        raise UserError(
            f"column {target!r} misses {int(truth.isna().sum())} of {len(truth)} values; leave out rows without a target"
        )
    names = getattr(pipeline, "feature_names_in_", None)
    if names is None:
        names = [column for column in sample.columns if column != target]
        wanted = getattr(pipeline, "n_features_in_", len(names))
        if len(names) != wanted:
            raise UserError(
                f"the model was fitted on {wanted} unnamed columns, the sample has {len(names)} besides the target"
            )
    missing = [str(name) for name in names if name not in sample.columns]
    if missing:
        raise UserError(
            f"the sample lacks {', '.join(missing)}, which the pipeline was fitted on; give rows as they were at training"
        )
    frame = sample[list(names)]
    return frame.rename(columns=str), truth


def _check_table(sample: Any) -> None:
    if len(sample) == 0:
        raise UserError("the sample has no rows")
    doubled = sample.columns[sample.columns.duplicated()]
    if len(doubled):
        raise UserError(
            f"the sample has two columns named {str(doubled[0])!r}; a column is an input, so each needs its own name"
        )
    wrong = [str(name) for name in sample.columns if not 1 <= len(str(name)) <= MAX_NAME_LENGTH]
    if wrong:
        raise UserError(
            f"the column name {wrong[0]!r} has {len(wrong[0])} characters; an input's name has 1 to {MAX_NAME_LENGTH}"
        )


def _takes_missing(pipeline: Pipeline, frame: Any, name: str) -> bool:
    """Whether the library answers a row that lacks `name`: an imputer may know another mark than NaN."""
    row = frame.head(1).astype({name: object if frame[name].dtype.kind not in "iuf" else float})
    row[name] = np.nan
    try:
        library_answers(pipeline, row)
    except (ValueError, TypeError):
        return False
    return True


def asked(pipeline: Pipeline, frame: Any) -> Answers:
    """The library's answers to rows that it must be able to answer, all finite."""
    try:
        answers = library_answers(pipeline, frame)
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"the pipeline itself fails on the sample: {type(error).__name__}: {error}; give rows as at its fit"
        ) from error
    for name, values in answers.outputs.items():
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            row = int(np.argmin(np.isfinite(values).all(axis=1)))
            raise ModelRefused(
                f"the pipeline answers row {row} of the sample with {name} {values[row]}; it must give finite numbers"
            )
    return answers
