"""Which columns a fitted pipeline can do without: those that an imputer takes first."""

from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.impute import KNNImputer, MissingIndicator, SimpleImputer
from sklearn.pipeline import FeatureUnion, Pipeline


def imputed_columns(step: Any, names: list[str]) -> set[str]:
    """The names of `names`, the columns that `step` takes, whose missing values an imputer fills before anything else."""
    if isinstance(step, Pipeline):
        return imputed_columns(step.steps[0][1], names)
    if isinstance(step, FeatureUnion):
        return set.intersection(*(imputed_columns(part, names) for _, part in step.transformer_list))
    if isinstance(step, SimpleImputer | KNNImputer | MissingIndicator):
        return set(names)
    if not isinstance(step, ColumnTransformer):
        return set()
    imputed: set[str] = set()
    bare: set[str] = set()
    for _, part, chosen in step.transformers_:
        taken = _names(chosen, names)
        if isinstance(part, str):
            bare |= set(taken) if part == "passthrough" else set()
            continue
        filled = imputed_columns(part, taken)
        imputed |= filled
        bare |= set(taken) - filled
    return imputed - bare


def _names(chosen: Any, names: list[str]) -> list[str]:
    """A ColumnTransformer's choice of columns: a name, a number, a slice, or a list of names, numbers or booleans."""
    if isinstance(chosen, str):
        return [chosen]
    if isinstance(chosen, slice):
        if isinstance(chosen.start, str) or isinstance(chosen.stop, str):
            start = 0 if chosen.start is None else names.index(chosen.start)
            stop = len(names) if chosen.stop is None else names.index(chosen.stop) + 1
            return names[start:stop]
        return names[chosen]
    picked = np.atleast_1d(np.asarray(chosen))
    if picked.dtype.kind == "b":
        return [name for name, take in zip(names, picked, strict=True) if take]
    if picked.dtype.kind in "iu":
        return [names[index] for index in picked]
    return [str(name) for name in picked]
