"""How many numbers a model was fitted with, for those of which that is plain: what AIC and BIC weigh the fit against."""

from typing import Any

import numpy as np
from sklearn import linear_model

_LINEAR = (
    linear_model.LinearRegression,
    linear_model.Ridge,
    linear_model.RidgeCV,
    linear_model.Lasso,
    linear_model.LassoCV,
    linear_model.ElasticNet,
    linear_model.ElasticNetCV,
)


def parameters_of(model: Any) -> int | None:
    """Coefficients that are not 0, and intercepts. None: the model is no linear or logistic one, or it is one against the
    rest, which has no likelihood of its own.

    Of K classes K - 1 sets are free. The coefficients that are not 0 are the degrees of freedom of the lasso (Zou, Hastie,
    Tibshirani, 2007, Annals of Statistics 35, 2173-2192); of a fit that is shrunk by squares they are more than it has.
    """
    model = getattr(model, "best_estimator_", model)  # of a search
    if type(model) in _LINEAR:
        return int(np.count_nonzero(model.coef_)) + int(model.fit_intercept)
    if type(model) in (linear_model.LogisticRegression, linear_model.LogisticRegressionCV):
        coefficients = np.atleast_2d(model.coef_)
        if len(model.classes_) == 2:
            return int(np.count_nonzero(coefficients)) + int(model.fit_intercept)
        if model.solver != "liblinear" and getattr(model, "multi_class", None) != "ovr":
            inputs = int(coefficients.any(axis=0).sum())
            return (len(model.classes_) - 1) * (inputs + int(model.fit_intercept))
    return None
