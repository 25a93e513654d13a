"""A bare ONNX file as a package: its signature is read from the graph, its golden answers are ONNX Runtime's own.

Without sample rows there is nothing to profile, so profile.json and reference.parquet are left out and ranges stay unknown.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto

from podium_cli.columns import NUMPY_TYPES, Array
from podium_cli.errors import ModelRefused, UserError
from podium_cli.folder import check_free, write_package
from podium_cli.golden import golden_bytes, output_row, row_value
from podium_cli.hooks import hooked_answers, load_hooks
from podium_cli.package import MAX_MODEL_BYTES, Identity, Packaged, descriptor
from podium_cli.runtime import run, session
from podium_crds.package import GOLDEN_FILE, MODEL_FILE, TRANSFORM_FILE, Datatype, GoldenRow, InputSpec, OutputSpec, Training

MADE_ROWS = 8
_FREE_DIMENSION = 2
"""What a dimension of any size, other than the rows, is in made golden rows."""
_DATATYPES: dict[int, Datatype] = {
    TensorProto.BOOL: "BOOL",
    TensorProto.UINT8: "UINT8",
    TensorProto.UINT16: "UINT16",
    TensorProto.UINT32: "UINT32",
    TensorProto.UINT64: "UINT64",
    TensorProto.INT8: "INT8",
    TensorProto.INT16: "INT16",
    TensorProto.INT32: "INT32",
    TensorProto.INT64: "INT64",
    TensorProto.FLOAT16: "FP16",
    TensorProto.FLOAT: "FP32",
    TensorProto.DOUBLE: "FP64",
    TensorProto.STRING: "BYTES",
}


def package_onnx(
    path: str | Path, identity: Identity, out: str | Path, *, sample: Any | None = None, force: bool = False
) -> Packaged:
    """Packages the ONNX file at `path`. `sample` is a DataFrame with a column per input, lists for inputs wider than one.

    Raises UserError; ModelRefused when ONNX Runtime does not load it or it does not take rows along its first axis.
    """
    check_free(Path(out), force)
    content = _read(Path(path))
    try:
        model = session(content)
    except Exception as error:
        raise ModelRefused(f"ONNX Runtime does not load {path}: {str(error).splitlines()[0]}") from error
    graph = onnx.load_model_from_string(content).graph
    known = {tensor.name for tensor in graph.initializer}
    inputs = [_tensor(value, "input") for value in graph.input if value.name not in known]
    columns = _made_rows(inputs) if sample is None else _sample_rows(sample, inputs)
    outputs = _run(model, columns, made=sample is None)
    rows = len(next(iter(columns.values())))
    specs = _checked_outputs([_tensor(value, "output") for value in graph.output], outputs, rows)
    described = descriptor(
        identity,
        inputs=[InputSpec(**fields, example=row_value(columns[fields["name"]][0])) for fields in inputs],
        outputs=specs,
        golden_source="OnnxRuntime",
        training=Training(framework="onnx", framework_version=_producer(content)),
    )
    contents = {MODEL_FILE: content} | _answered(identity.transform, model, columns, outputs)
    notes = (
        [] if sample is not None else ["golden rows are made up and answered by ONNX Runtime; give --sample for real ones"]
    )
    return Packaged(write_package(Path(out), described, contents, force=force), None, notes)


def _answered(transform: Path | None, model: Any, columns: dict[str, Array], outputs: dict[str, Array]) -> dict[str, bytes]:
    """golden.jsonl, and transform.py where there is one."""
    hooked = hooked_answers(load_hooks(transform), model, columns) if transform else None
    rows = (
        GoldenRow(
            inputs={name: row_value(values[row]) for name, values in columns.items()},
            outputs=output_row(outputs, row),
            hooked_outputs=output_row(hooked, row) if hooked else None,
        )
        for row in range(len(next(iter(columns.values()))))
    )
    return {GOLDEN_FILE: golden_bytes(rows)} | ({TRANSFORM_FILE: transform.read_bytes()} if transform else {})


def _read(path: Path) -> bytes:
    """The model in one piece: weights that lie in files beside it are taken in."""
    if not path.is_file():
        raise UserError(f"there is no file {path}")
    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception as error:
        raise UserError(f"{path} is no ONNX file: {type(error).__name__}") from error
    if not any(tensor.data_location == TensorProto.EXTERNAL for tensor in model.graph.initializer):
        return path.read_bytes()
    try:
        whole = onnx.load(str(path))
        content: bytes = whole.SerializeToString(deterministic=True)
    except Exception as error:
        raise UserError(
            f"{path} keeps weights in files beside it that cannot be taken in ({error}); "
            f"they must lie there, and the whole must be under {MAX_MODEL_BYTES} bytes"
        ) from error
    return content


def _tensor(value: Any, role: str) -> dict[str, Any]:
    """Name, datatype and shape of a graph's input or output, -1 for a dimension of any size."""
    tensor = value.type.tensor_type
    if not value.type.HasField("tensor_type") or tensor.elem_type not in _DATATYPES:
        raise ModelRefused(
            f"{role} {value.name!r} is no tensor of a datatype of the wire; export without maps and sequences (zipmap=False)"
        )
    shape = [int(size.dim_value) if size.HasField("dim_value") and size.dim_value > 0 else -1 for size in tensor.shape.dim]
    if role == "input" and (not shape or shape[0] != -1):
        raise ModelRefused(
            f"input {value.name!r} has shape {shape}; its first axis counts rows: export it with a dynamic batch axis"
        )
    return {"name": value.name, "datatype": _DATATYPES[tensor.elem_type], "shape": shape}


