"""ONNX for SimpleImputer, OneHotEncoder and OrdinalEncoder, where skl2onnx's own converters know no missing values.

Theirs refuse strings with NaN, floats as categories, infrequent categories and mixed columns, or answer differently
without a word. Here an encoder is a table: the fitted encoder itself is asked for the row of every category and for that of
an unseen value; ONNX looks up the row. So drop, infrequent categories and missing values follow the library by construction.
Missing is "" in string columns and NaN in numbers. Numbers arrive as doubles: integers and booleans are cast before.
"""

import copy
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import TensorProto
from skl2onnx.common.data_types import DoubleTensorType, StringTensorType
from sklearn.preprocessing import OrdinalEncoder

from podium_cli.graph import GraphBuilder

MAX_TABLE_CELLS = 50_000_000
"""Of one encoder, at 8 bytes each. About 7,000 categories of one column reach it."""
_DENSE_TABLE_KEYS = 32
"""Up to this many categories a one-hot column is a table too: looking up a row is the fastest node."""
_UNSEEN = "\x00no category has this name"
_Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class EncodedFeature:
    """One column of an encoder: row i of `table` stands for keys[i], the last row for any other value."""

    keys: list[Any]
    table: _Array


def is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float | np.floating) and bool(np.isnan(value)))


def encoded_features(encoder: Any) -> list[EncodedFeature]:
    """The tables of a fitted OneHotEncoder or OrdinalEncoder, found by asking it."""
    asked = copy.deepcopy(encoder)
    if hasattr(asked, "feature_names_in_"):
        del asked.feature_names_in_
    asked.set_output(transform="default")
    widths = _widths(asked)
    length = max(len(categories) for categories in asked.categories_) + 1
    if length * sum(widths) > MAX_TABLE_CELLS:
        raise NotImplementedError(
            f"{type(encoder).__name__} knows {length - 1} categories of one column; group the rare ones with max_categories"
        )
    known = _transformed(asked, [[c[min(r, len(c) - 1)] for r in range(length)] for c in asked.categories_])
    unseen = _unseen_row(asked, known.shape[1])
    features, start = [], 0
    for categories, width in zip(asked.categories_, widths, strict=True):
        block = slice(start, start + width)
        table = np.vstack([known[: len(categories), block], unseen[:, block]])
        features.append(EncodedFeature(list(categories), table))
        start += width
    return features


def _widths(encoder: Any) -> list[int]:
    """Columns that each feature is encoded to. Names start with the feature's number: no other way is public."""
    if isinstance(encoder, OrdinalEncoder):
        return [1] * len(encoder.categories_)
    names = encoder.get_feature_names_out([str(i) for i in range(len(encoder.categories_))])
    firsts = [int(name.split("_", 1)[0]) for name in names]
    return [firsts.count(i) for i in range(len(encoder.categories_))]


def _unseen_row(encoder: Any, width: int) -> _Array:
    """How an unseen value is encoded. An encoder that raises on it gets zeros: a pod cannot raise for one row of a batch."""
    if encoder.handle_unknown == "error":
        return np.zeros((1, width))
    columns = [
        [np.nanmax(np.asarray(c, dtype=float)) + 1 if np.asarray(c).dtype.kind in "iuf" else _UNSEEN]
        for c in encoder.categories_
    ]
    return _transformed(encoder, columns)


def _transformed(encoder: Any, columns: list[list[Any]]) -> _Array:
    kinds = {np.asarray(categories).dtype.kind for categories in encoder.categories_}
    matrix = np.empty((len(columns[0]), len(columns)), dtype=float if kinds <= set("iuf") else object)
    for index, column in enumerate(columns):
        matrix[:, index] = column
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # unknown categories are asked for on purpose
        encoded = encoder.transform(matrix)
    return np.asarray(encoded.toarray() if hasattr(encoded, "toarray") else encoded, dtype=float)


def _columns(graph: GraphBuilder, variables: list[Any], count: int) -> list[tuple[str, bool]]:
    """(name, is a string) of each column of `variables`, in order. One variable of unknown width holds all columns."""
    if len(variables) == 1:
        text = isinstance(variables[0].type, StringTensorType)
        return [(graph.column(variables[0], i) if count > 1 else variables[0].full_name, text) for i in range(count)]
    return [
        (graph.column(variable, i), isinstance(variable.type, StringTensorType))
        for variable in variables
        for i in range(variable.type.shape[1])
    ]


