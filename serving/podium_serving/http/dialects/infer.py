"""`POST /v2/models/{m}[/versions/{v}]/infer`: the Open Inference Protocol's own message."""

from podium_serving.exchange import Answer, InferRequest
from podium_serving.http.dialects.dialect import Arrived, Finish, Written
from podium_serving.http.requests import ClientHeaders


class Infer:
    finish: Finish | None = None

    def read(self, arrived: Arrived) -> InferRequest:
        decoded = arrived.admitted.codec.decode(arrived.body)
        arrived.id_in_body = decoded.id
        return InferRequest(
            columns=decoded.columns,
            rows=decoded.rows,
            admitted_at=arrived.admitted_at,
            deadline=arrived.deadline,
            request_id=decoded.id or arrived.request_id,
            body=arrived.body,
            headers=ClientHeaders(arrived.headers),
            pinned_version=arrived.version,
            wanted_outputs=decoded.wanted_outputs,
            parameters=decoded.parameters,
        )

    def write(self, arrived: Arrived, request: InferRequest, answer: Answer) -> Written:
        if answer.body is not None:
            return Written(answer.body)
        assert answer.columns is not None, "an answer has columns or a body"
        codec = arrived.admitted.codec
        return Written(
            codec.encode(answer.columns, arrived.model, answer.version, arrived.id_in_body, request.wanted_outputs)
        )
