"""`POST /v1/models/{m}:predict`: the first protocol of KServe and TensorFlow Serving, for clients that speak no other."""

from podium_serving.exchange import Answer, InferRequest, InvalidRequest
from podium_serving.http.dialects.dialect import Arrived, Finish, Written
from podium_serving.http.requests import ClientHeaders
from podium_serving.oip.instances import read_instances, written_predictions


class Predict:
    finish: Finish | None = None

    def read(self, arrived: Arrived) -> InferRequest:
        if arrived.head.inference_header_length is not None:
            raise InvalidRequest("this path takes JSON only; binary tensors are taken by /v2/models/{model}/infer")
        columns, rows, request_id = read_instances(arrived.admitted.codec.inputs, arrived.body)
        return InferRequest(
            columns=columns,
            rows=rows,
            admitted_at=arrived.admitted_at,
            deadline=arrived.deadline,
            request_id=request_id or arrived.request_id,
            headers=ClientHeaders(arrived.headers),
            pinned_version=arrived.version,
        )

    def write(self, arrived: Arrived, request: InferRequest, answer: Answer) -> Written:
        return Written(written_predictions(answer.columns, list(arrived.admitted.codec.outputs)))
