"""What messages are made of, written: JSON of tensors' heads and data, heads of answers, and binary tensors behind them."""

from functools import lru_cache
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import orjson

from podium_serving.oip.binary import ALIGNMENT, Framed
from podium_serving.oip.tensors import TensorSchema

_json = msgspec.json.Encoder().encode


def beginning(schema: TensorSchema) -> bytes:
    """Of its JSON, up to its shape."""
    return f'{{"name":{_text(schema.name)},"datatype":"{schema.datatype}","shape":'.encode()


def data_json(array: npt.NDArray[Any]) -> bytes:
    """Flat row-major JSON. FP16 and FP32 as the shortest decimals that read back as the same number; what is not finite
    is null."""
    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind == "O":
        return _json([value if isinstance(value, str) else _decoded(value) for value in array.ravel().tolist()])
    if kind == "f" and size == 2:
        finite = np.isfinite(array)
        shortest = np.where(finite, array, 0).astype(str).astype(np.float64)
        array = np.where(finite, shortest, np.nan)
    return orjson.dumps(np.ascontiguousarray(array).reshape(-1), option=orjson.OPT_SERIALIZE_NUMPY)


@lru_cache(maxsize=256)
def shape_json(shape: tuple[int, ...]) -> bytes:
    return _json(shape)


@lru_cache(maxsize=64)
def _model_head(model: str, version: str) -> bytes:
    return f'{{"model_name":{_text(model)},"model_version":{_text(version)},'.encode()


def answer_head(model: str, version: str, request_id: str) -> bytes:
    if not request_id:
        return _model_head(model, version) + b'"outputs":['
    return b'%b"id":%b,"outputs":[' % (_model_head(model, version), _json(request_id))


def framed(head: bytes, tensors: list[bytes]) -> Framed:
    head = aligned(head)
    return Framed(len(head), b"".join([head, *tensors]))


def aligned(head: bytes) -> bytes:
    """JSON may end in spaces, and numbers at a word's border need not be copied by whoever reads them."""
    return head + b" " * (-len(head) % ALIGNMENT)


def _text(value: str) -> str:
    return _json(value).decode()


def _decoded(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
