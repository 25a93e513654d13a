"""Rows become units: keys, first requests, and losses of what packages say in different shapes."""

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from podium_evaluation.expressions import parse
from podium_monitor.evaluations.subject import Outputs
from podium_monitor.evidence.units import Answers, Rows, fingerprint, first_of_each, losses_of, stem

BINARY = Outputs("Binary", label="label", probabilities="probabilities", classes=("no", "yes"))
NO_KEYS = np.zeros(0, dtype=np.uint64)


def rows(labels: list[Any], **columns: list[Any]) -> Rows:
    count = len(labels)
    texts = {
        "event_id": [f"e-{row:x}-0" for row in range(count)],
        "inputs": ["{}"] * count,
        "outcomes": [None] * count,
        "label": [None if label is None else json.dumps(label) for label in labels],
        **columns,
    }
    return Rows(pa.table({name: pa.array(values, pa.string()) for name, values in texts.items()}))


def answers(outputs: Outputs, *said: dict[str, Any]) -> Answers:
    return Answers(list(said), outputs, np.full(len(said), 0.01))


@pytest.mark.parametrize("spelled", ["yes", "1", 1, True, 1.0])
def test_labels_are_classes_however_they_are_spelled(spelled: Any) -> None:
    outputs = BINARY if spelled == "yes" else Outputs("Binary", "label", "probabilities", classes=("0", "1"))
    found = losses_of("Brier", answers(outputs, {"probabilities": [0.4, 0.6]}), rows([spelled]), None)
    assert found == pytest.approx([0.16])


def test_losses_are_missing_where_answer_or_label_is() -> None:
    said = answers(BINARY, {"probabilities": [0.4, 0.6]}, {"probabilities": None}, {"probabilities": [0.4, 0.6]}, {})
    found = losses_of("LogLoss", said, rows(["yes", "yes", None, "maybe"]), None)
    assert found == pytest.approx([-np.log(0.6), np.nan, np.nan, np.nan], nan_ok=True)


def test_a_probability_alone_is_that_of_the_positive_class() -> None:
    said = answers(BINARY, {"probabilities": 0.7}, {"probabilities": [0.7]}, {"probabilities": 1.7})
    found = losses_of("Brier", said, rows(["yes", "no", "no"]), None)
    assert found == pytest.approx([0.09, 0.49, np.nan], nan_ok=True)


def test_the_decided_class_is_the_label_output_or_else_the_likelier_one() -> None:
    said = answers(BINARY, {"label": "no", "probabilities": [0.1, 0.9]}, {"label": ["yes"]})
    assert said.decided().tolist() == [0, 1]
    alone = answers(Outputs("Binary", None, "probabilities", classes=("no", "yes")), {"probabilities": [0.5, 0.5]}, {})
    assert alone.decided().tolist() == [1, -1]
    three = Outputs("Multiclass", None, "p", classes=("a", "b", "c"))
    assert answers(three, {"p": [0.2, 0.5, 0.3]}).decided().tolist() == [1]


def test_errors_of_a_number() -> None:
    said = answers(Outputs("Regression", value="prediction"), {"prediction": [3.0]}, {"prediction": 4}, {"prediction": None})
    assert losses_of("SquaredError", said, rows([1, "2.5", 1]), None) == pytest.approx([4, 2.25, np.nan], nan_ok=True)


def test_the_value_reads_all_of_a_decision() -> None:
    text = (
        "if(prediction = label, outcome.paid, -1) + score + output.probabilities['yes'] + output.probabilities[0] + input.x"
    )
    said = answers(BINARY, {"label": "yes", "probabilities": [0.25, 0.75]}, {"label": "no", "probabilities": [1.0, 0.0]})
    found = rows(["yes", "yes"], inputs=['{"x": 10}', '{"x": null}'], outcomes=['{"paid": 100}', None])
    assert losses_of("Value", said, found, parse(text)) == pytest.approx([-111.75, np.nan], nan_ok=True)


def test_a_unit_is_its_first_chosen_row_and_no_later_one() -> None:
    units = np.array([5, 5, 5, 7, 9], dtype=np.uint64)
    chosen = np.array([False, True, True, True, True])
    assert first_of_each(units, chosen, NO_KEYS).tolist() == [False, True, False, True, True]
    assert first_of_each(units, chosen, np.array([7], dtype=np.uint64)).tolist() == [False, True, False, False, True]


def test_the_stem_of_an_event_is_its_request() -> None:
    assert stem("abc-1f-0") == "abc-1f"
    assert stem("alone") == "alone"


def test_the_fingerprint_knows_units_and_labels_and_not_their_batches() -> None:
    whole = fingerprint(["a", "b"], ["1", "0"])
    assert (fingerprint(["a"], ["1"]) + fingerprint(["b"], ["0"])) % 2**64 == whole
    assert fingerprint(["a", "b"], ["0", "1"]) != whole
