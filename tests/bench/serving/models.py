"""The models of the benchmark and the rows that are asked: trained once, kept in the cache by this file's content.

A forest of 100 trees over 30 features (the breast cancer table of scikit-learn). Leaves hold two rows or more, so that
probabilities differ from row to row: with pure leaves they would be hundredths, and a swapped answer would pass for right.
"""

import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import sklearn
import yaml
from onnx import helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier

from bench.serving.generator import cache_folder
from cluster.build import exclusive, fingerprint
from podium_crds.package import (
    DESCRIPTOR_FILE,
    GOLDEN_FILE,
    MODEL_FILE,
    Descriptor,
    GoldenRow,
    InputSpec,
    OutputSpec,
    sha256_digest,
)
from serving_fixtures import write_package

FEATURES = 30
TREES = 100
ROWS = 1200
OPSET = 17
LARGE_ROWS = 6500
"""Noise to grow deep trees on, so that the session takes about 100 MB."""

Rows = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Version:
    """A package in the cache, with the scikit-learn model beside it as model.joblib, for peers."""

    name: str
    folder: Path
    digest: str

    @property
    def model_file(self) -> Path:
        return self.folder / MODEL_FILE

    def probabilities(self, rows: Rows) -> Rows:
        """[n, 2], by ONNX Runtime in this process."""
        session = onnxruntime.InferenceSession(str(self.model_file), providers=["CPUExecutionProvider"])
        named = session.get_inputs()[0].name == "x"
        asked = {"x": rows} if named else {f"x{index}": rows[:, [index]] for index in range(FEATURES)}
        return np.asarray(session.run(["probabilities"], asked)[0], dtype=np.float32)


@dataclass(frozen=True)
class Models:
    """`rf-1`, `rf-2`: the same table, other seeds, other answers. `named-1`: rf-1 with 30 inputs. `large-1`, `large-2`."""

    folder: Path

    def version(self, name: str) -> Version:
        """The package, made if the cache lacks it."""
        folder = self.folder / name
        with exclusive(self.folder / "models.lock"):
            if not folder.exists():
                print(f"training {name} (once)", file=sys.stderr)
                partial = self.folder / f"{name}.partial"
                shutil.rmtree(partial, ignore_errors=True)
                _make(name, partial)
                partial.rename(folder)
        return Version(name, folder, sha256_digest((folder / "manifest.json").read_bytes()))

    def rows(self) -> Rows:
        """[n, 30], ordered at random, each with a probability of its own under rf-1."""
        rng = np.random.default_rng(1)
        table = load_breast_cancer().data.astype(np.float32)
        first, second = rng.integers(0, len(table), (2, 20 * ROWS))
        weight = rng.random((20 * ROWS, 1), dtype=np.float32)
        mixed = np.asarray(table[first] * weight + table[second] * (1 - weight), dtype=np.float32)
        probability = self.version("rf-1").probabilities(mixed)[:, 1]
        _, distinct = np.unique(np.round(probability, 3), return_index=True)
        chosen: Rows = mixed[rng.permutation(distinct)]
        return chosen


def models() -> Models:
    key = fingerprint([Path(__file__).read_bytes(), sklearn.__version__.encode(), onnxruntime.__version__.encode()])
    return Models(cache_folder() / f"bench-models-{key}")


def _make(name: str, folder: Path) -> None:
    kind, seed = name.split("-")
    forest, sample = _large(int(seed)) if kind == "large" else _small(int(seed))
    graph = to_onnx(
        forest, initial_types=[("x", FloatTensorType([None, FEATURES]))], options={"zipmap": False}, target_opset=OPSET
    )
    graph.ir_version = 9
    if kind == "named":
        graph = _with_named_inputs(graph)
    inputs = _inputs(named=kind == "named")
    descriptor = Descriptor(
        name="bench",
        version=name,
        task="Classification",
        inputs=inputs,
        outputs=[
            OutputSpec(name="label", datatype="INT64", shape=[-1], kind="Label", classes=["0", "1"]),
            OutputSpec(name="probabilities", datatype="FP32", shape=[-1, 2], kind="Probabilities", classes=["0", "1"]),
        ],
    )
    write_package(
        folder,
        descriptor,
        {
            DESCRIPTOR_FILE: yaml.safe_dump(descriptor.model_dump(mode="json", exclude_defaults=True)).encode(),
            MODEL_FILE: graph.SerializeToString(),
            GOLDEN_FILE: _golden(forest, sample, [spec.name for spec in inputs]),
        },
    )
    if kind == "rf":
        joblib.dump(forest, folder / "model.joblib")


def _small(seed: int) -> tuple[Any, Rows]:
    table, target = load_breast_cancer(return_X_y=True)
    forest = RandomForestClassifier(TREES, min_samples_leaf=2, random_state=seed).fit(table.astype(np.float32), target)
    return forest, table.astype(np.float32)


def _large(seed: int) -> tuple[Any, Rows]:
    rng = np.random.default_rng(seed)
    table = load_breast_cancer().data.astype(np.float32)
    noise = np.asarray(table[rng.integers(0, len(table), LARGE_ROWS)] * rng.uniform(0.5, 1.5, (LARGE_ROWS, FEATURES)))
    forest = RandomForestClassifier(TREES, random_state=seed).fit(noise.astype(np.float32), rng.integers(0, 2, LARGE_ROWS))
    return forest, table


def _inputs(*, named: bool) -> list[InputSpec]:
    if not named:
        return [InputSpec(name="x", datatype="FP32", shape=[-1, FEATURES])]
    return [InputSpec(name=f"x{index}", datatype="FP32", shape=[-1, 1]) for index in range(FEATURES)]


def _golden(forest: Any, sample: Rows, inputs: Sequence[str]) -> bytes:
    """Sure rows only: what golden rows are for is tested elsewhere."""
    answers = forest.predict_proba(sample)
    sure = np.flatnonzero(np.abs(answers[:, 1] - 0.5) > 0.2)[:16]
    lines = []
    for index in sure:
        row = [float(str(value)) for value in sample[index]]
        asked: dict[str, Any] = {"x": row} if list(inputs) == ["x"] else {name: [row[at]] for at, name in enumerate(inputs)}
        said = {"label": int(answers[index].argmax()), "probabilities": answers[index].tolist()}
        lines.append(json.dumps(GoldenRow(inputs=asked, outputs=said).model_dump(mode="json", exclude_none=True)))
    return "\n".join(lines).encode() + b"\n"


def _with_named_inputs(graph: Any) -> Any:
    """The same model behind 30 inputs [n, 1], which its first step joins."""
    names = [f"x{index}" for index in range(FEATURES)]
    del graph.graph.input[:]
    graph.graph.input.extend(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [None, 1]) for name in names)
    graph.graph.node.insert(0, helper.make_node("Concat", names, ["x"], axis=1))
    return graph
