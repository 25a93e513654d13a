"""One column in one window beside the reference: distances, the test, and the quality of its values."""

from dataclasses import dataclass

import numpy as np

from podium_evaluation.bins import Counts, pooled_categories
from podium_evaluation.columns import Column
from podium_evaluation.drift import (
    Sample,
    Severity,
    Test,
    chi_square,
    jensen_shannon_distance,
    kolmogorov_smirnov,
    p_value_with_missing,
    population_stability_index,
    psi_severity,
    psi_threshold,
    wasserstein_distance,
)


@dataclass(frozen=True)
class ColumnDrift:
    """`ks` and `wasserstein` are of numbers; `chi2` is of categories, and of numbers where a window has none."""

    psi: float
    psi_threshold: float
    severity: Severity
    """By the PSI and its threshold, before the multiplicity of columns is taken into account."""
    ks: Test | None
    chi2: Test | None
    jensen_shannon: float
    wasserstein: float
    p_value: float
    """That neither values nor the share of missing ones moved: what multiplicity control takes."""


@dataclass(frozen=True)
class ColumnQuality:
    """Shares of the window's rows."""

    missing: float
    out_of_range: float
    """Outside of the reference's smallest and largest value."""
    unseen: float
    """In a category that the reference has not."""
    wrong_type: float
    """Text in a column of numbers."""


def column_drift(reference: Column, current: Column) -> ColumnDrift:
    """Raises ValueError when a window has no row."""
    old, new = _counted(reference, current)
    binned = (old, new) if reference.kind == "Numeric" else pooled_categories(old, new)
    psi, threshold = population_stability_index(*binned), psi_threshold(*binned)
    samples = _samples(reference, current) if reference.kind == "Numeric" else None
    finite = samples is not None and len(samples[0].finite) and len(samples[1].finite)
    test = kolmogorov_smirnov(*samples) if samples else chi_square(*binned)
    return ColumnDrift(
        psi=psi,
        psi_threshold=threshold,
        severity=psi_severity(psi, threshold),
        ks=test if samples else None,
        chi2=None if samples else test,
        jensen_shannon=jensen_shannon_distance(*binned),
        wasserstein=wasserstein_distance(*samples) if samples and finite else float("nan"),
        p_value=p_value_with_missing(test, old, new) if samples else test.p_value,
    )


def _samples(reference: Column, current: Column) -> tuple[Sample, Sample] | None:
    """None where either has no number."""
    numbers = _numbers(current)
    return (reference.sample, Sample(np.sort(numbers))) if reference.sample and len(numbers) else None


def column_quality(reference: Column, current: Column) -> ColumnQuality:
    """Raises ValueError when the window has no row."""
    rows = len(current)
    if rows == 0:
        raise ValueError(f"column {current.name!r} has no row")
    if reference.kind == "Categorical":
        unseen = sum(count for name, count in _counts(current).items() if name not in reference.counts)
        return ColumnQuality(float(current.missing.mean()), 0.0, unseen / rows, 0.0)
    numbers, seen = _numbers(current), reference.numbers
    outside = int(((numbers < seen[0]) | (numbers > seen[-1])).sum()) if len(seen) else 0
    wrong = rows - int(current.missing.sum()) - len(numbers)
    return ColumnQuality(float(current.missing.mean()), outside / rows, 0.0, wrong / rows)


def _counted(reference: Column, current: Column) -> tuple[Counts, Counts]:
    if reference.kind == "Numeric":
        bins, counts = reference.bins
        numbers = _numbers(current)
        gone = np.full(len(current) - len(numbers), np.nan)
        return counts, bins.count(np.concatenate([numbers, gone]))
    categories, counts = reference.categories
    return counts, categories.count(_counts(current), int(current.missing.sum()))


def _numbers(column: Column) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """What is a number in a column that may have become text."""
    if column.kind == "Numeric":
        return column.numbers
    found = []
    for value in column.values.tolist():
        try:
            found.append(float(value))
        except (TypeError, ValueError):
            continue
    numbers = np.array(found, dtype=np.float64)
    return numbers[~np.isnan(numbers)]


def _counts(column: Column) -> dict[str, int]:
    """Rows per category, also of a column of categories that became numbers."""
    if column.kind == "Categorical":
        return column.counts
    values, counts = np.unique(column.numbers, return_counts=True)
    return {
        str(int(value)) if float(value).is_integer() else str(value): int(count)
        for value, count in zip(values, counts, strict=True)
    }
