"""`POST /v2/models/{m}[/versions/{v}]/infer`: the Open Inference Protocol's own message, in JSON and binary tensors."""

import time

from podium_serving.exchange import Answer, InferRequest, InvalidRequest
from podium_serving.http.dialects.dialect import Arrived, Finish, Written
from podium_serving.http.requests import ClientHeaders

_BINARY = b"application/octet-stream"
_A_DAY = 86_400_000_000


class Infer:
    finish: Finish | None = None

    def read(self, arrived: Arrived) -> InferRequest:
        decoded = arrived.admitted.codec.decode(arrived.body, arrived.head.inference_header_length)
        arrived.id_in_body = decoded.id
        deadline = arrived.deadline
        if decoded.parameters:
            deadline = _deadline(deadline, decoded.parameters.get("timeout"))
        return InferRequest(  # by position: names take three times as long, and this is every request
            decoded.columns,
            decoded.rows,
            arrived.admitted_at,
            deadline,
            decoded.id or arrived.request_id,
            ClientHeaders(arrived.headers),
            arrived.version,
            decoded.wanted_outputs,
            decoded.binary_outputs,
            decoded.parameters,
        )

    def write(self, arrived: Arrived, request: InferRequest, answer: Answer) -> Written:
        codec, wanted = arrived.admitted.codec, request.wanted_outputs
        if request.binary_outputs:
            framed = codec.encode_binary(
                answer.columns, arrived.model, answer.version, arrived.id_in_body, wanted, request.binary_outputs
            )
            length = b"inference-header-content-length: %d\r\n" % framed.header_length
            return Written(framed.body, _BINARY, length)
        if answer.texts is not None:
            return Written(
                codec.encode_row(answer.texts, answer.row, arrived.model, answer.version, arrived.id_in_body, wanted)
            )
        return Written(codec.encode(answer.columns, arrived.model, answer.version, arrived.id_in_body, wanted))


def _deadline(deadline: float, timeout: object) -> float:
    """The earlier of both. `timeout` is the request parameter of that name: microseconds, and 0 is none."""
    if timeout is None or timeout == 0:
        return deadline
    if type(timeout) is not int or timeout < 0:
        raise InvalidRequest(f"the request's timeout is {str(timeout)[:40]}, must be a number of microseconds")
    return min(deadline, time.monotonic() + min(timeout, _A_DAY) / 1e6)
