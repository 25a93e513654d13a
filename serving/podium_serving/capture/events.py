"""CloudEvents of predictions and shadows, one per row. Pure: bytes out, times in.

What is kept of a request is what it holds already (arrays, names); it becomes JSON a moment later, with its neighbours.
"""

import msgspec

from podium_crds.plan import PlannedRoute
from podium_serving.capture.texts import PlanText, RowWriter, json_text
from podium_serving.exchange import Answer, InferRequest
from podium_serving.traffic.keys import key_of_header, row_keys
from podium_serving.traffic.mirror import Shadowed

_BYTES_PER_ROW = 400
_PREDICTION = b'%b,"request_id":%b,"latency_seconds":%.6f,"row":%d,"join_key":%b,"inputs":%b,"outputs":%b},"id":"%b-%d"}'


class CapturedPrediction(msgspec.Struct, eq=False):
    """An answered request. `event` is the stem of its rows' event ids."""

    event: bytes
    at: float
    """Unix seconds."""
    text: PlanText
    request: InferRequest
    answer: Answer
    latency_seconds: float
    size: int = 0
    """Estimated bytes, once `weigh` was called."""
    asked_by: RowWriter | None = None
    said_by: RowWriter | None = None

    @property
    def rows(self) -> int:
        return self.request.rows

    def weigh(self) -> int:
        text, rows, asked, said = self.text, self.request.rows, self.request.columns, self.answer.columns
        self.asked_by, self.said_by = text.writer(asked), text.writer(said)
        self.size = rows * _BYTES_PER_ROW + self.asked_by.size(asked, rows) + self.said_by.size(said, rows)
        return self.size

    def events(self, start: int, end: int) -> list[bytes]:
        """Events of rows `start` to before `end`. The join key is the sticky key if the row has one, else the request id."""
        text, request, answer = self.text, self.request, self.answer
        asked_by, said_by = self.asked_by or text.writer(request.columns), self.said_by or text.writer(answer.columns)
        beginning = text.prediction(self.at, answer)
        request_id = json_text(request.request_id)
        keys = [request_id] if text.plain_keys else join_keys(text, request, request_id, start, end)
        event, latency = self.event, self.latency_seconds
        if request.rows == 1:
            asked = asked_by.one_row(request.columns)
            texts = answer.texts
            said = said_by.one_row(answer.columns) if texts is None else said_by.row_of(answer.columns, texts, answer.row)
            return [_PREDICTION % (beginning, request_id, latency, 0, keys[0], asked, said, event, 0)]
        if text.plain_keys:
            keys *= end - start
        inputs, outputs = asked_by.rows(request.columns, start, end), said_by.rows(answer.columns, start, end)
        return [
            _PREDICTION % (beginning, request_id, latency, row, key, asked, said, event, row)
            for row, key, asked, said in zip(range(start, end), keys, inputs, outputs, strict=True)
        ]


class CapturedShadow(msgspec.Struct, eq=False):
    """What a shadow made of a captured prediction."""

    event: bytes
    """Of the prediction it belongs to."""
    at: float
    text: PlanText
    route: PlannedRoute
    rows: int
    shadowed: Shadowed
    size: int = 0
    """Estimated bytes, once `weigh` was called."""

    def weigh(self) -> int:
        columns = self.shadowed.columns or {}
        self.size = self.rows * _BYTES_PER_ROW + self.text.writer(columns).size(columns, self.rows)
        return self.size

    def events(self, start: int, end: int) -> list[bytes]:
        shadowed, columns = self.shadowed, self.shadowed.columns
        beginning = self.text.shadow(self.at, self.route, shadowed.error)
        if columns is None:
            outputs = [b"null"] * (end - start)
        elif shadowed.texts is not None:
            outputs = [self.text.writer(columns).row_of(columns, shadowed.texts, shadowed.row)]
        else:
            outputs = self.text.writer(columns).rows(columns, start, end)
        event, name = self.event, self.route.name.encode()
        return [
            b'%b,"prediction_id":"%b-%d","outputs":%b},"id":"%b-%d-%b"}' % (beginning, event, row, said, event, row, name)
            for row, said in zip(range(start, end), outputs, strict=True)
        ]


Captured = CapturedPrediction | CapturedShadow


def join_keys(text: PlanText, request: InferRequest, request_id: bytes, start: int, end: int) -> list[bytes]:
    """JSON of each row's key."""
    sticky = text.sticky
    if sticky.type == "Input" and sticky.name in request.columns:
        keys = row_keys(request.columns[sticky.name][start:end])
        return [request_id if key is None else json_text(key) for key in keys]
    header = key_of_header(request.headers.get(sticky.name.lower())) if sticky.type == "Header" else None
    key = request_id if header is None else json_text(header.decode(errors="backslashreplace"))
    return [key] * (end - start)
