"""Messages of the protocol against one model's schema: in JSON, in binary tensors, or in both. On the hot path."""

from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec import UNSET
from mypy_extensions import mypyc_attr

from podium_crds.package import Descriptor
from podium_serving.exchange import Columns, InvalidRequest, RowTexts
from podium_serving.oip.binary import Framed, Layout, bytes_of_array, split
from podium_serving.oip.columns import binary_layout, json_columns, mixed_columns
from podium_serving.oip.messages import Parameters, Request, WantedOutput, quick_reader, read_request, read_response
from podium_serving.oip.one_row import OneRow
from podium_serving.oip.tensors import check_names, kind_of, listed, tensor_schema
from podium_serving.oip.writing import aligned, answer_head, beginning, data_json, framed, shape_json

_json = msgspec.json.Encoder().encode

_MOST_KEPT = 64
"""JSON heads of binary messages whose reading is kept. A client sends few different ones."""
_LONGEST_KEPT = 8192
_NOTHING: frozenset[str] = frozenset()
_NO_PARAMETERS: Parameters = {}


class Decoded:
    """A request's body: everything of it that is not HTTP's."""

    def __init__(
        self,
        columns: Columns,
        rows: int,
        request_id: str = "",
        wanted_outputs: tuple[str, ...] = (),
        parameters: Parameters = _NO_PARAMETERS,
        binary_outputs: frozenset[str] = _NOTHING,
    ) -> None:
        self.columns = columns
        self.rows = rows
        self.id = request_id
        """Empty when the client sent none."""
        self.wanted_outputs = wanted_outputs
        self.parameters = parameters
        self.binary_outputs = binary_outputs
        """Outputs that the client wants as binary tensors."""


@dataclass(frozen=True, slots=True)
class _KnownHead:
    """What the JSON of a binary message says, read before."""

    layout: Layout
    id: str = ""
    wanted_outputs: tuple[str, ...] = ()
    parameters: Parameters = field(default_factory=dict)
    binary_outputs: frozenset[str] = _NOTHING


