"""Every kind of model that the packager promises answers in ONNX Runtime as in its own library, on every kind of column."""

from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import onnxruntime
import pandas as pd
import pytest
import xgboost
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, PoissonRegressor, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from cli_fixtures import customers, fitted, left
from podium_cli.package import Packaged, package_pipeline
from podium_crds.package import GoldenRow

CLASSIFIERS = [
    LogisticRegression(max_iter=2000),
    DecisionTreeClassifier(max_depth=6),
    RandomForestClassifier(10, random_state=0),
    ExtraTreesClassifier(10, random_state=0),
    GradientBoostingClassifier(n_estimators=20),
    HistGradientBoostingClassifier(max_iter=20),
    xgboost.XGBClassifier(n_estimators=10, n_jobs=1),
    lightgbm.LGBMClassifier(n_estimators=10, verbose=-1, n_jobs=1),
    GaussianNB(),
    MLPClassifier((4,), max_iter=300, random_state=0, tol=0.1),
    CalibratedClassifierCV(GradientBoostingClassifier(n_estimators=5), cv=2),
    VotingClassifier([("a", LogisticRegression(max_iter=2000)), ("b", RandomForestClassifier(3))], voting="soft"),
    StackingClassifier([("a", LogisticRegression(max_iter=2000)), ("b", RandomForestClassifier(3))], cv=2),
]
REGRESSORS = [
    Ridge(),
    PoissonRegressor(),
    RandomForestRegressor(10, random_state=0),
    GradientBoostingRegressor(n_estimators=20),
    HistGradientBoostingRegressor(max_iter=20),
    HistGradientBoostingRegressor(max_iter=20, loss="poisson"),
    xgboost.XGBRegressor(n_estimators=10, n_jobs=1),
    lightgbm.LGBMRegressor(n_estimators=10, verbose=-1, n_jobs=1),
]


def _name(model: Any) -> str:
    return type(model).__name__


def _package(model: Any, frame: Any, tmp_path: Path) -> Packaged:
    return package_pipeline(model, frame, name="model", version="1", out=tmp_path / "package")


def _onnx_answers(packaged: Packaged, frame: Any) -> dict[str, Any]:
    """By code of the test's own, so that a mistake of the packager does not hide itself."""
    session = onnxruntime.InferenceSession((packaged.folder.path / "model.onnx").read_bytes())
    types = {"tensor(double)": float, "tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(bool)": bool}
    columns = {}
    for expected in session.get_inputs():
        series = frame[expected.name]
        if expected.type == "tensor(string)":
            columns[expected.name] = series.fillna("").to_numpy(dtype=object).reshape(-1, 1)
        else:
            columns[expected.name] = series.to_numpy().astype(types[expected.type]).reshape(-1, 1)
    return dict(zip([output.name for output in session.get_outputs()], session.run(None, columns), strict=True))


@pytest.mark.parametrize("model", CLASSIFIERS, ids=_name)
def test_a_classifier_answers_like_its_library(model: Any, tmp_path: Path) -> None:
    subject, frame = fitted(model), customers()
    got = _onnx_answers(_package(subject, frame, tmp_path), frame)
    np.testing.assert_allclose(got["probabilities"], subject.predict_proba(frame), atol=2e-6)
    assert got["label"].tolist() == subject.predict(frame).tolist()


@pytest.mark.parametrize("model", REGRESSORS, ids=_name)
def test_a_regressor_answers_like_its_library(model: Any, tmp_path: Path) -> None:
    frame = customers()
    subject = fitted(model, target=np.abs(frame["age"].fillna(20) * 3 + frame["number of kids"]))
    got = _onnx_answers(_package(subject, frame, tmp_path), frame)
    np.testing.assert_allclose(got["prediction"][:, 0], subject.predict(frame), rtol=2e-6)


@pytest.mark.parametrize(
    "model",
    [
        LogisticRegression(max_iter=2000),
        HistGradientBoostingClassifier(max_iter=10),
        lightgbm.LGBMClassifier(n_estimators=5, verbose=-1, n_jobs=1),
    ],
    ids=_name,
)
def test_three_classes_named_by_strings_keep_their_names_and_order(model: Any, tmp_path: Path) -> None:
    frame = customers()
    subject = fitted(model, target=frame["number of kids"].map(lambda kids: ("none", "one", "many", "many", "many")[kids]))
    packaged = _package(subject, frame, tmp_path)
    label, probabilities = packaged.folder.descriptor.outputs
    assert label.classes == probabilities.classes == ["many", "none", "one"]
    assert (label.datatype, label.shape, probabilities.shape) == ("BYTES", [-1], [-1, 3])
    got = _onnx_answers(packaged, frame)
    assert got["label"].tolist() == subject.predict(frame).tolist()
    np.testing.assert_allclose(got["probabilities"], subject.predict_proba(frame), atol=2e-6)


def test_xgboost_with_three_classes_answers_like_its_library(tmp_path: Path) -> None:
    frame = customers()
    subject = fitted(xgboost.XGBClassifier(n_estimators=5, n_jobs=1), target=frame["number of kids"].clip(0, 2))
    got = _onnx_answers(_package(subject, frame, tmp_path), frame)
    np.testing.assert_allclose(got["probabilities"], subject.predict_proba(frame), atol=2e-6)


