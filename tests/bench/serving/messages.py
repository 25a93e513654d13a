"""Requests of the benchmark in every form that servers take, with the answers that must come. Pure.

A request's length differs from its neighbour's (numbers and ids of different lengths), and so does its answer: servers
that hand answers to the wrong client are found.
"""

import base64
import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]
Expected = Mapping[str, Sequence[float]]
"""What the compared output must hold, by the version that answered; "" stands for any other."""

MODEL = "bench"


def line(body: bytes, expected: Expected, headers: Sequence[str] = ()) -> bytes:
    """One line of the generator's file."""
    said = {"body": base64.b64encode(body).decode(), "headers": list(headers)}
    return json.dumps(said | {"expect": {name: list(map(float, numbers)) for name, numbers in expected.items()}}).encode()


def identity(number: int) -> str:
    return "r" * (number % 13 + 1) + str(number)


def json_body(number: int, rows: Floats) -> bytes:
    """All features in one tensor `x` [n, 30]."""
    tensor = {"name": "x", "shape": list(rows.shape), "datatype": "FP32", "data": numbers(rows.ravel())}
    return _compact({"id": identity(number), "inputs": [tensor]})


def named_body(number: int, rows: Floats) -> bytes:
    """A tensor [n, 1] for each feature."""
    tensors = [
        {"name": f"x{index}", "shape": [len(rows), 1], "datatype": "FP32", "data": numbers(column)}
        for index, column in enumerate(rows.T)
    ]
    return _compact({"id": identity(number), "inputs": tensors})


def binary_body(number: int, rows: Floats) -> tuple[bytes, list[str]]:
    """The binary tensor extension, with the answer asked for in binary, too: body and header lines."""
    content = rows.astype("<f4").tobytes()
    tensor = {"name": "x", "shape": list(rows.shape), "datatype": "FP32", "parameters": {"binary_data_size": len(content)}}
    head = _compact({"id": identity(number), "inputs": [tensor], "parameters": {"binary_data_output": True}})
    lines = [f"inference-header-content-length: {len(head)}", "content-type: application/octet-stream"]
    return head + content, lines


def grpc_body(number: int, rows: Floats) -> bytes:
    """inference.ModelInferRequest with raw contents."""
    tensor = _bounded(1, b"x") + _bounded(2, b"FP32") + _bounded(3, b"".join(map(_varint, rows.shape)))
    head = _bounded(1, MODEL.encode()) + _bounded(3, identity(number).encode()) + _bounded(5, tensor)
    return head + _bounded(7, rows.astype("<f4").tobytes())


def grpc_answer(label: int, probabilities: Sequence[float]) -> bytes:
    """inference.ModelInferResponse of one row with raw contents, as a constant server gives it."""
    tensors = [("label", "INT64", [1]), ("probabilities", "FP32", [1, len(probabilities)])]
    said = b"".join(
        _bounded(5, _bounded(1, name.encode()) + _bounded(2, kind.encode()) + _bounded(3, bytes(shape)))
        for name, kind, shape in tensors
    )
    raw = _bounded(6, struct.pack("<q", label)) + _bounded(6, struct.pack(f"<{len(probabilities)}f", *probabilities))
    return _bounded(1, MODEL.encode()) + _bounded(2, b"rf-1") + said + raw


def numbers(values: Floats) -> list[float]:
    """As clients write them: the shortest text of the single-precision number."""
    return [float(str(np.float32(value))) for value in values]


def _compact(message: dict[str, Any]) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode()


def _bounded(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])