@mypyc_attr(native_class=False)  # weak references are kept of it
class Codec:
    """Reads requests and writes answers of one model. Made once per version; what it keeps are readings of message heads."""

    def __init__(self, descriptor: Descriptor) -> None:
        text_only = not descriptor.transform
        self.inputs = {spec.name: tensor_schema(spec, "input", text_only=text_only) for spec in descriptor.inputs}
        self.outputs = {spec.name: tensor_schema(spec, "output") for spec in descriptor.outputs}
        self._quick = quick_reader({kind_of(schema.dtype) for schema in self.inputs.values()})
        self._one_row = OneRow(self.inputs)
        self._all_outputs = frozenset(self.outputs)
        self._known_requests: dict[bytes, _KnownHead] = {}
        self._known_answers: dict[bytes, Layout] = {}
        self._input_heads: dict[tuple[int, tuple[str, ...]], bytes] = {}
        self._inputs_are_fixed = all(schema.fixed and schema.datatype != "BYTES" for schema in self.inputs.values())
        self._input_beginnings = {name: beginning(schema) for name, schema in self.inputs.items()}
        self._output_beginnings = {name: beginning(schema) for name, schema in self.outputs.items()}

    # Requests

    def decode(self, body: bytes, header_length: int | None = None) -> Decoded:
        """`header_length` is Inference-Header-Content-Length where the request has it. Raises InvalidRequest, whose text
        names what is wrong and what the model takes."""
        if header_length is not None:
            return self._decode_binary(body, split(body, header_length), header_length)
        if self._quick is not None:
            try:
                message = self._quick(body)
                columns = self._one_row.columns(message.inputs, typed=True)
                if columns is not None:
                    return self._decoded(message, columns, 1)
                return self._decoded(message, *json_columns(self.inputs, message.inputs, "input", typed=True))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, InvalidRequest, OverflowError):
                pass  # a null, or something wrong: read again, with a word for it
        message = read_request(body)
        columns = self._one_row.columns(message.inputs, typed=False)
        if columns is not None:
            return self._decoded(message, columns, 1)
        return self._decoded(message, *json_columns(self.inputs, message.inputs, "input"))

    def _decode_binary(self, body: bytes, head: bytes, start: int) -> Decoded:
        known = self._known_requests.get(head)
        if known is None:
            message = read_request(head)
            if any(tensor.data is not UNSET for tensor in message.inputs) or not message.inputs:
                return self._decode_mixed(message, body, start)
            check_names(self.inputs, message.inputs, "input")
            layout = binary_layout(self.inputs, message.inputs, "input")
            known = _KnownHead(layout, message.id or "", *self._wishes(message))
            if not message.id:
                _keep(self._known_requests, head, known)
        layout = known.layout
        columns = layout.columns(body, start, strict=True)
        return Decoded(columns, layout.rows, known.id, known.wanted_outputs, known.parameters, known.binary_outputs)

    def _decode_mixed(self, message: Request, body: bytes, start: int) -> Decoded:
        if all(tensor.data is not UNSET for tensor in message.inputs):
            if start != len(body):
                raise InvalidRequest(
                    f"{len(body) - start} bytes follow the JSON of the message, but no input has binary_data_size"
                )
            return self._decoded(message, *json_columns(self.inputs, message.inputs, "input"))
        return self._decoded(message, *mixed_columns(self.inputs, message.inputs, "input", body, start, strict=True))

    def _decoded(self, message: Request, columns: Columns, rows: int) -> Decoded:
        if not message.outputs and message.parameters is None:
            return Decoded(columns, rows, message.id or "")
        return Decoded(columns, rows, message.id or "", *self._wishes(message))

    def _wishes(self, message: Request) -> tuple[tuple[str, ...], Parameters, frozenset[str]]:
        """Names of the wanted outputs, the request's parameters, and which outputs are wanted binary."""
        parameters = message.parameters or {}
        all_binary = _flag(parameters, "binary_data_output", False, "the request")
        if not message.outputs:
            return (), parameters, self._all_outputs if all_binary else _NOTHING
        wanted: dict[str, bool] = {}
        for output in message.outputs:
            if output.name not in self.outputs:
                raise InvalidRequest(f"outputs asks for '{output.name[:128]}'; the model has {listed(self.outputs)}")
            wanted[output.name] = _wants_binary(output, all_binary)
        return tuple(wanted), parameters, frozenset(name for name, binary in wanted.items() if binary)

    # Answers

    def encode(
        self,
        columns: Columns,
        model: str,
        version: str,
        request_id: str,
        wanted: tuple[str, ...] = (),
    ) -> bytes:
        """An answer in JSON. `request_id` is left out when empty, outputs that were not asked for too. NaN becomes null."""
        beginnings = self._output_beginnings
        outputs = b",".join(
            [
                beginnings[name] + shape_json(columns[name].shape) + b',"data":' + data_json(columns[name]) + b"}"
                for name in wanted or beginnings
            ]
        )
        return answer_head(model, version, request_id) + outputs + b"]}"

    def encode_row(
        self, run: RowTexts, row: int, model: str, version: str, request_id: str, wanted: tuple[str, ...] = ()
    ) -> bytes:
        """The same of one row of a run."""
        outputs = run.outputs(row, wanted, self._output_beginnings)
        return b"%b%b]}" % (answer_head(model, version, request_id), outputs)

    def encode_binary(
        self,
        columns: Columns,
        model: str,
        version: str,
        request_id: str,
        wanted: tuple[str, ...] = (),
        binary: frozenset[str] | None = None,
    ) -> Framed:
        """An answer whose outputs in `binary` (None: all) follow the JSON as bytes, in its order."""
        binary = self._all_outputs if binary is None else binary
        outputs, tensors = [], []
        for name in wanted or self._output_beginnings:
            array = columns[name]
            head = self._output_beginnings[name] + shape_json(array.shape)
            if name in binary:
                tensor = bytes_of_array(array)
                tensors.append(tensor)
                outputs.append(b'%b,"parameters":{"binary_data_size":%d}}' % (head, len(tensor)))
            else:
                outputs.append(b'%b,"data":%b}' % (head, data_json(array)))
        return framed(answer_head(model, version, request_id) + b",".join(outputs) + b"]}", tensors)

    # Between our own pods: everything binary

    def pack_inputs(self, columns: Columns, wanted: tuple[str, ...] = ()) -> Framed:
        """A request for another pod with this schema, which answers with binary tensors."""
        if not self._inputs_are_fixed:
            tensors = [bytes_of_array(columns[name]) for name in self.inputs]
            return framed(self._input_head(columns, [len(tensor) for tensor in tensors], wanted), tensors)
        arrays = [columns[name] for name in self.inputs]
        key = (arrays[0].shape[0], wanted)
        head = self._input_heads.get(key)
        if head is None:
            head = aligned(self._input_head(columns, [array.nbytes for array in arrays], wanted))
            _keep(self._input_heads, key, head)
        try:
            body = b"".join([head, *arrays])  # type: ignore[list-item]  # arrays are buffers
        except TypeError:  # one is not contiguous
            body = b"".join([head, *map(bytes_of_array, arrays)])
        return Framed(len(head), body)

    def _input_head(self, columns: Columns, sizes: list[int], wanted: tuple[str, ...]) -> bytes:
        inputs = b",".join(
            b'%b%b,"parameters":{"binary_data_size":%d}}'
            % (self._input_beginnings[name], shape_json(columns[name].shape), size)
            for name, size in zip(self.inputs, sizes, strict=True)
        )
        outputs = b',"outputs":' + _json([{"name": name} for name in wanted]) if wanted else b""
        return b'{"inputs":[%b]%b,"parameters":{"binary_data_output":true}}' % (inputs, outputs)

    def decode_answer(self, body: bytes, rows: int, header_length: int | None = None) -> Columns:
        """Outputs of another pod's answer to `rows` rows. Raises InvalidRequest when it does not fit this schema."""
        if header_length is None:
            message = read_response(body)
            columns, got = json_columns(self._answered_schemas(message.outputs), message.outputs, "output")
        else:
            columns, got = self._decode_binary_answer(body, header_length)
        if got != rows:
            raise InvalidRequest(f"the answer has {got} rows, the request has {rows}")
        return columns

    def _decode_binary_answer(self, body: bytes, start: int) -> tuple[Columns, int]:
        head = split(body, start)
        layout = self._known_answers.get(head)
        if layout is None:
            message = read_response(head)
            schemas = self._answered_schemas(message.outputs)
            if not message.outputs or any(tensor.data is not UNSET for tensor in message.outputs):
                return mixed_columns(schemas, message.outputs, "output", body, start, strict=False)
            check_names(schemas, message.outputs, "output")
            layout = binary_layout(schemas, message.outputs, "output")
            _keep(self._known_answers, head, layout)
        return layout.columns(body, start, strict=False), layout.rows

    def _answered_schemas(self, tensors: list[Any]) -> dict[str, Any]:
        return {tensor.name: schema for tensor in tensors if (schema := self.outputs.get(tensor.name))} or self.outputs


def _keep(known: dict[Any, Any], key: Any, value: Any) -> None:
    if type(key) is bytes and len(key) > _LONGEST_KEPT:
        return
    if len(known) >= _MOST_KEPT:
        known.clear()
    known[key] = value


def _wants_binary(output: WantedOutput, otherwise: bool) -> bool:
    given = output.parameters
    if not given:
        return otherwise
    said = f"outputs: '{output.name}'"
    if "shared_memory_region" in given:
        raise InvalidRequest(f"{said} asks for shared memory, which is not written here; it comes in the response")
    if given.get("classification"):
        raise InvalidRequest(f"{said} asks for classification, which is not done here; ask for the output as it is")
    return _flag(given, "binary_data", otherwise, said)


def _flag(parameters: Parameters, name: str, otherwise: bool, said: str) -> bool:
    value = parameters.get(name, otherwise)
    if type(value) is not bool:
        raise InvalidRequest(f"{said}: {name} is {str(value)[:40]}, must be true or false")
    return value
