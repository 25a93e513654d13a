"""Answers of the friendly lane as JSON: labels, probabilities by class, values, warnings, reasons. Pure."""

from math import prod
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from podium_crds.package import Descriptor, OutputSpec
from podium_serving.exchange import Answer, Columns
from podium_serving.explain.explainer import Explanation
from podium_serving.explain.quantity import Options
from podium_serving.oip.writing import data_json

CONFIDENCE = 0.95
"""Of the bounds of contributions."""

_KEYS = {"Label": "label", "Probabilities": "probabilities", "Value": "prediction"}

_json = msgspec.json.Encoder().encode


def written(
    descriptor: Descriptor,
    model: str,
    request_id: str,
    answer: Answer,
    warnings: list[list[str]],
    reasons: list[dict[str, Any]] | None,
    *,
    single: bool,
) -> bytes:
    """The response body. `single`: one row's answer by itself, else all under `predictions`."""
    found = predictions(descriptor, answer.columns)
    for row, said in zip(found, warnings, strict=True):
        row["warnings"] = said
    for row, reason in zip(found, reasons or (), strict=False):
        row["explanation"] = reason
    who = {"model": model, "version": answer.version, "request_id": request_id}
    return _json({**found[0], **who} if single else {"predictions": found, **who})


def predictions(descriptor: Descriptor, columns: Columns) -> list[dict[str, Any]]:
    """One object per row. The first label, probabilities and value have keys of their own, all else is in `outputs`."""
    rows = len(next(iter(columns.values())))
    found: list[dict[str, Any]] = [{} for _ in range(rows)]
    taken = set()
    for spec in descriptor.outputs:
        values = _by_class(spec, _rows(columns[spec.name]))
        key = _KEYS.get(spec.kind)
        if key is None or key in taken:
            for row, value in zip(found, values, strict=True):
                row.setdefault("outputs", {})[spec.name] = value
        else:
            taken.add(key)
            for row, value in zip(found, values, strict=True):
                row[key] = value
    return found


def _rows(column: npt.NDArray[Any]) -> list[Any]:
    """Per row a bare value where it holds one, else nested lists. The same decimals as the protocol's own answers."""
    flat = msgspec.json.decode(data_json(column))
    tail = column.shape[1:]
    if prod(tail) == 1:
        return list(flat)
    values = np.empty(len(flat), dtype=object)
    values[:] = flat
    return list(values.reshape(column.shape).tolist())


def _by_class(spec: OutputSpec, values: list[Any]) -> list[Any]:
    if spec.kind != "Probabilities" or not spec.classes:
        return values
    classes = spec.classes
    if not all(isinstance(value, list) and len(value) == len(classes) for value in values):
        return values
    return [dict(zip(classes, value, strict=True)) for value in values]


def reasons(explanation: Explanation, options: Options) -> dict[str, Any]:
    """One row's explanation: its largest contributions, what the others add up to, and how exact all this is."""
    found = explanation.found
    order = np.argsort(-np.abs(found.values), kind="stable")
    listed, rest = order[: options.top], order[options.top :]
    return {
        "target": explanation.quantity.name,
        "scale": explanation.quantity.scale,
        "prediction": explanation.prediction,
        "baseline": found.baseline,
        "contributions": [
            {
                "column": explanation.names[cell],
                "value": explanation.values[cell],
                "contribution": float(found.values[cell]),
                "bound": float(found.half_widths[cell]),
            }
            for cell in listed
        ],
        "others": float(found.values[rest].sum()),
        "bound": float(found.half_widths.max(initial=0.0)),
        "confidence": CONFIDENCE,
        "stopped": found.stopped.value,
        "rows_asked": found.asked,
        "background_rows": explanation.background_rows,
    }
