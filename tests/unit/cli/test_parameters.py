"""The number of parameters that a package states: right where it is plain, absent everywhere else."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import make_classification, make_regression
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import (
    ElasticNetCV,
    Lasso,
    LinearRegression,
    LogisticRegression,
    PoissonRegressor,
    Ridge,
)
from sklearn.model_selection import GridSearchCV

from cli_fixtures import customers, fitted, left
from podium_cli.package import package_pipeline
from podium_cli.parameters import parameters_of
from podium_crds.package import Descriptor

NUMBERS, TRUTH = make_regression(200, 6, n_informative=3, noise=1.0, random_state=0)
TWO = make_classification(300, 6, random_state=0)
THREE = make_classification(300, 6, n_informative=4, n_classes=3, random_state=0)


@pytest.mark.parametrize(
    ("model", "data", "parameters"),
    [
        pytest.param(LinearRegression(), (NUMBERS, TRUTH), 7, id="linear"),
        pytest.param(LinearRegression(fit_intercept=False), (NUMBERS, TRUTH), 6, id="without an intercept"),
        pytest.param(Ridge(), (NUMBERS, TRUTH), 7, id="ridge"),
        pytest.param(Lasso(5.0), (NUMBERS, TRUTH), 4, id="lasso leaves coefficients out"),
        pytest.param(ElasticNetCV(l1_ratio=0.1, cv=3), (NUMBERS, TRUTH), 7, id="searched by itself, none left out"),
        pytest.param(LogisticRegression(), TWO, 7, id="logistic"),
        pytest.param(GridSearchCV(LogisticRegression(), {"C": [0.1, 1]}, cv=2), TWO, 7, id="logistic, searched"),
        pytest.param(LogisticRegression(), THREE, 14, id="two of three classes are free"),
        pytest.param(PoissonRegressor(), (NUMBERS, np.abs(TRUTH)), None, id="another likelihood"),
        pytest.param(RandomForestClassifier(3), TWO, None, id="a forest"),
    ],
)
def test_parameters(model: Any, data: tuple[Any, Any], parameters: int | None) -> None:
    assert parameters_of(model.fit(*data)) == parameters


@pytest.mark.parametrize("model", [LogisticRegression(max_iter=2000), RandomForestClassifier(3, random_state=0)])
def test_a_package_says_them_or_nothing(tmp_path: Path, model: Any) -> None:
    pipeline, frame = fitted(model), customers()
    sample = frame.assign(left=left(frame))
    written = package_pipeline(pipeline, sample, name="m", version="1", out=tmp_path / "m", target="left")
    descriptor = written.folder.descriptor
    assert isinstance(descriptor, Descriptor)
    assert descriptor.training.parameters == parameters_of(pipeline.steps[-1][1])
    assert ("parameters" in (tmp_path / "m" / "podium.yaml").read_text()) is isinstance(model, LogisticRegression)
