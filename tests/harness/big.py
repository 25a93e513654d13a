"""A package too big to be held twice in a small pod: a sum that looks up a row of a large table."""

from pathlib import Path

import numpy as np
import onnx
import yaml
from onnx import TensorProto, helper, numpy_helper

from podium_crds.package import DESCRIPTOR_FILE, GOLDEN_FILE, MODEL_FILE
from serving_fixtures import golden_lines, weighted_sum_descriptor, write_package

ROWS = 20_000_000
"""Float32 rows: 80 MB."""


def big_sum_onnx(factor: float) -> bytes:
    """score = factor * (x0 + x1) + table[int(0 * x0)], and the table is zeros that no optimizer may fold away."""
    names = ["x0", "x1"]
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", 1]) for name in names]
    table = np.zeros(ROWS, dtype=np.float32)
    table[1:] = np.random.default_rng(0).standard_normal(ROWS - 1, dtype=np.float32)
    nodes = [
        helper.make_node("Add", names, ["sum"]),
        helper.make_node("Mul", ["sum", "factor"], ["scaled"]),
        helper.make_node("Mul", ["x0", "zero"], ["nothing"]),
        helper.make_node("Cast", ["nothing"], ["index"], to=TensorProto.INT64),
        helper.make_node("Gather", ["table", "index"], ["row"], axis=0),
        helper.make_node("Add", ["scaled", "row"], ["score"]),
    ]
    constants = [
        numpy_helper.from_array(table, "table"),
        helper.make_tensor("factor", TensorProto.FLOAT, [1], [factor]),
        helper.make_tensor("zero", TensorProto.FLOAT, [1], [0.0]),
    ]
    output = helper.make_tensor_value_info("score", TensorProto.FLOAT, ["rows", 1])
    graph = helper.make_graph(nodes, "big", inputs, [output], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def make_big_package(folder: Path, *, version: str, factor: float) -> str:
    """The package's digest. Its golden rows are those of a plain sum with equal weights."""
    descriptor = weighted_sum_descriptor("sum", version)
    text = yaml.safe_dump(descriptor.model_dump(mode="json", exclude_defaults=True), sort_keys=False)
    contents = {
        DESCRIPTOR_FILE: text.encode(),
        MODEL_FILE: big_sum_onnx(factor),
        GOLDEN_FILE: golden_lines((factor, factor), None, 0.0, hooked=False),
    }
    return write_package(folder, descriptor, contents)
