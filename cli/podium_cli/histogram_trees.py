"""ONNX for HistGradientBoosting in doubles. skl2onnx rounds its thresholds to float32: up to 4 % of rows get another answer.

The library compares doubles, and so does TreeEnsembleRegressor when thresholds come as a double tensor (ai.onnx.ml 3). It
sums leaves in doubles too and gives floats, which costs at most 6e-8 of the raw score.
"""

from typing import Any

import numpy as np
from onnx import TensorProto, numpy_helper

from podium_cli.graph import GraphBuilder

_LINKS = {
    "IdentityLink": None,
    "LogLink": "Exp",
    "LogitLink": "Sigmoid",
    "HalfLogitLink": "Sigmoid",
    "MultinomialLogit": "Softmax",
}


def convert_histogram_regressor(scope: Any, operator: Any, container: Any) -> None:
    graph, model = GraphBuilder(scope, container), operator.raw_operator
    raw = _raw_scores(graph, operator.inputs[0].full_name, model)
    inverse = _inverse_link(model)
    graph.node(inverse or "Identity", raw, output=operator.outputs[0].full_name)


def convert_histogram_classifier(scope: Any, operator: Any, container: Any) -> None:
    graph, model = GraphBuilder(scope, container), operator.raw_operator
    raw = _raw_scores(graph, operator.inputs[0].full_name, model)
    inverse = _inverse_link(model)
    label, probabilities = (output.full_name for output in operator.outputs)
    if inverse == "Softmax":
        graph.node("Softmax", raw, output=probabilities, axis=1)
    else:
        second = graph.node("Sigmoid", raw)
        first = graph.node("Sub", graph.constant(np.array([[1.0]])), second)
        graph.node("Concat", first, second, output=probabilities, axis=1)
    classes = np.asarray(model.classes_)
    codes = classes.astype(object if classes.dtype.kind in "OUS" else np.int64)
    position = graph.node("ArgMax", probabilities, axis=1, keepdims=0)
    graph.node("Gather", graph.constant(codes), position, output=label, axis=0)


def _inverse_link(model: Any) -> str | None:
    name = type(model._loss.link).__name__
    if name not in _LINKS:
        raise NotImplementedError(f"{type(model).__name__} with link {name} has no converter")
    return _LINKS[name]


def _raw_scores(graph: GraphBuilder, matrix: str, model: Any) -> str:
    """Baseline plus the sum of all leaves, shape [rows, trees per iteration]."""
    baseline = np.asarray(model._baseline_prediction, dtype=float).reshape(1, -1)
    attributes = _tree_attributes(model._predictors)
    scores = graph.node(
        "TreeEnsembleRegressor",
        matrix,
        domain="ai.onnx.ml",
        n_targets=baseline.shape[1],
        post_transform="NONE",
        **attributes,
    )
    return graph.node("Add", graph.node("Cast", scores, to=TensorProto.DOUBLE), graph.constant(baseline))


def _tree_attributes(iterations: Any) -> dict[str, Any]:
    nodes: dict[str, list[Any]] = {key: [] for key in _NODE_KEYS}
    leaves: dict[str, list[Any]] = {"target_treeids": [], "target_nodeids": [], "target_ids": [], "target_weights": []}
    trees = [(target, tree.nodes) for iteration in iterations for target, tree in enumerate(iteration)]
    for tree_id, (target, table) in enumerate(trees):
        for node_id, row in enumerate(table):
            _add_node(nodes, tree_id, node_id, row)
            if row["is_leaf"]:
                leaves["target_treeids"].append(tree_id)
                leaves["target_nodeids"].append(node_id)
                leaves["target_ids"].append(target)
                leaves["target_weights"].append(float(row["value"]))
    thresholds = np.array(nodes.pop("nodes_values"), dtype=np.float64)
    weights = np.array(leaves.pop("target_weights"), dtype=np.float64)
    return {
        **nodes,
        **leaves,
        "nodes_values_as_tensor": numpy_helper.from_array(thresholds, "thresholds"),
        "target_weights_as_tensor": numpy_helper.from_array(weights, "weights"),
    }


_NODE_KEYS = (
    "nodes_treeids",
    "nodes_nodeids",
    "nodes_featureids",
    "nodes_modes",
    "nodes_values",
    "nodes_truenodeids",
    "nodes_falsenodeids",
    "nodes_missing_value_tracks_true",
)


def _add_node(nodes: dict[str, list[Any]], tree_id: int, node_id: int, row: Any) -> None:
    leaf = bool(row["is_leaf"])
    values = (
        tree_id,
        node_id,
        0 if leaf else int(row["feature_idx"]),
        "LEAF" if leaf else "BRANCH_LEQ",
        0.0 if leaf else float(row["num_threshold"]),
        0 if leaf else int(row["left"]),
        0 if leaf else int(row["right"]),
        0 if leaf else int(row["missing_go_to_left"]),
    )
    for key, value in zip(_NODE_KEYS, values, strict=True):
        nodes[key].append(value)
