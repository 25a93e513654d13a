"""Customers as the packager's tests know them: every kind of column, missing values, a rare category, a label."""

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import onnx
import pandas as pd
from onnx import TensorProto, helper
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from podium_cli.main import main

ROWS = 400


def podium(*words: object, environment: Mapping[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    """The command with these words, as typed, in this process: its libraries take seconds to load, and it is run often."""
    typed = ["podium", *map(str, words)]
    out, errors = io.StringIO(), io.StringIO()
    with (
        mock.patch.object(sys, "argv", typed),
        mock.patch.dict(os.environ, environment or {}),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(errors),
    ):
        try:
            main()
            code = 0
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return subprocess.CompletedProcess(typed, code, out.getvalue(), errors.getvalue())


def customers(rows: int = ROWS) -> Any:
    """float with missing, small integers, text with missing and a rare value, booleans, fractions as categories, text."""
    random = np.random.default_rng(7)
    frame = pd.DataFrame(
        {
            "age": random.normal(40, 10, rows),
            "number of kids": random.integers(0, 5, rows),
            "plan": random.choice(["basic", "plus", "pro", "père"], rows, p=[0.5, 0.3, 0.19, 0.01]),
            "vip": random.random(rows) > 0.5,
            "grade": random.choice([1.5, 2.0, np.nan], rows),
            "city": random.choice(["x", "y"], rows),
        }
    )
    frame.loc[::7, "age"] = np.nan
    frame.loc[::5, "plan"] = np.nan
    return frame


def left(frame: Any) -> Any:
    """1 for a customer who left, by a rule that trees find and lines do not."""
    return ((frame["age"].fillna(30) > 40) ^ (frame["plan"].fillna("none") == "basic")).astype(int)


def pipeline(model: Any) -> Pipeline:
    """All encoders that the packager converts itself, on all kinds of columns, before `model`."""
    numbers = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())
    texts = make_pipeline(
        SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    )
    mixed = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=10, drop="first", sparse_output=False)
    ordinal = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2)
    columns = ColumnTransformer(
        [
            ("numbers", numbers, ["age", "number of kids"]),
            ("texts", texts, ["plan", "city"]),
            ("mixed", mixed, ["plan", "grade", "number of kids", "vip"]),
            ("ordinal", ordinal, ["plan", "grade"]),
        ],
        remainder="passthrough",
    )
    return Pipeline([("columns", columns), ("model", model)])


def fitted(model: Any, *, target: Any | None = None) -> Pipeline:
    frame = customers()
    return pipeline(model).fit(frame, left(frame) if target is None else target)


def sum_model(path: Path, shape: tuple[Any, ...] = (None, 1)) -> Path:
    """A bare ONNX file that adds its two inputs."""
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape)) for name in ("a", "b")]
    outputs = [helper.make_tensor_value_info("sum", TensorProto.FLOAT, list(shape))]
    graph = helper.make_graph([helper.make_node("Add", ["a", "b"], ["sum"])], "sum", inputs, outputs)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), str(path))
    return path
