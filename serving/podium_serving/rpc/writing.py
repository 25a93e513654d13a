"""Columns to ModelInferResponse. On the hot path: what answers of one form have in common is written once. Pure.

Raw contents go back to those who sent them; FP16, which has no typed field, goes raw to everybody, and with it the others:
the protocol does not allow a mixture.
"""

from podium_serving.exchange import Columns
from podium_serving.oip.binary import bytes_of_array
from podium_serving.oip.codec import Codec
from podium_serving.rpc.inference_pb2 import ModelInferResponse, ModelStreamInferResponse
from podium_serving.rpc.reading import CONTENTS

_MAX_FORMS = 64
_ID = 3 << 3 | 2
_RAW = 6 << 3 | 2
_INFER_RESPONSE = 2 << 3 | 2


class AnswerWriter:
    """Writes answers of one model."""

    def __init__(self, codec: Codec, model: str) -> None:
        self._model = model
        self._datatypes = {name: str(schema.datatype) for name, schema in codec.outputs.items()}
        self._forms: dict[tuple[object, ...], bytes] = {}

    def encode(self, columns: Columns, version: str, client_id: str, wanted: tuple[str, ...], *, raw: bool) -> bytes:
        """`client_id` is left out when empty, outputs that were not asked for, too."""
        names = wanted or tuple(self._datatypes)
        if raw or any(self._datatypes[name] == "FP16" for name in names):
            form = self._form(version, names, columns)
            contents = b"".join([field(_RAW, bytes_of_array(columns[name])) for name in names])
            return form + field(_ID, client_id.encode()) + contents if client_id else form + contents
        response = ModelInferResponse(model_name=self._model, model_version=version, id=client_id)
        for name in names:
            column = columns[name]
            output = response.outputs.add(name=name, datatype=self._datatypes[name], shape=column.shape)
            values = column.ravel().tolist()
            if column.dtype.kind == "O":
                values = [_bytes(value) for value in values]
            getattr(output.contents, CONTENTS[self._datatypes[name]]).extend(values)
        return response.SerializeToString()

    def _form(self, version: str, names: tuple[str, ...], columns: Columns) -> bytes:
        """All of a raw answer but its id and its contents."""
        key = (version, *names, *[columns[name].shape for name in names])
        form = self._forms.get(key)
        if form is None:
            response = ModelInferResponse(model_name=self._model, model_version=version)
            for name in names:
                response.outputs.add(name=name, datatype=self._datatypes[name], shape=columns[name].shape)
            if len(self._forms) >= _MAX_FORMS:
                self._forms.clear()
            form = self._forms[key] = response.SerializeToString()
        return form


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")


def streamed(answer: bytes) -> bytes:
    """A ModelStreamInferResponse that holds an encoded ModelInferResponse."""
    return field(_INFER_RESPONSE, answer)


def stream_error(sentence: str, client_id: str) -> bytes:
    return ModelStreamInferResponse(
        error_message=sentence, infer_response=ModelInferResponse(id=client_id)
    ).SerializeToString()


def field(tag: int, content: bytes) -> bytes:
    """A length-delimited field of the protobuf wire format. Its order among others says nothing."""
    size = len(content)
    if size < 128:
        return bytes((tag, size)) + content
    head = bytearray((tag,))
    while size >= 128:
        head.append(size & 127 | 128)
        size >>= 7
    head.append(size)
    return bytes(head) + content
