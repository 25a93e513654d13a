"""Which output is compared with the label, for each kind of model."""

import json
from typing import Any

import numpy as np
import pytest

from podium_crds.package import Descriptor, InputSpec, OutputSpec
from podium_crds.v1alpha1.model_deployment import ModelDeploymentSpec
from podium_evaluation.tallies import below
from podium_monitor.evaluations.answers import answers_of, coded
from podium_monitor.evaluations.batch import Batch, Texts
from podium_monitor.evaluations.subject import Outputs, outputs_of, subject_of
from podium_monitor.evaluations.summarize import bounded, summarize
from podium_monitor.evaluations.windows import performance_figures

LABEL = OutputSpec(name="label", datatype="BYTES", shape=[-1], kind="Label", classes=["no", "yes"])
PROBABILITIES = OutputSpec(name="p", datatype="FP32", shape=[-1, 2], kind="Probabilities", classes=["no", "yes"])
THREE = OutputSpec(name="p", datatype="FP32", shape=[-1, 3], kind="Probabilities", classes=["a", "b", "c"])
VALUE = OutputSpec(name="price", datatype="FP64", shape=[-1], kind="Value")
RAW = OutputSpec(name="out", datatype="FP64", shape=[-1, 1], kind="Raw")


def spec(**prediction: Any) -> ModelDeploymentSpec:
    content = {"champion": {"modelVersionRef": {"name": "m-1"}}, "monitoring": {"prediction": prediction}}
    return ModelDeploymentSpec.model_validate(content)


def descriptor(*outputs: OutputSpec, task: Any = "Unknown") -> Descriptor:
    inputs = [InputSpec(name="x", datatype="FP64", shape=[-1])]
    return Descriptor(name="m", version="1", task=task, inputs=inputs, outputs=list(outputs))


@pytest.mark.parametrize(
    ("outputs", "task", "wished", "found"),
    [
        pytest.param(
            [LABEL, PROBABILITIES],
            "Classification",
            {},
            Outputs("Binary", "label", "p", None, ("no", "yes"), 1),
            id="binary",
        ),
        pytest.param(
            [LABEL, PROBABILITIES],
            "Classification",
            {"positiveClass": "no"},
            Outputs("Binary", "label", "p", None, ("no", "yes"), 0),
            id="the other class is positive",
        ),
        pytest.param([LABEL], "Classification", {}, Outputs("Binary", "label", classes=("no", "yes")), id="label alone"),
        pytest.param(
            [THREE], "Classification", {}, Outputs("Multiclass", None, "p", None, ("a", "b", "c"), 2), id="three classes"
        ),
        pytest.param([VALUE], "Regression", {}, Outputs("Regression", value="price"), id="number"),
        pytest.param([RAW], "Regression", {}, Outputs("Regression", value="out"), id="raw number of a regression"),
        pytest.param([RAW], "Unknown", {}, Outputs("Unknown"), id="nobody knows"),
        pytest.param([RAW, VALUE], "Unknown", {"output": "out"}, Outputs("Regression", value="price"), id="value first"),
        pytest.param(None, "Unknown", {}, Outputs("Unknown", "label", "probabilities"), id="no package"),
    ],
)
def test_outputs(outputs: list[OutputSpec] | None, task: str, wished: dict[str, str], found: Outputs) -> None:
    assert outputs_of(spec(**wished), descriptor(*outputs, task=task) if outputs else None) == found


def batch(rows: int, truth: Any, **changes: Any) -> Batch:
    nothing = np.full(rows, np.nan)
    given: dict[str, Any] = {
        "numbers": {},
        "texts": {},
        "output_numbers": {},
        "output_texts": {},
        "latency": nothing,
        "fallback": np.zeros(rows, dtype=bool),
        "delay": nothing,
        "rank": np.arange(rows, dtype=np.uint64),
    }
    return Batch(rows=rows, truth=np.asarray(truth), **(given | changes))


