"""A small classifier with all that /score and /explain look at: a range, categories, a wide input, two classes.

P(yes) = 1 / (1 + exp(-(tenure / 10 * effect[contract] + sum(usage * [0.5, -1, 2])))), effect = 1 by the month, -2 for
two years, else 0. So tenure and contract act together, and each value of usage by itself.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import yaml
from onnx import TensorProto, helper

from podium_crds.package import DESCRIPTOR_FILE, GOLDEN_FILE, MODEL_FILE, TRANSFORM_FILE, Descriptor
from serving_fixtures import write_package

CONTRACTS = ["Month-to-month", "Two year"]
WEIGHTS = [0.5, -1.0, 2.0]
_EFFECTS = {"Month-to-month": 1.0, "Two year": -2.0}


def probability(tenure: float, contract: str, x: list[float]) -> float:
    score = tenure / 10 * _EFFECTS.get(contract, 0.0) + sum(value * weight for value, weight in zip(x, WEIGHTS, strict=True))
    return float(1 / (1 + np.exp(-score)))


def classifier_onnx() -> bytes:
    nodes = [
        helper.make_node(
            "LabelEncoder", ["contract"], ["effect"], domain="ai.onnx.ml",
            keys_strings=CONTRACTS, values_floats=[_EFFECTS[name] for name in CONTRACTS], default_float=0.0,
        ),
        helper.make_node("Mul", ["tenure", "effect"], ["months"]),
        helper.make_node("Div", ["months", "ten"], ["together"]),
        helper.make_node("MatMul", ["usage", "weights"], ["apart"]),
        helper.make_node("Add", ["together", "apart"], ["score"]),
        helper.make_node("Sigmoid", ["score"], ["yes"]),
        helper.make_node("Sub", ["one", "yes"], ["no"]),
        helper.make_node("Concat", ["no", "yes"], ["probabilities"], axis=1),
        helper.make_node("ArgMax", ["probabilities"], ["class"], axis=1, keepdims=0),
        helper.make_node(
            "LabelEncoder", ["class"], ["label"], domain="ai.onnx.ml", keys_int64s=[0, 1], values_strings=["no", "yes"],
        ),
    ]  # fmt: skip
    graph = helper.make_graph(
        nodes,
        "churn",
        [
            helper.make_tensor_value_info("tenure", TensorProto.FLOAT, ["rows", 1]),
            helper.make_tensor_value_info("contract", TensorProto.STRING, ["rows", 1]),
            helper.make_tensor_value_info("usage", TensorProto.FLOAT, ["rows", 3]),
        ],
        [
            helper.make_tensor_value_info("label", TensorProto.STRING, ["rows"]),
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["rows", 2]),
        ],
        [
            helper.make_tensor("ten", TensorProto.FLOAT, [1], [10.0]),
            helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0]),
            helper.make_tensor("weights", TensorProto.FLOAT, [3, 1], WEIGHTS),
        ],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=opsets)
    model.ir_version = 9
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def classifier_descriptor(version: str = "1", **changes: Any) -> Descriptor:
    inputs = [
        {
            "name": "tenure",
            "datatype": "FP32",
            "shape": [-1, 1],
            "nullable": True,
            "minimum": 0,
            "maximum": 72,
            "example": 12,
        },
        {"name": "contract", "datatype": "BYTES", "shape": [-1, 1], "nullable": True, "categories": CONTRACTS},
        {"name": "usage", "datatype": "FP32", "shape": [-1, 3], "minimum": -5, "maximum": 5, "example": [1, 0, -1]},
    ]
    outputs = [
        {"name": "label", "datatype": "BYTES", "shape": [-1], "kind": "Label", "classes": ["no", "yes"]},
        {"name": "probabilities", "datatype": "FP32", "shape": [-1, 2], "kind": "Probabilities", "classes": ["no", "yes"]},
    ]
    plain = {"name": "churn", "version": version, "task": "Classification", "inputs": inputs, "outputs": outputs}
    return Descriptor.model_validate({**plain, **changes})


def golden_rows(count: int = 20) -> list[dict[str, Any]]:
    """Inputs and what the formula answers. The last row has a category that training never saw."""
    random = np.random.default_rng(0)
    rows = []
    for number in range(count):
        contract = "weekly" if number == count - 1 else CONTRACTS[number % 2]
        tenure, x = float(number % 60), [float(value) for value in random.integers(-2, 3, 3)]
        yes = probability(tenure, contract, x)
        outputs = {"label": "yes" if yes > 0.5 else "no", "probabilities": [1 - yes, yes]}
        rows.append(
            {"inputs": {"tenure": tenure, "contract": contract, "usage": x}, "outputs": outputs, "margin": abs(2 * yes - 1)}
        )
    return rows


def make_classifier(folder: Path, *, golden: int = 20, transform: str | None = None, **changes: Any) -> str:
    """Writes the package into `folder` and returns its digest. With `transform`, golden rows state no hooked answers."""
    descriptor = classifier_descriptor(transform=transform is not None, **changes)
    contents = {
        DESCRIPTOR_FILE: yaml.safe_dump(descriptor.model_dump(mode="json", exclude_defaults=True)).encode(),
        MODEL_FILE: classifier_onnx(),
    }
    if golden:
        contents[GOLDEN_FILE] = b"".join(json.dumps(row).encode() + b"\n" for row in golden_rows(golden))
    if transform is not None:
        contents[TRANSFORM_FILE] = transform.encode()
    return write_package(folder, descriptor, contents)
