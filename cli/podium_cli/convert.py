"""A fitted pipeline as one ONNX graph with one input per column: transforms and model together, they cannot part ways.

The graph computes in doubles, as the libraries do, whatever the floats on the wire: after a float32 StandardScaler many a
value lies on the other side of a tree's threshold (measured: 64 of 600 rows of one LightGBM pipeline). The wire's types are
put around it by casts.
"""

import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import DoubleTensorType, StringTensorType
from sklearn.base import is_classifier, is_regressor
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import FeatureUnion, Pipeline

from podium_cli.columns import Column
from podium_cli.converters import compares_float32, converters, convertible, register_boosters
from podium_cli.errors import ModelRefused, UserError
from podium_cli.runtime import session

OPSET = {"": 19, "ai.onnx.ml": 3}
"""19 compares strings; 3 of the ML domain holds tree thresholds as doubles."""
_MATRIX = "podium_matrix"
_WIRE_TYPES = {
    "BOOL": TensorProto.BOOL,
    "INT64": TensorProto.INT64,
    "FP32": TensorProto.FLOAT,
    "FP64": TensorProto.DOUBLE,
    "BYTES": TensorProto.STRING,
}


def as_pipeline(estimator: Any) -> Pipeline:
    """A search's best estimator, or a bare one, as a Pipeline. Raises UserError when it cannot predict."""
    estimator = getattr(estimator, "best_estimator_", estimator)
    if not hasattr(estimator, "predict"):
        raise UserError(
            f"a {type(estimator).__name__} has no predict; give a fitted classifier, regressor, or pipeline that ends in one"
        )
    pipeline = estimator if isinstance(estimator, Pipeline) else Pipeline([("model", estimator)])
    if not (is_classifier(pipeline) or is_regressor(pipeline)):
        raise UserError(
            f"the pipeline ends in a {type(pipeline.steps[-1][1]).__name__}, which is neither a classifier nor a regressor; "
            "export it to ONNX yourself and package the .onnx file"
        )
    return pipeline


def to_onnx(pipeline: Pipeline, columns: Sequence[Column], name: str) -> bytes:
    """The model file. Raises ModelRefused naming the step that has no conversion."""
    outputs = _outputs(pipeline)
    taken = sorted({column.name for column in columns} & {output for output, _ in outputs})
    if taken:
        raise UserError(f"a column is named {taken[0]!r}, as is an output of the model; rename the column before training")
    by_column = _takes_columns_by_name(pipeline)
    if not by_column and len({column.datatype == "BYTES" for column in columns}) == 2:
        raise ModelRefused(
            "the pipeline takes strings and numbers in one matrix; begin it with a ColumnTransformer that encodes strings"
        )
    initial_types = _initial_types(columns, by_column)
    try:
        return _finished(_converted(pipeline, name, initial_types, compares_float32(pipeline)), columns, outputs)
    except Exception:  # some of skl2onnx's converters know floats only; parity judges what the rounding does
        try:
            return _finished(_converted(pipeline, name, initial_types, float32_model=True), columns, outputs)
        except Exception as error:  # converters raise anything; the user needs one sentence that names the step
            raise ModelRefused(_refusal(pipeline, error)) from error


def _finished(model: onnx.ModelProto, columns: Sequence[Column], outputs: Sequence[tuple[str, int]]) -> bytes:
    """The model with the wire's inputs and outputs. Raises when ONNX Runtime does not take it."""
    inner, raw = _name_values(model)
    _put_wire_inputs(model, columns, inner)
    _put_wire_outputs(model, raw, outputs)
    content = model.SerializeToString(deterministic=True)
    session(content)
    return content


