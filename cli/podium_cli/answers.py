"""What the training library answers, in the shape of the model's outputs: parity and golden rows are held to it."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.pipeline import Pipeline

from podium_cli.columns import Array
from podium_cli.errors import ModelRefused
from podium_crds.package import OutputSpec


@dataclass(frozen=True)
class Answers:
    """Outputs by name, rows first. `margins` and `winners` (the best probability) come with probabilities only."""

    outputs: dict[str, Array]
    margins: Array | None = None
    winners: Array | None = None

    @property
    def rows(self) -> int:
        return len(next(iter(self.outputs.values())))


def library_answers(pipeline: Pipeline, frame: Any) -> Answers:
    """Raises whatever the library raises. Its warnings (of unknown categories, say) concern rows that are meant so."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _answers(pipeline, frame)


def _answers(pipeline: Pipeline, frame: Any) -> Answers:
    table = frame if hasattr(pipeline, "feature_names_in_") else frame.to_numpy()
    if not is_classifier(pipeline):
        predicted = np.asarray(pipeline.predict(table), dtype=float)
        return Answers({"prediction": predicted.reshape(len(frame), -1)})
    labels = wire_labels(np.asarray(pipeline.predict(table)))
    if not hasattr(pipeline, "predict_proba"):
        return Answers({"label": labels})
    probabilities = np.asarray(pipeline.predict_proba(table), dtype=float)
    ordered = np.sort(probabilities, axis=1)
    margins = ordered[:, -1] - ordered[:, -2] if probabilities.shape[1] > 1 else np.ones(len(frame))
    return Answers({"label": labels, "probabilities": probabilities}, margins, ordered[:, -1])


def joined(parts: list[Answers]) -> Answers:
    """Rows of several answers of one model below each other."""

    def stack(arrays: list[Array | None]) -> Array | None:
        present = [array for array in arrays if array is not None]
        return np.concatenate(present) if len(present) == len(arrays) else None

    outputs = {name: np.concatenate([part.outputs[name] for part in parts]) for name in parts[0].outputs}
    return Answers(outputs, stack([part.margins for part in parts]), stack([part.winners for part in parts]))


def wire_labels(labels: Array) -> Array:
    """Class labels as the wire has them: strings, or integers for anything that is a whole number."""
    if labels.ndim != 1:
        raise ModelRefused("the model predicts several labels per row; package one classifier per label")
    if labels.dtype.kind in "OUST":
        if not all(isinstance(label, str) for label in labels):
            raise ModelRefused(
                f"the class label {labels[0]!r} is neither a string nor a whole number; train on strings or integers"
            )
        return labels.astype(object)
    whole = labels.astype(np.int64)
    if not np.array_equal(whole, labels):
        raise ModelRefused("class labels are fractions; train on strings or integers")
    return whole


def output_specs(pipeline: Pipeline, answers: Answers) -> list[OutputSpec]:
    """How the outputs are declared. Floats leave as FP32: no library is exact to more, and JSON stays short."""
    if "prediction" in answers.outputs:
        return [
            OutputSpec(name="prediction", datatype="FP32", shape=[-1, answers.outputs["prediction"].shape[1]], kind="Value")
        ]
    codes = wire_labels(np.asarray(pipeline.classes_))
    classes = [str(code) for code in codes]
    specs = [
        OutputSpec(
            name="label", datatype="BYTES" if codes.dtype == object else "INT64", shape=[-1], kind="Label", classes=classes
        )
    ]
    if "probabilities" in answers.outputs:
        shape = [-1, len(classes)]
        specs.append(OutputSpec(name="probabilities", datatype="FP32", shape=shape, kind="Probabilities", classes=classes))
    return specs
