"""What the packager refuses, and the sentence that the user reads."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xgboost
from sklearn.cluster import KMeans
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from cli_fixtures import customers, fitted, left
from podium_cli.errors import ModelRefused, UserError
from podium_cli.package import ParityFailed, package_pipeline


@pytest.fixture(scope="module")
def good() -> Any:
    return fitted(LogisticRegression(max_iter=2000))


def _package(model: Any, frame: Any, tmp_path: Path, **options: Any) -> None:
    arguments: dict[str, Any] = {"name": "model", "version": "1", "out": tmp_path / "package"} | options
    package_pipeline(model, frame, **arguments)


def test_a_model_that_answers_differently_is_refused_with_its_worst_rows(tmp_path: Path) -> None:
    """Rounding to FP32 before a scaler moves values across XGBoost's thresholds, which are values of training rows."""
    frame = customers(2000)[["age", "number of kids"]]
    subject = make_pipeline(StandardScaler(), xgboost.XGBClassifier(n_estimators=20, n_jobs=1))
    subject.fit(frame, left(customers(2000)))
    with pytest.raises(ParityFailed) as caught:
        _package(subject, frame, tmp_path, floats="FP32")
    failed = caught.value
    assert 0 < failed.parity.mismatched_rows < 100
    assert 0 < len(failed.parity.worst) == len(failed.rows) <= 5
    assert failed.parity.worst == sorted(failed.parity.worst, key=lambda mismatch: -mismatch.excess)
    worst = failed.parity.worst[0]
    row = pd.DataFrame([failed.rows[0]]).astype({"age": float})
    assert worst.expected in [*subject.predict_proba(row)[0], *subject.predict(row)]
    assert worst.expected != worst.got
    assert "leave out --floats" in str(failed)
    assert not (tmp_path / "package").exists()