def test_a_classifier_without_probabilities_answers_with_the_label_alone(tmp_path: Path) -> None:
    subject, frame = fitted(LinearSVC()), customers()
    packaged = _package(subject, frame, tmp_path)
    assert [spec.name for spec in packaged.folder.descriptor.outputs] == ["label"]
    assert _onnx_answers(packaged, frame)["label"].tolist() == subject.predict(frame).tolist()


def test_labels_that_are_booleans_travel_as_whole_numbers(tmp_path: Path) -> None:
    frame = customers()
    packaged = _package(fitted(LogisticRegression(max_iter=2000), target=left(frame).astype(bool)), frame, tmp_path)
    assert packaged.folder.descriptor.outputs[0].datatype == "INT64"
    assert packaged.folder.descriptor.outputs[0].classes == ["0", "1"]


def test_a_search_is_packaged_as_its_best_pipeline(tmp_path: Path) -> None:
    frame = customers()
    search = GridSearchCV(fitted(LogisticRegression(max_iter=2000)), {"model__C": [0.1, 1.0]}, cv=2).fit(frame, left(frame))
    got = _onnx_answers(_package(search, frame, tmp_path), frame)
    np.testing.assert_allclose(got["probabilities"], search.predict_proba(frame), atol=2e-6)


def test_a_model_fitted_on_a_bare_matrix_gets_one_input_per_column(tmp_path: Path) -> None:
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(300, 3)), columns=["a", "b", "c"])
    subject = make_pipeline(StandardScaler(), LogisticRegression()).fit(frame.to_numpy(), frame["a"] > 0)
    packaged = _package(subject, frame, tmp_path)
    assert [(spec.name, spec.shape) for spec in packaged.folder.descriptor.inputs] == [
        ("a", [-1, 1]),
        ("b", [-1, 1]),
        ("c", [-1, 1]),
    ]
    np.testing.assert_allclose(
        _onnx_answers(packaged, frame)["probabilities"], subject.predict_proba(frame.to_numpy()), atol=2e-6
    )


def test_a_model_with_a_single_column_is_packaged(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": np.linspace(-1, 1, 300)})
    subject = Ridge().fit(frame, frame["x"] * 3)
    np.testing.assert_allclose(
        _onnx_answers(_package(subject, frame, tmp_path), frame)["prediction"][:, 0], subject.predict(frame), atol=1e-6
    )


def test_a_pipeline_of_text_alone_is_packaged(tmp_path: Path) -> None:
    frame = customers()[["plan", "city"]]
    steps = (SimpleImputer(strategy="constant", fill_value="?"), OneHotEncoder(handle_unknown="ignore", sparse_output=False))
    subject = make_pipeline(*steps, LogisticRegression()).fit(frame, left(customers()))
    np.testing.assert_allclose(
        _onnx_answers(_package(subject, frame, tmp_path), frame)["probabilities"], subject.predict_proba(frame), atol=2e-6
    )


def test_histogram_trees_take_missing_numbers_as_they_are(tmp_path: Path) -> None:
    frame = customers()[["age", "grade"]]
    subject = HistGradientBoostingClassifier(max_iter=10).fit(frame, left(customers()))
    packaged = _package(subject, frame, tmp_path)
    assert all(spec.nullable for spec in packaged.folder.descriptor.inputs)
    np.testing.assert_allclose(_onnx_answers(packaged, frame)["probabilities"], subject.predict_proba(frame), atol=2e-6)


def test_columns_may_have_the_names_of_the_converters_own_values(tmp_path: Path) -> None:
    names = ["variable", "merged_columns", "podium_matrix", "transformed_column", "a b", "a_b"]
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(300, 6)), columns=names)
    subject = make_pipeline(StandardScaler(), Ridge()).fit(frame, frame["a b"] - 2 * frame["a_b"])
    got = _onnx_answers(_package(subject, frame, tmp_path), frame)
    np.testing.assert_allclose(got["prediction"][:, 0], subject.predict(frame), atol=1e-5)


@pytest.mark.filterwarnings("ignore:Found unknown categories")  # one golden row has such a category
def test_golden_rows_hold_the_librarys_own_answers(tmp_path: Path) -> None:
    subject, frame = fitted(LogisticRegression(max_iter=2000)), customers()
    packaged = _package(subject, frame, tmp_path)
    lines = (packaged.folder.path / "golden.jsonl").read_bytes().splitlines()
    rows = [GoldenRow.model_validate_json(line) for line in lines]
    assert len(rows) == 100
    table = pd.DataFrame([row.inputs for row in rows]).astype({"age": float, "grade": float})
    probabilities = subject.predict_proba(table)
    np.testing.assert_allclose([row.outputs["probabilities"] for row in rows], probabilities, atol=1e-12)
    np.testing.assert_allclose(
        np.array([row.margin for row in rows]), np.abs(probabilities[:, 0] - probabilities[:, 1]), atol=1e-12
    )
    assert {row.inputs["plan"] for row in rows} >= {None, "basic", "plus", "pro", "père"}


def test_the_given_pipeline_is_left_as_it_was(tmp_path: Path) -> None:
    subject, frame = fitted(xgboost.XGBClassifier(n_estimators=5, n_jobs=1)), customers()
    before = subject.predict_proba(frame)
    _package(subject, frame, tmp_path)
    assert isinstance(subject, Pipeline)
    assert [name for name, _ in subject.steps] == ["columns", "model"]
    np.testing.assert_array_equal(subject.predict_proba(frame), before)
