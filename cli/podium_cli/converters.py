"""Which converter each estimator gets: ours where skl2onnx's answers differ, onnxmltools' for XGBoost and LightGBM.

The graph computes in doubles. A step that its library runs on float32 is told so here, for rounding decides branches.
"""

import copy
from collections.abc import Iterable
from typing import Any

import numpy as np
from skl2onnx import update_registered_converter
from skl2onnx.common.shape_calculator import (
    calculate_linear_classifier_output_shapes,
    calculate_linear_regressor_output_shapes,
)
from skl2onnx.sklapi import CastTransformer
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    VotingClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder
from sklearn.tree import BaseDecisionTree

from podium_cli.encoders import convert_encoder, convert_imputer, shape_encoder, shape_imputer
from podium_cli.histogram_trees import convert_histogram_classifier, convert_histogram_regressor

_FLOAT32_TREES = (
    BaseDecisionTree,
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
_CLASSIFIER_OPTIONS = {"nocl": [True, False], "zipmap": [True, False, "columns"], "raw_scores": [True, False]}


def converters() -> tuple[dict[type, Any], dict[type, Any]]:
    """Conversion functions and shape calculators by class, as skl2onnx.convert_sklearn takes them."""
    functions: dict[type, Any] = {
        OneHotEncoder: convert_encoder,
        OrdinalEncoder: convert_encoder,
        SimpleImputer: convert_imputer,
        HistGradientBoostingClassifier: convert_histogram_classifier,
        HistGradientBoostingRegressor: convert_histogram_regressor,
    }
    shapes: dict[type, Any] = {OneHotEncoder: shape_encoder, OrdinalEncoder: shape_encoder, SimpleImputer: shape_imputer}
    return functions, shapes


def _library(step: Any) -> str:
    return type(step).__module__.split(".")[0]


def convertible(pipeline: Pipeline, float32_model: bool) -> Pipeline:
    """The pipeline to convert; the given one stays as it is. With `float32_model` the last step's input is rounded."""
    *before, (name, model) = pipeline.steps
    if isinstance(model, VotingClassifier):  # skl2onnx refuses a setting that only concerns transform()
        model = copy.copy(model)
        model.flatten_transform = False
    rounding = [("podium_float32", CastTransformer(dtype=np.float32))] if float32_model else []
    return Pipeline([*before, *rounding, (name, model)])


def compares_float32(pipeline: Pipeline) -> bool:
    """XGBoost and scikit-learn's trees (not its histogram trees) round what they get to float32 before they compare."""
    model = pipeline.steps[-1][1]
    return _library(model) == "xgboost" or isinstance(model, _FLOAT32_TREES)


def register_boosters(steps: Iterable[Any]) -> None:
    """skl2onnx learns XGBoost and LightGBM from onnxmltools. Only on demand: importing either takes a second."""
    libraries = {_library(step) for step in steps}
    if "xgboost" in libraries:
        _register_xgboost()
    if "lightgbm" in libraries:
        _register_lightgbm()


def _register_xgboost() -> None:
    from onnxmltools.convert.xgboost.operator_converters.XGBoost import convert_xgboost
    from xgboost import XGBClassifier, XGBRegressor

    update_registered_converter(
        XGBClassifier,
        "XGBoostXGBClassifier",
        calculate_linear_classifier_output_shapes,
        convert_xgboost,
        options=_CLASSIFIER_OPTIONS,
    )
    update_registered_converter(
        XGBRegressor, "XGBoostXGBRegressor", calculate_linear_regressor_output_shapes, convert_xgboost
    )


def _register_lightgbm() -> None:
    from lightgbm import LGBMClassifier, LGBMRegressor
    from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm

    update_registered_converter(
        LGBMClassifier,
        "LightGbmLGBMClassifier",
        calculate_linear_classifier_output_shapes,
        convert_lightgbm,
        options=_CLASSIFIER_OPTIONS,
    )
    update_registered_converter(
        LGBMRegressor,
        "LightGbmLGBMRegressor",
        calculate_linear_regressor_output_shapes,
        convert_lightgbm,
        options={"split": None},
    )
