import json

import numpy as np
import pandas as pd
import pytest

from podium_cli.columns import Column
from podium_cli.golden import edge_positions, golden_bytes, output_row, row_value
from podium_cli.probes import UNSEEN_CATEGORY, probe_frames
from podium_cli.profiles import profile_bytes, reference_bytes
from podium_crds.package import GoldenRow, OutputSpec
from podium_crds.profile import CategoricalProfile, NumericProfile, Profile

NUMBER, TEXT = Column("n", "FP64", True), Column("t", "BYTES", True)


def test_edges_of_every_column_are_chosen_first() -> None:
    frame = pd.DataFrame({"n": [5.0, 1.0, np.nan, 9.0, 5.0, 5.0], "t": ["a", "a", "a", "a", "b", None]})
    assert edge_positions(frame, [NUMBER, TEXT], None, 6) == [0, 1, 2, 3, 4, 5]
    assert edge_positions(frame, [NUMBER, TEXT], None, 5) == [1, 2, 3, 4, 5]


def test_columns_take_turns_when_there_is_room_for_few_rows() -> None:
    frame = pd.DataFrame({"n": [1.0, 2.0, 3.0, np.nan], "t": ["a", "b", None, "a"]})
    assert edge_positions(frame, [NUMBER, TEXT], None, 2) == [2, 3]  # the missing value of each


def test_undecided_rows_are_chosen() -> None:
    frame = pd.DataFrame({"n": np.arange(1000.0)})
    margins = np.ones(1000)
    margins[[123, 777]] = 0.001
    assert {123, 777} <= set(edge_positions(frame, [NUMBER], margins, 20))


@pytest.mark.parametrize(
    ("tensor", "value"),
    [
        (np.float32(0.5), 0.5),
        (np.array([0.5]), 0.5),
        (np.array([0.25, np.nan]), [0.25, None]),
        (np.array([[1], [2]]), [[1], [2]]),
        ("text", "text"),
        (np.int64(3), 3),
        (np.bool_(True), True),
    ],
    ids=str,
)
def test_a_row_of_one_element_is_a_scalar_and_nan_is_null(tensor: object, value: object) -> None:
    assert row_value(tensor) == value


def test_nulls_inside_a_golden_row_are_kept() -> None:
    line = golden_bytes([GoldenRow(inputs={"n": None}, outputs={"p": [None, 1.0]})])
    assert json.loads(line) == {"inputs": {"n": None}, "outputs": {"p": [None, 1.0]}}
    assert output_row({"p": np.array([[1.0, np.nan]])}, 0) == {"p": [1.0, None]}


def test_probes_try_what_production_will_send() -> None:
    frame = pd.DataFrame({"n": [1.0, 2.0], "t": ["a", "b"], "w": [1, 2]})
    probes = list(probe_frames(frame, [NUMBER, TEXT, Column("w", "INT64", False)]))
    assert [probe["n"].isna().all() for probe in probes] == [True, False, False]
    assert [probe["t"].isna().all() for probe in probes] == [False, True, False]
    assert probes[2]["t"].tolist() == [UNSEEN_CATEGORY] * 2
    assert all(probe["w"].tolist() == [1, 2] for probe in probes)


def test_a_profile_counts_every_row_once() -> None:
    frame = pd.DataFrame({"n": [*range(100), np.nan], "t": ["a", "b", *["a"] * 98, None]})
    labels, probabilities = np.array([0] * 60 + [1] * 41), np.tile([0.25, 0.75], (101, 1))
    specs = [
        OutputSpec(name="label", datatype="INT64", shape=[-1], kind="Label", classes=["0", "1"]),
        OutputSpec(name="probabilities", datatype="FP32", shape=[-1, 2], kind="Probabilities", classes=["0", "1"]),
    ]
    content = profile_bytes(frame, [NUMBER, TEXT], {"label": labels, "probabilities": probabilities}, specs)
    profile = Profile.model_validate_json(content)
    number, text = profile.inputs["n"], profile.inputs["t"]
    assert isinstance(number, NumericProfile)
    assert (number.counts, number.missing, len(number.edges)) == ([10] * 10, 1, 9)
    assert text == CategoricalProfile(counts={"a": 99, "b": 1}, missing=1)
    assert profile.outputs["label"] == CategoricalProfile(counts={"0": 60, "1": 41})
    assert set(profile.outputs) == {"label", "probabilities[0]", "probabilities[1]"}
    one = profile.outputs["probabilities[0]"]
    assert isinstance(one, NumericProfile)
    assert sum(one.counts) == 101


def test_the_reference_holds_strings_nulls_answers_and_the_target() -> None:
    import io

    import pyarrow.parquet as pq

    frame = pd.DataFrame({"n": np.arange(20_000.0), "t": ["a", None] * 10_000})
    outputs = {"label": np.zeros(20_000, dtype=int), "probabilities": np.tile([0.5, 0.5], (20_000, 1))}
    table = pq.read_table(io.BytesIO(reference_bytes(frame, [NUMBER, TEXT], outputs, np.ones(20_000))))
    assert table.column_names == ["n", "t", "output.label", "output.probabilities", "target"]
    assert table.num_rows == 10_000
    assert str(table.schema.field("t").type) == "string"
    assert 0 < table["t"].null_count < 10_000