def _looked_up(graph: GraphBuilder, column: str, text: bool, feature: EncodedFeature) -> str:
    index = _text_index(graph, column, feature.keys) if text else _number_index(graph, column, feature.keys)
    flat = graph.node("Reshape", index, graph.constant(np.array([-1])))
    count = len(feature.keys)
    if count > _DENSE_TABLE_KEYS and np.array_equal(feature.table, np.eye(count + 1, count)):
        hot = graph.node("OneHotEncoder", flat, domain="ai.onnx.ml", cats_int64s=list(range(count)), zeros=1)
        return graph.node("Cast", hot, to=TensorProto.DOUBLE)
    return graph.node("Gather", graph.constant(feature.table), flat, axis=0)


def _text_index(graph: GraphBuilder, column: str, keys: list[Any]) -> str:
    texts = ["" if is_missing(key) else str(key) for key in keys]
    return graph.node(
        "LabelEncoder",
        column,
        domain="ai.onnx.ml",
        keys_strings=texts,
        values_int64s=list(range(len(texts))),
        default_int64=len(texts),
    )


def _number_index(graph: GraphBuilder, column: str, keys: list[Any]) -> str:
    """The position of the equal key. NaN equals nothing, so a missing key gets a column of its own."""
    numbers = np.array([np.nan if is_missing(key) else float(key) for key in keys])
    hits = graph.node("Cast", graph.node("Equal", column, graph.constant(numbers[None, :])), to=TensorProto.INT32)
    if np.isnan(numbers).any():
        missing = graph.node("Cast", graph.node("IsNaN", column), to=TensorProto.INT32)
        mask = np.isnan(numbers).astype(np.int64)[None, :]
        spread = graph.node("Mul", missing, graph.node("Cast", graph.constant(mask), to=TensorProto.INT32))
        hits = graph.node("Add", hits, spread)
    found = graph.node("Cast", graph.node("ReduceMax", hits, graph.constant(np.array([1])), keepdims=1), to=TensorProto.BOOL)
    position = graph.node("ArgMax", hits, axis=1, keepdims=1)
    return graph.node("Where", found, position, graph.constant(np.array([[len(keys)]])))


def convert_encoder(scope: Any, operator: Any, container: Any) -> None:
    graph = GraphBuilder(scope, container)
    features = encoded_features(operator.raw_operator)
    columns = _columns(graph, operator.inputs, len(features))
    encoded = [_looked_up(graph, *column, feature) for column, feature in zip(columns, features, strict=True)]
    graph.node("Concat", *encoded, output=operator.outputs[0].full_name, axis=1)


def shape_encoder(operator: Any) -> None:
    features = encoded_features(operator.raw_operator)
    operator.outputs[0].type = DoubleTensorType([None, sum(feature.table.shape[1] for feature in features)])


def convert_imputer(scope: Any, operator: Any, container: Any) -> None:
    graph, imputer = GraphBuilder(scope, container), operator.raw_operator
    names = [variable.full_name for variable in operator.inputs]
    matrix = graph.node("Concat", *names, axis=1) if len(names) > 1 else names[0]
    text = isinstance(operator.inputs[0].type, StringTensorType)
    gone = _gone(graph, matrix, text, imputer.missing_values)
    fill = graph.constant(np.array([list(imputer.statistics_)], dtype=object if text else float))
    output = operator.outputs[0].full_name
    if imputer.indicator_ is None:
        graph.node("Where", gone, fill, matrix, output=output)
        return
    filled = graph.node("Where", gone, fill, matrix)
    flags = graph.node("Gather", gone, graph.constant(np.asarray(imputer.indicator_.features_, dtype=np.int64)), axis=1)
    graph.node("Concat", filled, graph.node("Cast", flags, to=TensorProto.DOUBLE), output=output, axis=1)


def _gone(graph: GraphBuilder, matrix: str, text: bool, missing_values: Any) -> str:
    """Which elements are missing, as booleans."""
    if text:
        marker = "" if is_missing(missing_values) else str(missing_values)
        return graph.node("Equal", matrix, graph.constant(np.array([marker], dtype=object)))
    if is_missing(missing_values):
        return graph.node("IsNaN", matrix)
    return graph.node("Equal", matrix, graph.constant(np.array([float(missing_values)])))


def shape_imputer(operator: Any) -> None:
    imputer = operator.raw_operator
    text = isinstance(operator.inputs[0].type, StringTensorType)
    dropped = sum(is_missing(value) for value in imputer.statistics_)
    if dropped:
        raise NotImplementedError(f"SimpleImputer drops {dropped} column(s) that training saw only missing values in")
    if text and imputer.indicator_ is not None:
        raise NotImplementedError("SimpleImputer(add_indicator=True) on text columns mixes text and numbers")
    extra = 0 if imputer.indicator_ is None else len(imputer.indicator_.features_)
    operator.outputs[0].type = (StringTensorType if text else DoubleTensorType)([None, len(imputer.statistics_) + extra])