def _made_rows(inputs: Sequence[dict[str, Any]]) -> dict[str, Array]:
    """Rows without any randomness: zeros, ones, then small numbers that differ from place to place."""
    columns: dict[str, Array] = {}
    for index, fields in enumerate(inputs):
        shape = [MADE_ROWS, *(size if size > 0 else _FREE_DIMENSION for size in fields["shape"][1:])]
        places = np.arange(int(np.prod(shape)), dtype=float).reshape(shape)
        values = np.round(np.sin(places + index) * 2, 3)
        values[0], values[1] = 0.0, 1.0
        datatype = fields["datatype"]
        if datatype == "BYTES":
            columns[fields["name"]] = np.vectorize(lambda v: f"text {v}", otypes=[object])(values)
        else:
            columns[fields["name"]] = (values if datatype.startswith("FP") else np.abs(values)).astype(NUMPY_TYPES[datatype])
    return columns


def _sample_rows(sample: Any, inputs: Sequence[dict[str, Any]], limit: int = 100) -> dict[str, Array]:
    columns = {}
    for fields in inputs:
        name = fields["name"]
        if name not in sample.columns:
            raise UserError(
                f"the sample has no column {name!r}; the model's inputs are {', '.join(i['name'] for i in inputs)}"
            )
        fixed = list(fields["shape"][1:])
        stacked = np.array([_cell(value) for value in sample[name].head(limit)], dtype=NUMPY_TYPES[fields["datatype"]])
        wanted = [size if size > 0 else -1 for size in fixed]
        try:
            columns[name] = stacked.reshape(len(stacked), *(stacked.shape[1:] if -1 in wanted else wanted))
        except ValueError as error:
            raise UserError(f"column {name!r} of the sample does not fit shape {fields['shape']}: {error}") from error
    return columns


def _cell(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else value


def _run(model: Any, columns: dict[str, Array], made: bool) -> dict[str, Array]:
    what = "made-up rows; give real ones with --sample" if made else "the sample's rows"
    try:
        outputs = run(model, columns)
    except Exception as error:
        raise ModelRefused(f"the model fails on {what}: {str(error).splitlines()[0]}") from error
    for name, values in outputs.items():
        if values.dtype.kind == "f" and np.isinf(values).any():
            raise ModelRefused(f"the model answers infinity in {name!r}, which JSON cannot carry, on {what}")
    return outputs


def _checked_outputs(declared: Sequence[dict[str, Any]], outputs: dict[str, Array], rows: int) -> list[OutputSpec]:
    specs = []
    for fields in declared:
        values = outputs[fields["name"]]
        if values.ndim == 0 or len(values) != rows:
            raise ModelRefused(
                f"output {fields['name']!r} has shape {list(values.shape)} for {rows} rows; its first axis must count rows"
            )
        shape = fields["shape"] if len(fields["shape"]) == values.ndim else [-1] * values.ndim
        specs.append(OutputSpec(name=fields["name"], datatype=fields["datatype"], shape=[-1, *shape[1:]], kind="Raw"))
    return specs


def _producer(content: bytes) -> str:
    model = onnx.load_model_from_string(content)
    return f"{model.producer_name} {model.producer_version}".strip()
