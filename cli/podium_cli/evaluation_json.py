"""The JSON of `podium evaluate`. Numbers that do not exist are null: JSON has no NaN. Pure."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from podium_evaluation.drift import Test
from podium_evaluation.estimated import ASSUMES
from podium_evaluation.evaluate import Window
from podium_evaluation.fairness import Fairness
from podium_evaluation.performance import Estimate
from podium_evaluation.realised import Curves, Figure
from podium_evaluation.usual import Band, Reference
from podium_evaluation.windows import ColumnDrift, ColumnQuality


def document(reference: Reference, windows: Sequence[Window], diagnosis: Sequence[str]) -> dict[str, Any]:
    return {
        "reference": {
            "rows": reference.rows,
            "performance": _figures(reference.performance),
            "usual": _bands(reference.usual),
            **_curves(reference.curves),
        },
        "chunks": [_window(window) for window in windows],
        "diagnosis": list(diagnosis),
    }


def _window(window: Window) -> dict[str, Any]:
    return {
        "index": window.index,
        **({"start": window.start} if window.start else {}),
        "rows": window.rows,
        "labelled": window.labelled,
        "performance": _figures(window.performance),
        "usual": _bands(window.usual),
        **_curves(window.curves),
        "segments": {name: _figures(figures) for name, figures in window.segments.items()},
        "drift": {name: _drift(one, alert=name in window.alerts) for name, one in window.drift.items()},
        "quality": {name: _quality(one) for name, one in window.quality.items()},
        "fairness": {name: _fairness(one) for name, one in window.fairness.items()},
        "estimated": {**_figures(window.estimated), **({"assumes": ASSUMES} if window.estimated else {})},
    }


def _bands(bands: Mapping[str, Band]) -> dict[str, Any]:
    return {
        name: {"mean": _number(mean), "standard_deviation": _number(deviation)} for name, (mean, deviation) in bands.items()
    }


def _curves(found: Curves | None) -> dict[str, Any]:
    if found is None:
        return {}
    curves: dict[str, Any] = {
        "roc": {"false_positive_rate": found.roc[0], "true_positive_rate": found.roc[1]},
        "lift": {"share": found.lift[0], "lift": found.lift[1]},
    }
    if found.calibration is not None:
        curves["calibration"] = [
            {"rows": one.rows, "predicted": one.mean_probability, "observed": _estimate(one.positives)}
            for one in found.calibration.bins
        ]
    return curves


def _figures(figures: Mapping[str, Figure]) -> dict[str, Any]:
    return {
        name: {"value": _number(one.value), "interval": [_number(bound) for bound in one.interval], "alert": one.alert}
        for name, one in figures.items()
    }


def _drift(one: ColumnDrift, *, alert: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "psi": _number(one.psi),
        "psi_threshold": _number(one.psi_threshold),
        "severity": one.severity.value,
        "jensen_shannon": _number(one.jensen_shannon),
        "wasserstein": _number(one.wasserstein),
        "alert": alert,
    }
    if one.ks is not None:
        found["ks"] = _test(one.ks)
    if one.chi2 is not None:
        found["chi2"] = {**_test(one.chi2), "cramers_v": _number(one.chi2.effect)}
    return found


def _test(test: Test) -> dict[str, Any]:
    return {"statistic": _number(test.statistic), "p_value": _number(test.p_value)}


def _quality(one: ColumnQuality) -> dict[str, Any]:
    return {name: _number(value) for name, value in vars(one).items()}


def _fairness(one: Fairness) -> dict[str, Any]:
    return {
        "reference": one.reference,
        "selection_rate_ratio": _estimate(one.selection_rate_ratio),
        "equal_opportunity_difference": _estimate(one.equal_opportunity_difference),
        "equalized_odds_difference": _estimate(one.equalized_odds_difference),
        "groups": {
            group.group: {
                "rows": group.rows,
                "selection_rate": _estimate(group.selection_rate),
                "true_positive_rate": _estimate(group.true_positive_rate),
                "false_positive_rate": _estimate(group.false_positive_rate),
            }
            for group in one.groups
        },
    }


def _estimate(estimate: Estimate) -> dict[str, Any]:
    return {"value": _number(estimate.value), "interval": [_number(bound) for bound in estimate.interval]}


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