def test_the_same_model_passes_when_no_value_is_rounded(tmp_path: Path) -> None:
    frame = customers(2000)[["age", "number of kids"]]
    subject = make_pipeline(StandardScaler(), xgboost.XGBClassifier(n_estimators=20, n_jobs=1))
    _package(subject.fit(frame, left(customers(2000))), frame, tmp_path)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"target": "gone"}, "the sample has no column 'gone'; its columns are age, number of kids, plan, vip, grade, city"),
        ({"name": "Model"}, "name 'Model' does not fit: String should match pattern"),
        ({"version": "a/b"}, "version 'a/b' does not fit: String should match pattern"),
        ({"requirements": ["numpy-financial"]}, "'numpy-financial' is not pinned; write numpy-financial==<version>"),
        ({"requirements": ["numpy-financial>=1"]}, "'numpy-financial>=1' is not pinned"),
        ({"requirements": ["--index-url x"]}, "'--index-url x' is no requirement: write it like numpy-financial==1.0.0"),
        ({"requirements": ["a @ file:///a.whl"]}, "names an address; the builder's package index is the only source"),
        ({"validation": customers(10)}, "validation rows are given, but not which column is the target"),
        ({"transform": "no.py"}, "there is no file no.py; --transform takes a Python file"),
    ],
)
def test_options_that_do_not_fit_are_refused(good: Any, tmp_path: Path, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        _package(good, customers(), tmp_path, **options)
    assert sentence in str(caught.value)
    assert not (tmp_path / "package").exists()


def _with(frame: Any, **columns: Any) -> Any:
    return frame.assign(**columns)


@pytest.mark.parametrize(
    ("sample", "sentence"),
    [
        (customers().drop(columns=["plan", "city"]), "the sample lacks plan, city, which the pipeline was fitted on"),
        (customers().head(0), "the sample has no rows"),
        (
            _with(customers(), plan=[*customers()["plan"][:-1], ""]),
            "column 'plan' holds both empty strings and missing values",
        ),
        (_with(customers(), age=np.nan), "column 'age' of the sample holds only missing values"),
        (_with(customers(), city=pd.Timestamp("2026-01-01")), "column 'city' has dtype datetime64"),
        (
            _with(customers(), age=[np.inf, *customers()["age"][1:]]),
            "column 'age' holds infinite values, which JSON cannot carry",
        ),
        (pd.concat([customers(), customers()[["age"]]], axis=1), "the sample has two columns named 'age'"),
        (_with(customers(), **{"a" * 129: 1}), "has 129 characters; an input's name has 1 to 128"),
        (_with(customers(), age="old"), "the pipeline itself fails on the sample"),
    ],
    ids=[
        "lacks-columns",
        "no-rows",
        "empty-and-missing",
        "all-missing",
        "dates",
        "infinite",
        "two-of-a-name",
        "long-name",
        "wrong-type",
    ],
)
def test_samples_that_do_not_fit_are_refused(good: Any, tmp_path: Path, sample: Any, sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        _package(good, sample, tmp_path)
    assert sentence in str(caught.value)


def test_a_step_without_conversion_is_named_with_a_way_out(tmp_path: Path) -> None:
    frame = customers()[["number of kids"]]
    subject = make_pipeline(FunctionTransformer(np.log1p), Ridge()).fit(frame, frame["number of kids"])
    with pytest.raises(
        ModelRefused, match=r"FunctionTransformer, Ridge\) cannot be converted to ONNX: .*transform.py's `before`"
    ):
        _package(subject, frame, tmp_path)


def test_histogram_trees_with_categories_of_their_own_are_refused_by_name(tmp_path: Path) -> None:
    frame = customers()[["number of kids", "age"]]
    subject = HistGradientBoostingClassifier(max_iter=3, categorical_features=["number of kids"]).fit(
        frame, left(customers())
    )
    with pytest.raises(ModelRefused, match="HistGradientBoostingClassifier with categorical_features has no ONNX form"):
        _package(subject, frame, tmp_path)


def test_strings_and_numbers_in_one_matrix_are_refused(tmp_path: Path) -> None:
    from sklearn.preprocessing import OrdinalEncoder

    frame = customers()[["number of kids", "city"]]
    subject = make_pipeline(OrdinalEncoder(), Ridge()).fit(frame, frame["number of kids"])
    with pytest.raises(ModelRefused, match="begin it with a ColumnTransformer"):
        _package(subject, frame, tmp_path)


def test_what_does_not_predict_classes_or_numbers_is_refused(tmp_path: Path) -> None:
    frame = customers()[["number of kids"]]
    with pytest.raises(UserError, match="ends in a KMeans, which is neither a classifier nor a regressor"):
        _package(make_pipeline(KMeans(2, n_init=1)).fit(frame), frame, tmp_path)
    with pytest.raises(UserError, match="a dict has no predict"):
        _package({"model": 1}, frame, tmp_path)


def test_a_column_named_like_an_output_is_refused(tmp_path: Path) -> None:
    frame = pd.DataFrame({"prediction": np.arange(300.0)})
    with pytest.raises(UserError, match="a column is named 'prediction', as is an output of the model"):
        _package(Ridge().fit(frame, frame["prediction"]), frame, tmp_path)


def test_a_folder_that_holds_something_is_kept_unless_told_otherwise(good: Any, tmp_path: Path) -> None:
    out = tmp_path / "package"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="is not empty; choose another --out, or replace the package in it with --force"):
        _package(good, customers(), tmp_path)
    _package(good, customers(), tmp_path, force=True)
    assert (out / "notes.txt").read_text() == "mine"
    assert (out / "manifest.json").is_file()


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ([None] + [1.0] * 399, "column 'gone' misses 1 of 400 values; leave out rows without a target"),
        (["yes"] * 400, "the target column holds 'yes', the model's classes are 0, 1; they must be of one type"),
        ([2] * 400, "the target column holds 2, which is none of the model's classes: 0, 1"),
    ],
    ids=["missing", "another-type", "another-class"],
)
def test_a_target_that_the_model_does_not_know_is_refused(
    good: Any, tmp_path: Path, target: list[Any], sentence: str
) -> None:
    with pytest.raises(UserError) as caught:
        _package(good, customers().assign(gone=target), tmp_path, target="gone")
    assert sentence in str(caught.value)


def test_a_model_that_answers_no_number_is_refused(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": np.arange(300.0)})
    subject = Ridge().fit(frame, frame["x"])
    subject.coef_ = np.array([np.inf])
    with pytest.raises(
        ModelRefused, match=r"the pipeline answers row \d+ of the sample with prediction .*; it must give finite numbers"
    ):
        _package(subject, frame, tmp_path)
