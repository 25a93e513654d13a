"""The protocol's JSON messages as msgspec reads them, and what is said about a body that is none. On the hot path.

A message is read in one go with the values' Python types already checked where a model has only one kind of input, which
is most models: then no value is looked at a second time. The garbage collector need not know them: JSON has no cycles.
"""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from podium_serving.exchange import InvalidRequest

Parameters = dict[str, Any]


class Tensor(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """An input of a request. Without `data` its bytes follow the JSON."""

    name: str
    datatype: str
    shape: list[int]
    data: list[Any] | UnsetType = UNSET
    parameters: Parameters | None = None


class Numbers(Tensor, forbid_unknown_fields=True, gc=False):
    """Integers among them become floats; null, true and more than one level of nesting are for the general decoder."""

    data: list[float | list[float]] | UnsetType = UNSET


class Integers(Tensor, forbid_unknown_fields=True, gc=False):
    data: list[int | list[int]] | UnsetType = UNSET


class WantedOutput(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    name: str
    parameters: Parameters | None = None


class Request(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """Clients that write out all that their classes hold send null for what was not set."""

    inputs: list[Tensor]
    id: str | None = None
    outputs: list[WantedOutput] | None = None
    parameters: Parameters | None = None
    model_name: str | None = None
    """The path says which model is asked; kserve's client repeats it here. So does `model_version`."""
    model_version: str | None = None


class _NumbersRequest(Request, forbid_unknown_fields=True, gc=False):
    inputs: list[Numbers]  # type: ignore[assignment]  # narrower, and read only


class _IntegersRequest(Request, forbid_unknown_fields=True, gc=False):
    inputs: list[Integers]  # type: ignore[assignment]


class Response(msgspec.Struct):
    """Another pod's. Fields that a later version adds are passed over."""

    model_name: str
    outputs: list[Tensor]
    model_version: str = ""
    id: str = ""
    parameters: Parameters | None = None


ReadRequest = Callable[[bytes], Request]

_any_request: ReadRequest = msgspec.json.Decoder(Request).decode
_any_response: Callable[[bytes], Response] = msgspec.json.Decoder(Response).decode
_QUICK: dict[frozenset[str], ReadRequest] = {
    frozenset("f"): msgspec.json.Decoder(_NumbersRequest).decode,
    frozenset("iu"): msgspec.json.Decoder(_IntegersRequest).decode,
}


def quick_reader(kinds: set[str]) -> ReadRequest | None:
    """Reads requests whose inputs are all of these kinds of numpy type, or raises. None: there is no such reader."""
    return next((read for known, read in _QUICK.items() if kinds <= known), None)


def read_request(head: bytes) -> Request:
    """Raises InvalidRequest."""
    try:
        return _any_request(head)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(_why_malformed(head, error)) from error


def read_response(head: bytes) -> Response:
    """Raises InvalidRequest."""
    try:
        return _any_response(head)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"the answer is not a protocol message: {error}") from error


def _why_malformed(body: bytes, error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"the body is not UTF-8: {error.reason} at byte {error.start}; {_BINARY}"
    if not body:
        return 'the body is empty; it must be JSON: {"inputs": [{"name", "datatype", "shape", "data"}, ...]}'
    hint = ""
    if b"binary_data_size" in body:
        hint = f" ({_BINARY})"
    elif b"NaN" in body or b"Infinity" in body:
        hint = " (NaN and Infinity are not JSON: send null for a missing value)"
    return f"the body is not an inference request in JSON: {error}{hint}"


_BINARY = "where binary tensors follow the JSON, the header Inference-Header-Content-Length says how long the JSON is"