def test_probabilities_alone_decide_for_the_most_probable_class() -> None:
    columns = {
        f"p[{name}]": np.array(values) for name, values in zip("abc", ([0.2, 0.5], [0.7, 0.1], [0.1, 0.4]), strict=True)
    }
    outputs = outputs_of(spec(), descriptor(THREE))
    found = answers_of(outputs, batch(2, np.array(["b", "c"], dtype=object), output_numbers=columns))
    assert (found.decided.tolist(), found.truth.tolist()) == ([1, 0], [1, 2])


def test_a_score_outside_of_its_range_is_no_probability() -> None:
    columns = {"p[no]": np.array([-1.0, 0.4]), "p[yes]": np.array([2.0, 0.6])}
    outputs = outputs_of(spec(), descriptor(PROBABILITIES))
    found = answers_of(outputs, batch(2, np.array([True, True], dtype=object), output_numbers=columns))
    assert found.scores is not None
    assert json.dumps(found.scores.tolist()) == "[NaN, 0.6]"
    assert found.truth.tolist() == [1, 1]


def test_labels_are_classes_by_name_by_truth_and_by_number() -> None:
    values = np.array(["yes", "no", True, False, 1, 0.0, "perhaps", None], dtype=object)
    assert coded(values, {"no": 0.0, "yes": 1.0}).tolist()[:6] == [1, 0, 1, 0, 1, 0]
    assert np.isnan(coded(values, {"no": 0.0, "yes": 1.0})[6:]).all()
    assert coded(np.array([3.0, 4.0]), {"3": 0.0, "4": 1.0}).tolist() == [0, 1]
    assert coded(np.array(["3.0"], dtype=object), {"3": 0.0, "4": 1.0}).tolist() == [0]


def test_a_regression_from_rows_to_figures() -> None:
    random = np.random.default_rng(1)
    truth, said = random.normal(10, 2, 500), random.normal(10, 2, 500)
    truth[::50] = np.nan
    subject = subject_of(spec(), "sha256:1", descriptor(VALUE, task="Regression"), None, None)
    tally = summarize(batch(500, truth, output_numbers={"price": said}), subject)
    figures = performance_figures("Regression", below(tally, "all"))
    known = ~np.isnan(truth)
    assert tally["rows",].tolist() == [500, known.sum(), 0]
    assert figures["rmse"].value == pytest.approx(np.sqrt(np.mean((truth - said)[known] ** 2)))


def test_three_classes_from_rows_to_figures() -> None:
    random = np.random.default_rng(1)
    matrix = random.dirichlet((1, 1, 1), 400)
    truth = np.array(list("abc"), dtype=object)[random.integers(0, 3, 400)]
    columns = {f"p[{name}]": matrix[:, index] for index, name in enumerate("abc")}
    subject = subject_of(spec(), "sha256:1", descriptor(THREE), None, None)
    figures = performance_figures("Multiclass", below(summarize(batch(400, truth, output_numbers=columns), subject), "all"))
    assert set(figures) == {"accuracy", "balanced_accuracy", "f1", "log_loss", "auc"}


def test_only_the_most_frequent_values_of_a_column_are_kept() -> None:
    codes = np.concatenate([np.arange(500), np.zeros(500, dtype=np.int64)])
    texts = {"x": Texts(codes, tuple(f"v{index}" for index in range(500)))}
    content = {"champion": {"modelVersionRef": {"name": "m-1"}}, "monitoring": {"segments": ["x"]}}
    subject = subject_of(ModelDeploymentSpec.model_validate(content), "", None, None, None)
    tally = bounded(summarize(batch(1000, np.full(1000, np.nan), texts=texts), subject))
    kept = [key[2] for key in tally if key[0] == "segment" and key[3:] == ("rows",)]
    assert len(kept) == 50
    assert tally["segment", "x", "v0", "rows"].tolist() == [501, 0]
