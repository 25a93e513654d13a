"""Tiny model packages on disk for tests of the serving part: a weighted sum whose answers depend on its weights.

Real packages, made by the same wire functions as the command line's, so that a test of loading, fetching or swapping
needs no training library.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx
import yaml
from onnx import TensorProto, helper

from podium_crds.package import (
    CONFIG_FILE,
    DESCRIPTOR_FILE,
    GOLDEN_FILE,
    MANIFEST_FILE,
    MODEL_FILE,
    TRANSFORM_FILE,
    Descriptor,
    FileEntry,
    GoldenRow,
    InputSpec,
    OutputSpec,
    config_bytes,
    manifest_bytes,
    sha256_digest,
)

GOLDEN_ROWS = 8


def weighted_sum_onnx(weights: Sequence[float], key_input: str | None = None) -> bytes:
    """score [-1, 1] = sum of weights[i] * x<i> [-1, 1]. `key_input` names a BYTES input that changes no answer."""
    names = [f"x{index}" for index in range(len(weights))]
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", 1]) for name in names]
    if key_input is not None:
        inputs.append(helper.make_tensor_value_info(key_input, TensorProto.STRING, ["rows", 1]))
    graph = helper.make_graph(
        [
            helper.make_node("Concat", names, ["joined"], axis=1),
            helper.make_node("MatMul", ["joined", "weights"], ["score"]),
        ],
        "weighted_sum",
        inputs,
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["rows", 1])],
        [helper.make_tensor("weights", TensorProto.FLOAT, [len(weights), 1], list(weights))],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def make_package(
    folder: Path,
    *,
    name: str = "sum",
    version: str = "1",
    weights: Sequence[float] | None = None,
    inputs: int = 2,
    transform: str | None = None,
    key_input: str | None = None,
    golden_offset: float = 0.0,
    descriptor_changes: dict[str, Any] | None = None,
) -> str:
    """Writes a complete package into `folder` (made if absent) and returns its digest.

    score = sum of weights[i] * x<i>; weights default to 1. `golden_offset` is added to the golden answers: anything
    beyond the tolerances makes a package whose golden rows fail. `transform` is the text of transform.py; golden rows
    then say the hooked answers only if they equal the plain ones, so a hook that changes answers fails them.
    `descriptor_changes` are merged into podium.yaml.
    """
    weights = list(weights) if weights is not None else [1.0] * inputs
    descriptor = weighted_sum_descriptor(name, version, len(weights), key_input, transform is not None, descriptor_changes)
    golden = golden_lines(weights, key_input, golden_offset, hooked=transform is not None)
    contents = {
        DESCRIPTOR_FILE: yaml.safe_dump(descriptor.model_dump(mode="json", exclude_defaults=True), sort_keys=False).encode(),
        MODEL_FILE: weighted_sum_onnx(weights, key_input),
        GOLDEN_FILE: golden,
    }
    if transform is not None:
        contents[TRANSFORM_FILE] = transform.encode()
    return write_package(folder, descriptor, contents)


def write_package(folder: Path, descriptor: Descriptor, contents: dict[str, bytes]) -> str:
    """Writes files, config and manifest; returns the package's digest."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = [FileEntry(name=name, digest=sha256_digest(content), size=len(content)) for name, content in contents.items()]
    config = config_bytes(descriptor, entries)
    manifest = manifest_bytes(config, entries)
    for name, content in {**contents, CONFIG_FILE: config, MANIFEST_FILE: manifest}.items():
        (folder / name).write_bytes(content)
    return sha256_digest(manifest)


def weighted_sum_descriptor(
    name: str = "sum",
    version: str = "1",
    inputs: int = 2,
    key_input: str | None = None,
    transform: bool = False,
    changes: dict[str, Any] | None = None,
) -> Descriptor:
    specs = [
        InputSpec(name=f"x{index}", datatype="FP32", shape=[-1, 1], nullable=True, minimum=-10, maximum=10, example=1.5)
        for index in range(inputs)
    ]
    if key_input is not None:
        specs.append(InputSpec(name=key_input, datatype="BYTES", shape=[-1, 1], nullable=True, example="a"))
    plain = Descriptor(
        name=name,
        version=version,
        task="Regression",
        inputs=specs,
        outputs=[OutputSpec(name="score", datatype="FP32", shape=[-1, 1], kind="Value")],
        transform=transform,
    )
    return Descriptor.model_validate({**plain.model_dump(mode="json"), **(changes or {})})


def golden_lines(weights: Sequence[float], key_input: str | None, offset: float, *, hooked: bool) -> bytes:
    rows = []
    for row in range(GOLDEN_ROWS):
        values: dict[str, Any] = {f"x{index}": [row - 2.5 + index] for index in range(len(weights))}
        score = sum(weight * values[f"x{index}"][0] for index, weight in enumerate(weights)) + offset
        if key_input is not None:
            values[key_input] = [f"key-{row}"]
        outputs = {"score": [score]}
        rows.append(GoldenRow(inputs=values, outputs=outputs, hooked_outputs=outputs if hooked else None))
    return b"".join(json.dumps(row.model_dump(mode="json", exclude_none=True)).encode() + b"\n" for row in rows)
