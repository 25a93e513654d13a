"""Which number is explained: the usual one where nothing is said, any other by name, and clear words for none."""

from typing import Any

import numpy as np
import pytest

from podium_crds.package import Descriptor
from podium_serving.exchange import ServingError
from podium_serving.explain.cells import Cells, NotExplainable
from podium_serving.explain.quantity import Options, quantity

LABEL = {"name": "label", "datatype": "BYTES", "shape": [-1], "kind": "Label"}
TWO = {"name": "p", "datatype": "FP32", "shape": [-1, 2], "kind": "Probabilities", "classes": ["no", "yes"]}
THREE = {"name": "p", "datatype": "FP32", "shape": [-1, 3], "kind": "Probabilities", "classes": ["a", "b", "c"]}
NAMELESS = {"name": "p", "datatype": "FP32", "shape": [-1, 3], "kind": "Probabilities"}
SINGLE = {"name": "p", "datatype": "FP32", "shape": [-1, 1], "kind": "Probabilities"}
VALUE = {"name": "prediction", "datatype": "FP32", "shape": [-1, 1], "kind": "Value"}
VALUES = {"name": "prediction", "datatype": "FP32", "shape": [-1, 2], "kind": "Value"}
RAW = {"name": "y", "datatype": "FP64", "shape": [-1, -1]}
ANSWERS: dict[str, list[Any]] = {"p": [0.2, 0.7, 0.1], "prediction": [3.5, 4.5], "y": [7.0], "label": ["yes"]}


def descriptor(*outputs: dict[str, Any]) -> Descriptor:
    inputs = [{"name": "x", "datatype": "FP32", "shape": [-1, 1]}]
    return Descriptor.model_validate({"name": "m", "version": "1", "inputs": inputs, "outputs": outputs})


def answer(*outputs: dict[str, Any]) -> Any:
    return {
        output["name"]: np.array([ANSWERS[output["name"]][: output["shape"][-1] if output["shape"][-1] > 0 else 1]])
        for output in outputs
    }


@pytest.mark.parametrize(
    ("outputs", "options", "name", "position", "scale"),
    [
        pytest.param([LABEL, TWO], Options(), "yes", 1, "Probability", id="second-of-two-classes"),
        pytest.param([LABEL, THREE], Options(), "b", 1, "Probability", id="predicted-of-more"),
        pytest.param([LABEL, THREE], Options(target="c"), "c", 2, "Probability", id="by-name"),
        pytest.param([NAMELESS], Options(target="p[2]"), "p[2]", 2, "Probability", id="by-place"),
        pytest.param([SINGLE], Options(), "p", 0, "Probability", id="one-probability"),
        pytest.param([TWO], Options(scale="LogOdds"), "yes", 1, "LogOdds", id="log-odds"),
        pytest.param([VALUE], Options(), "prediction", 0, "Value", id="value"),
        pytest.param([VALUES], Options(target="prediction[1]"), "prediction[1]", 1, "Value", id="second-value"),
        pytest.param([RAW], Options(), "y", 0, "Value", id="raw-number"),
        pytest.param([VALUE, TWO], Options(), "yes", 1, "Probability", id="probabilities-before-values"),
    ],
)
def test_the_quantity_is_the_usual_one_or_the_one_that_is_named(
    outputs: list[dict[str, Any]], options: Options, name: str, position: int, scale: str
) -> None:
    found = quantity(descriptor(*outputs), options, answer(*outputs))
    assert (found.name, found.position, found.scale) == (name, position, scale)


@pytest.mark.parametrize(
    ("outputs", "options", "text"),
    [
        pytest.param([LABEL], Options(), "this model answers with labels only", id="labels"),
        pytest.param([VALUES], Options(), "several values; it is one of 'prediction[0]', 'prediction[1]'", id="which"),
        pytest.param([TWO], Options(target="maybe"), "there is no 'maybe'; it is one of 'no', 'yes'", id="unknown"),
        pytest.param([VALUE], Options(scale="LogOdds"), "'prediction' is no probability: leave it out", id="scale"),
    ],
)
def test_what_cannot_be_explained_is_told_with_what_can(outputs: list[dict[str, Any]], options: Options, text: str) -> None:
    with pytest.raises(ServingError) as refused:
        quantity(descriptor(*outputs), options, answer(*outputs))
    assert text in str(refused.value)
    assert refused.value.http_status == 400


def test_log_odds_of_certainty_are_finite() -> None:
    found = quantity(descriptor(TWO), Options(scale="LogOdds"), answer(TWO))
    values = found.of({"p": np.array([[0.5, 0.5], [0.0, 1.0], [1.0, 0.0]], np.float32)})
    np.testing.assert_allclose(values, [0, 13.8155, -13.8155], atol=1e-3)


def test_what_is_not_finite_is_not_explained() -> None:
    found = quantity(descriptor(VALUE), Options(), answer(VALUE))
    with pytest.raises(NotExplainable, match="NaN or infinity"):
        found.of({"prediction": np.array([[1.0], [np.nan]])})


def test_the_precision_of_values_is_a_hundredth_of_their_range() -> None:
    found = quantity(descriptor(VALUE), Options(), answer(VALUE))
    assert found.precision(None, np.array([10.0, 60.0])) == 0.5
    assert found.precision(0.2, np.array([10.0, 60.0])) == 0.2
    assert found.precision(None, np.array([10.0, 10.0])) > 0


@pytest.mark.parametrize("shape", [[-1, -1], [-1, 3000]])
def test_rows_of_any_or_too_many_cells_are_not_explained(shape: list[int]) -> None:
    inputs = [{"name": "x", "datatype": "FP32", "shape": shape}]
    made = Descriptor.model_validate({"name": "m", "version": "1", "inputs": inputs, "outputs": [VALUE]})
    with pytest.raises(NotExplainable):
        Cells(list(made.inputs))


def test_cells_are_named_by_input_and_place() -> None:
    shapes = [("a", [-1]), ("b", [-1, 1]), ("c", [-1, 2]), ("d", [-1, 2, 1])]
    inputs = [{"name": name, "datatype": "FP32", "shape": shape} for name, shape in shapes]
    made = Descriptor.model_validate({"name": "m", "version": "1", "inputs": inputs, "outputs": [VALUE]})
    assert Cells(list(made.inputs)).names == ["a", "b", "c[0]", "c[1]", "d[0][0]", "d[1][0]"]
