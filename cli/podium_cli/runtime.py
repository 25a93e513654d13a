"""ONNX Runtime as the packager uses it: one thread, so that sums are added in one order and packages are byte-equal."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnxruntime

Array = np.ndarray[Any, np.dtype[Any]]


def session(model: bytes) -> Any:
    """An InferenceSession. Raises ONNX Runtime's own errors."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def run(model: Any, columns: Mapping[str, Array]) -> dict[str, Array]:
    """The model's outputs by name."""
    names = [output.name for output in model.get_outputs()]
    return dict(zip(names, (np.asarray(value) for value in model.run(None, dict(columns))), strict=True))
