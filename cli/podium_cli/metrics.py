"""Quality of the training library's answers on rows with a known target, under the metrics' usual names."""

from typing import Any

import numpy as np
from sklearn import metrics
from sklearn.pipeline import Pipeline

from podium_cli.answers import Answers, wire_labels
from podium_cli.errors import UserError


def training_metrics(pipeline: Pipeline, answers: Answers, target: Any) -> dict[str, float]:
    """accuracy, log_loss, brier and auc (two classes) of a classifier; rmse, mae and r2 of a regressor."""
    truth = np.asarray(target)
    if "prediction" in answers.outputs:
        predicted = answers.outputs["prediction"].reshape(truth.shape)
        return {
            "rmse": float(metrics.root_mean_squared_error(truth, predicted)),
            "mae": float(metrics.mean_absolute_error(truth, predicted)),
            "r2": float(metrics.r2_score(truth, predicted)),
        }
    classes = wire_labels(np.asarray(pipeline.classes_))
    truth = wire_labels(truth)
    if truth.dtype != classes.dtype:
        known = ", ".join(map(repr, classes.tolist()))
        raise UserError(
            f"the target column holds {truth.tolist()[0]!r}, the model's classes are {known}; they must be of one type"
        )
    strange = sorted({str(label) for label in truth} - {str(label) for label in classes})
    if strange:
        raise UserError(
            f"the target column holds {strange[0]}, which is none of the model's classes: {', '.join(map(str, classes))}"
        )
    found = {"accuracy": float(np.mean(truth == answers.outputs["label"]))}
    if "probabilities" not in answers.outputs:
        return found
    return found | _probability_metrics(truth, classes, answers.outputs["probabilities"])


def _probability_metrics(truth: Any, classes: Any, probabilities: Any) -> dict[str, float]:
    codes = (
        np.searchsorted(classes.astype(str), truth.astype(str))
        if classes.dtype == object
        else np.searchsorted(classes, truth)
    )
    clipped = np.clip(probabilities[np.arange(len(codes)), codes], 1e-15, 1.0)
    found = {"log_loss": float(-np.log(clipped).mean())}
    if len(classes) == 2 and len(np.unique(codes)) == 2:
        found["auc"] = float(metrics.roc_auc_score(codes, probabilities[:, 1]))
        found["brier"] = float(np.mean((probabilities[:, 1] - codes) ** 2))
    return found