def _converted(pipeline: Pipeline, name: str, initial_types: list[tuple[str, Any]], float32_model: bool) -> onnx.ModelProto:
    functions, shapes = converters()
    converted = convertible(pipeline, float32_model)
    # Without probabilities there is nothing to zip, nor an option for it: an empty entry keeps skl2onnx from adding one.
    options: dict[Any, Any] = {"zipmap": False} if hasattr(pipeline, "predict_proba") else {id(converted.steps[-1][1]): {}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the converters' own dependencies; parity judges the result
        register_boosters(step for _, step in pipeline.steps)
        model: onnx.ModelProto = convert_sklearn(
            converted,
            name=name,
            initial_types=initial_types,
            target_opset=OPSET,
            options=options if is_classifier(pipeline) else {},
            custom_conversion_functions=functions,
            custom_shape_calculators=shapes,
        )
    return model


def _outputs(pipeline: Pipeline) -> list[tuple[str, int]]:
    """Name and wire type of each output that is kept. Classifiers without probabilities answer with the label alone."""
    if not is_classifier(pipeline):
        return [("prediction", TensorProto.FLOAT)]
    text = np.asarray(pipeline.classes_).dtype.kind in "OUST"
    label = ("label", TensorProto.STRING if text else TensorProto.INT64)
    return [label, ("probabilities", TensorProto.FLOAT)] if hasattr(pipeline, "predict_proba") else [label]


def _initial_types(columns: Sequence[Column], by_column: bool) -> list[tuple[str, Any]]:
    def kind(column: Column) -> Any:
        return StringTensorType if column.datatype == "BYTES" else DoubleTensorType

    if by_column:
        return [(column.name, kind(column)([None, 1])) for column in columns]
    return [(_MATRIX, kind(columns[0])([None, len(columns)]))]


def _takes_columns_by_name(step: Any) -> bool:
    if isinstance(step, Pipeline):
        return _takes_columns_by_name(step.steps[0][1])
    if isinstance(step, FeatureUnion):
        return any(_takes_columns_by_name(part) for _, part in step.transformer_list)
    return isinstance(step, ColumnTransformer)


def _refusal(pipeline: Pipeline, error: Exception) -> str:
    steps = ", ".join(type(step).__name__ for step in _leaves(pipeline))
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return (
        f"the pipeline ({steps}) cannot be converted to ONNX: {reason.rstrip('.')}. "
        "Replace that step by one that skl2onnx converts, or move it into transform.py's `before`"
    )


def _leaves(step: Any) -> Iterable[Any]:
    if isinstance(step, Pipeline):
        parts = [part for _, part in step.steps]
    elif isinstance(step, ColumnTransformer):
        parts = [part for _, part, _ in step.transformers_]
    elif isinstance(step, FeatureUnion):
        parts = [part for _, part in step.transformer_list]
    else:
        parts = []
        if not isinstance(step, str):
            yield step
    for part in parts:
        yield from _leaves(part)


def refuse_native_categories(pipeline: Pipeline) -> None:
    """HistGradientBoosting's own categories convert without a word into something else, so they are refused here."""
    for step in _leaves(pipeline):
        native = getattr(step, "is_categorical_", None)
        if native is not None and any(native):
            raise ModelRefused(
                f"{type(step).__name__} with categorical_features has no ONNX form; "
                "encode these columns (OneHotEncoder or OrdinalEncoder) and leave categorical_features=None"
            )


def _name_values(model: onnx.ModelProto) -> tuple[list[str], list[str]]:
    """Gives every value a prefix that no column has. Returns the new names of inputs and outputs."""
    graph = model.graph
    values = [value.name for value in graph.input] + [tensor.name for tensor in graph.initializer]
    values += [name for node in graph.node for name in node.output]
    _rename(graph, {name: f"podium:{name}" for name in values if name})
    return [value.name for value in graph.input], [value.name for value in graph.output]


def _rename(graph: onnx.GraphProto, renamed: dict[str, str]) -> None:
    """In subgraphs too: they see the values around them by name."""
    named: Any
    for named in (*graph.input, *graph.output, *graph.initializer, *graph.value_info):
        named.name = renamed.get(named.name, named.name)
    for node in graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed.get(name, name) for name in node.output]
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                _rename(attribute.g, renamed)


def _put_wire_inputs(model: onnx.ModelProto, columns: Sequence[Column], inner: Sequence[str]) -> None:
    """Puts the wire's inputs before the graph's: casts, and a concatenation where the pipeline takes one matrix."""
    front, parts = [], []
    for index, column in enumerate(columns):
        part = f"podium:wire:{index}"
        to = TensorProto.STRING if column.datatype == "BYTES" else TensorProto.DOUBLE
        front.append(_cast(column.name, part, to))
        parts.append(part)
    if inner == [f"podium:{_MATRIX}"]:
        front.append(helper.make_node("Concat", parts, list(inner), axis=1))
    else:
        front += [helper.make_node("Identity", [part], [name]) for part, name in zip(parts, inner, strict=True)]
    nodes = [*front, *model.graph.node]
    del model.graph.node[:], model.graph.input[:]
    model.graph.node.extend(nodes)
    model.graph.input.extend(
        helper.make_tensor_value_info(column.name, _WIRE_TYPES[column.datatype], [None, 1]) for column in columns
    )


def _put_wire_outputs(model: onnx.ModelProto, raw: Sequence[str], outputs: Sequence[tuple[str, int]]) -> None:
    """Converters declare other types than their nodes give, so the cast states the type whatever it was."""
    kept = list(zip(raw, outputs, strict=False))
    model.graph.node.extend(_cast(inner, name, to) for inner, (name, to) in kept)
    del model.graph.output[:], model.graph.value_info[:]
    model.graph.output.extend(helper.make_tensor_value_info(name, to, None) for _, (name, to) in kept)


def _cast(source: str, target: str, to: int) -> onnx.NodeProto:
    if to == TensorProto.STRING:
        return helper.make_node("Identity", [source], [target])
    return helper.make_node("Cast", [source], [target], to=to)
