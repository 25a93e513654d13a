"""The ONNX Runtime session of one version: made, checked against the descriptor, warmed and timed.

All of it blocks: call it in a thread.
"""

import time
from collections.abc import Sequence

import numpy as np
import onnxruntime

from podium_crds.package import DESCRIPTOR_FILE, MODEL_FILE, Datatype, Descriptor, TensorSpec
from podium_serving.exchange import Columns
from podium_serving.model.package import InvalidPackage, Package
from podium_serving.oip.tensors import NUMPY_TYPES
from podium_serving.settings import ModelSettings, Provider

ONNX_TYPES: dict[str, Datatype] = {
    "tensor(bool)": "BOOL",
    "tensor(uint8)": "UINT8",
    "tensor(uint16)": "UINT16",
    "tensor(uint32)": "UINT32",
    "tensor(uint64)": "UINT64",
    "tensor(int8)": "INT8",
    "tensor(int16)": "INT16",
    "tensor(int32)": "INT32",
    "tensor(int64)": "INT64",
    "tensor(float16)": "FP16",
    "tensor(float)": "FP32",
    "tensor(double)": "FP64",
    "tensor(string)": "BYTES",
}

PROVIDERS: dict[Provider, str] = {
    "Cpu": "CPUExecutionProvider",
    "Cuda": "CUDAExecutionProvider",
    "TensorRt": "TensorrtExecutionProvider",
}
"""ONNX Runtime's names."""

INLINE_SECONDS = 0.0005
"""A run up to this long happens in the loop: a hop to a thread and back costs 0.1 ms, and more when the loop is busy."""

_WARM_ROWS = 64


class Session:
    """A loaded model.onnx."""

    def __init__(self, package: Package, settings: ModelSettings) -> None:
        """Raises InvalidPackage: the file cannot be loaded or is not what the descriptor says, or a provider is not here."""
        wanted = wanted_providers(settings.providers, onnxruntime.get_available_providers())
        try:
            self._session = onnxruntime.InferenceSession(
                str(package.model_file), session_options(settings.threads), providers=wanted
            )
        except Exception as error:  # onnxruntime raises a class per status, with no common base below Exception
            raise InvalidPackage(f"{MODEL_FILE} cannot be loaded: {error}"[:1000], "LoadFailed") from error
        check_in_use(wanted, self._session.get_providers())
        descriptor = package.descriptor
        _check("input", descriptor.inputs, self._session.get_inputs(), also_others=False)
        # With hooks, the outputs of the descriptor are what after() makes, and after() may use all that the model has.
        if descriptor.transform:
            self._output_names = [node.name for node in self._session.get_outputs() if node.type in ONNX_TYPES]
        else:
            _check("output", descriptor.outputs, self._session.get_outputs(), also_others=True)
            self._output_names = [spec.name for spec in descriptor.outputs]

    def run(self, columns: Columns) -> Columns:
        return dict(zip(self._output_names, self._session.run(self._output_names, columns), strict=True))


def session_options(threads: int) -> onnxruntime.SessionOptions:
    """Of every session. `threads` run one call together."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Threads that spin between runs burn the CPU limit that the next request needs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # An arena keeps what the largest batch ever needed, 67 MB after 4,096 rows of a perceptron, and is no faster.
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 3
    return options


def wanted_providers(wanted: Sequence[Provider], available: Sequence[str]) -> list[str]:
    """ONNX Runtime's names of the providers, by preference.

    Raises InvalidPackage when one is not built into this ONNX Runtime: serving on the CPU what was sized for a GPU would
    look like an outage, and every pod of this image is the same.
    """
    for name in wanted:
        if PROVIDERS[name] not in available:
            here = ", ".join(known for known, runtime_name in PROVIDERS.items() if runtime_name in available)
            raise InvalidPackage(
                f"executionProviders asks for {name}, the ONNX Runtime of this image has {here}: "
                f"use a scoring image with {name}, or take {name} out",
                "LoadFailed",
            )
    return [PROVIDERS[name] for name in wanted]


def check_in_use(wanted: Sequence[str], in_use: Sequence[str]) -> None:
    """Raises InvalidPackage when a provider did not start: ONNX Runtime only logs that. It is this pod's fault."""
    for name in wanted:
        if name not in in_use:
            raise InvalidPackage(
                f"{name} did not start in this pod, in use is {', '.join(in_use)}: the pod needs a device and its driver",
                "ProviderUnavailable",
            )


def inline_rows(session: Session, sample: Columns) -> int:
    """How many rows run within INLINE_SECONDS, by the best of several runs of 1 and of 64 rows of `sample`. Warms up."""
    one = {name: array[:1] for name, array in sample.items()}
    many = {name: np.resize(array, (_WARM_ROWS, *array.shape[1:])) for name, array in sample.items()}
    first, all_of_them = _best_seconds(session, one), _best_seconds(session, many)
    per_row = max(0.0, (all_of_them - first) / (_WARM_ROWS - 1))
    if first > INLINE_SECONDS:
        return 0
    return 1 + int(min(1e6, (INLINE_SECONDS - first) / max(per_row, 1e-9)))


def placeholder_columns(descriptor: Descriptor) -> Columns:
    """A row to warm up with when there are no golden rows: zeros, or the first category."""
    columns: Columns = {}
    for spec in descriptor.inputs:
        shape = [1, *(1 if size == -1 else size for size in spec.shape[1:])]
        fill = (spec.categories or [""])[0] if spec.datatype == "BYTES" else (spec.minimum or 0)
        columns[spec.name] = np.full(shape, fill, np.dtype(NUMPY_TYPES[spec.datatype]))
    return columns


def _best_seconds(session: Session, columns: Columns, runs: int = 5) -> float:
    best = float("inf")  # CPU time: this thread stands back where others want the core
    for _ in range(runs):
        started = time.thread_time()
        session.run(columns)
        best = min(best, time.thread_time() - started)
        if best > 0.1:  # a slow model: once is enough to know
            break
    return best


def _check(direction: str, specs: Sequence[TensorSpec], nodes: Sequence[onnxruntime.NodeArg], *, also_others: bool) -> None:
    found = {node.name: node for node in nodes}
    for spec in specs:
        node = found.get(spec.name)
        if node is None:
            raise InvalidPackage(
                f"{DESCRIPTOR_FILE} has {direction} '{spec.name}', {MODEL_FILE} has {', '.join(found)}", "SchemaMismatch"
            )
        shape = [size if isinstance(size, int) else -1 for size in node.shape]
        datatype = ONNX_TYPES.get(node.type)
        # A model that states no shape at all is taken at the descriptor's word.
        fits = not shape or (
            len(shape) == len(spec.shape)
            and all(got in (-1, want) or want == -1 for got, want in zip(shape[1:], spec.shape[1:], strict=True))
        )
        if datatype != spec.datatype or not fits:
            raise InvalidPackage(
                f"{DESCRIPTOR_FILE} says {direction} '{spec.name}' is {spec.shape} {spec.datatype}, "
                f"{MODEL_FILE} has {shape} {datatype or node.type}",
                "SchemaMismatch",
            )
    others = found.keys() - {spec.name for spec in specs}
    if others and not also_others:
        raise InvalidPackage(
            f"{MODEL_FILE} needs {direction} '{min(others)}', which {DESCRIPTOR_FILE} lacks", "SchemaMismatch"
        )
