"""A bare ONNX file: signature from the graph, golden rows from ONNX Runtime."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
from onnx import TensorProto, helper, numpy_helper

from cli_fixtures import sum_model
from podium_cli.errors import ModelRefused, UserError
from podium_cli.onnx_file import package_onnx
from podium_cli.package import Identity

IDENTITY = Identity("sum", "1")


def golden(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "golden.jsonl").read_bytes().splitlines()]


def model_of(path: Path, node: Any, inputs: list[Any], outputs: list[Any]) -> Path:
    graph = helper.make_graph([node], "graph", inputs, outputs)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), str(path))
    return path


def test_a_bare_model_gets_its_signature_and_golden_rows(tmp_path: Path) -> None:
    packaged = package_onnx(sum_model(tmp_path / "model.onnx"), IDENTITY, tmp_path / "out")
    described = packaged.folder.descriptor
    assert [(spec.name, spec.datatype, spec.shape) for spec in described.inputs] == [
        ("a", "FP32", [-1, 1]),
        ("b", "FP32", [-1, 1]),
    ]
    assert described.golden_source == "OnnxRuntime"
    assert packaged.parity is None
    rows = golden(tmp_path / "out")
    assert len(rows) == 8
    for row in rows:
        assert row["outputs"]["sum"] == pytest.approx(row["inputs"]["a"] + row["inputs"]["b"], abs=1e-6)


def test_the_models_bytes_are_kept(tmp_path: Path) -> None:
    path = sum_model(tmp_path / "model.onnx")
    package_onnx(path, IDENTITY, tmp_path / "out")
    assert (tmp_path / "out" / "model.onnx").read_bytes() == path.read_bytes()


def test_rows_of_a_sample_become_the_golden_rows(tmp_path: Path) -> None:
    sample = pd.DataFrame({"a": [1.0, 2.0], "b": [10.0, 20.0]})
    package_onnx(sum_model(tmp_path / "model.onnx"), IDENTITY, tmp_path / "out", sample=sample)
    assert [row["outputs"]["sum"] for row in golden(tmp_path / "out")] == [11.0, 22.0]


def test_wide_inputs_and_a_second_free_dimension_are_lists(tmp_path: Path) -> None:
    path = sum_model(tmp_path / "model.onnx", (None, 3, None))
    packaged = package_onnx(path, IDENTITY, tmp_path / "out")
    assert packaged.folder.descriptor.inputs[0].shape == [-1, 3, -1]
    assert np.array(golden(tmp_path / "out")[2]["inputs"]["a"]).shape == (3, 2)
    sample = pd.DataFrame({"a": [[[1.0], [2.0], [3.0]]], "b": [[[1.0], [1.0], [1.0]]]})
    package_onnx(path, IDENTITY, tmp_path / "listed", sample=sample)
    assert golden(tmp_path / "listed")[0]["outputs"]["sum"] == [[2.0], [3.0], [4.0]]


def test_rows_without_a_second_axis_are_scalars(tmp_path: Path) -> None:
    package_onnx(sum_model(tmp_path / "model.onnx", (None,)), IDENTITY, tmp_path / "out")
    assert golden(tmp_path / "out")[1] == {"inputs": {"a": 1.0, "b": 1.0}, "outputs": {"sum": 2.0}}


def test_weights_in_files_beside_the_model_are_taken_in(tmp_path: Path) -> None:
    weights = numpy_helper.from_array(np.arange(2048, dtype=np.float32).reshape(1, -1), "w")
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2048])
    answer = helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 2048])
    graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "g", [value], [answer], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, str(tmp_path / "model.onnx"), save_as_external_data=True, location="weights.bin", size_threshold=0)
    package_onnx(tmp_path / "model.onnx", IDENTITY, tmp_path / "out")
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(UserError, match="keeps weights in files beside it that cannot be taken in"):
        package_onnx(tmp_path / "model.onnx", IDENTITY, tmp_path / "again")


def _refused(path: Path, tmp_path: Path, sentence: str, **options: Any) -> None:
    with pytest.raises(UserError) as caught:
        package_onnx(path, IDENTITY, tmp_path / "out", **options)
    assert sentence in str(caught.value)


def test_a_fixed_batch_is_refused(tmp_path: Path) -> None:
    _refused(sum_model(tmp_path / "m.onnx", (1, 2)), tmp_path, "input 'a' has shape [1, 2]; its first axis counts rows")


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_text("hello")
    _refused(tmp_path / "m.onnx", tmp_path, "m.onnx is no ONNX file")
    _refused(tmp_path / "gone.onnx", tmp_path, "there is no file")


def test_an_output_that_does_not_count_rows_is_refused(tmp_path: Path) -> None:
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])]
    node = helper.make_node("ReduceSum", ["x"], ["y"], keepdims=0)
    path = model_of(tmp_path / "m.onnx", node, inputs, [helper.make_tensor_value_info("y", TensorProto.FLOAT, [])])
    _refused(path, tmp_path, "output 'y' has shape [] for 8 rows; its first axis must count rows")


def test_a_sample_without_an_input_is_refused(tmp_path: Path) -> None:
    path = sum_model(tmp_path / "m.onnx")
    _refused(path, tmp_path, "the sample has no column 'b'; the model's inputs are a, b", sample=pd.DataFrame({"a": [1.0]}))


def test_a_model_that_fails_on_made_up_rows_asks_for_real_ones(tmp_path: Path) -> None:
    inputs = [helper.make_tensor_value_info("i", TensorProto.INT64, [None])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None])]
    table = numpy_helper.from_array(np.zeros(1, dtype=np.float32), "t")
    graph = helper.make_graph([helper.make_node("Gather", ["t", "i"], ["y"])], "g", inputs, outputs, [table])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), str(tmp_path / "m.onnx"))
    with pytest.raises(ModelRefused, match="the model fails on made-up rows; give real ones with --sample"):
        package_onnx(tmp_path / "m.onnx", IDENTITY, tmp_path / "out")
