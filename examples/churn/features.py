"""What the models of the churn example look at, and the pipelines that are trained on it."""

from typing import Any

from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

NUMBERS = ["tenure", "monthly_charges", "total_charges"]
FLAGS = ["female", "senior_citizen", "partner", "dependents", "phone_service", "paperless_billing"]
TEXTS = [
    "multiple_lines",
    "internet_service",
    "online_security",
    "online_backup",
    "device_protection",
    "tech_support",
    "streaming_tv",
    "streaming_movies",
    "contract",
    "payment_method",
]
FEATURES = [*NUMBERS, *FLAGS, *TEXTS]


def champion() -> Pipeline:
    """churn-1: few shallow trees, trained fast."""
    return _pipeline(GradientBoostingClassifier(n_estimators=20, max_depth=2, learning_rate=0.1, random_state=0))


def successor() -> Pipeline:
    """churn-2: the same columns, more and smaller steps."""
    return _pipeline(GradientBoostingClassifier(n_estimators=150, learning_rate=0.05, subsample=0.8, random_state=0))


def challenger() -> Pipeline:
    """churn-3: histogram trees on what the contract still binds a customer to pay, which transform.py derives."""
    return _pipeline(HistGradientBoostingClassifier(max_iter=120, learning_rate=0.05, max_leaf_nodes=12, random_state=0))


def _pipeline(model: Any) -> Pipeline:
    columns = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), NUMBERS),
            ("flags", "passthrough", FLAGS),
            (
                "texts",
                make_pipeline(
                    SimpleImputer(strategy="constant", fill_value="unknown"),
                    OneHotEncoder(handle_unknown="ignore", sparse_output=False),
                ),
                TEXTS,
            ),
        ]
    )
    return Pipeline([("columns", columns), ("model", model)])
