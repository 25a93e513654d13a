"""CloudEvents of predictions and shadows, one per row. Pure: bytes out, times in.

What is kept of a request is what it holds already (arrays, names); turning it into JSON waits until a batch is sent.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy.typing as npt

from podium_crds.capture import PREDICTION, SHADOW
from podium_crds.plan import Plan, PlannedRoute, PlannedSticky
from podium_serving.exchange import Answer, Columns, InferRequest
from podium_serving.traffic.keys import key_of_header, row_keys

_BYTES_PER_VALUE = 24
_BYTES_PER_ROW = 400
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class CapturedPrediction:
    """An answered request. `event` is the stem of its rows' event ids."""

    event: str
    at: float
    """Unix seconds."""
    plan: Plan
    request: InferRequest
    answer: Answer
    latency_seconds: float

    @property
    def rows(self) -> int:
        return self.request.rows

    @property
    def url(self) -> str:
        return self.plan.capture.url

    def estimated_bytes(self) -> int:
        return self.rows * _BYTES_PER_ROW + _column_bytes(self.request.columns) + _column_bytes(self.answer.columns or {})

    def events(self, start: int, end: int) -> list[bytes]:
        """Events of rows `start` to before `end`. The join key is the sticky key if the row has one, else the request id."""
        inputs = row_values(self.request.columns, start, end)
        outputs = row_values(self.answer.columns or {}, start, end)
        keys = join_keys(self.plan.sticky, self.request, start, end)
        shared = self._shared()
        return [
            _event(
                self.plan,
                PREDICTION,
                f"{self.event}-{row}",
                self.at,
                {**shared, "row": row, "join_key": key, "inputs": asked, "outputs": said},
            )
            for row, key, asked, said in zip(range(start, end), keys, inputs, outputs, strict=True)
        ]

    def _shared(self) -> dict[str, Any]:
        return {
            "request_id": self.request.request_id,
            "arm_assigned": self.answer.arm_assigned,
            "arm_answered": self.answer.arm_answered,
            "fallback": self.answer.fallback.value,
            "epoch": self.answer.epoch,
            "version": self.answer.version,
            "digest": self.answer.version_digest,
            "latency_seconds": round(self.latency_seconds, 6),
        }


@dataclass(frozen=True, slots=True)
class CapturedShadow:
    """What a shadow made of a captured prediction: `columns`, or None and why."""

    event: str
    """Of the prediction it belongs to."""
    at: float
    plan: Plan
    route: PlannedRoute
    rows: int
    columns: Columns | None
    error: str

    @property
    def url(self) -> str:
        return self.plan.capture.url

    def estimated_bytes(self) -> int:
        return self.rows * _BYTES_PER_ROW + _column_bytes(self.columns or {})

    def events(self, start: int, end: int) -> list[bytes]:
        outputs: list[dict[str, Any] | None] = [None] * (end - start)
        if self.columns is not None:
            outputs = list(row_values(self.columns, start, end))
        return [
            _event(
                self.plan,
                SHADOW,
                f"{self.event}-{row}-{self.route.name}",
                self.at,
                {
                    "prediction_id": f"{self.event}-{row}",
                    "version": self.route.version.name,
                    "digest": self.route.version.digest,
                    "outputs": said,
                    "error": self.error,
                },
            )
            for row, said in zip(range(start, end), outputs, strict=True)
        ]


Captured = CapturedPrediction | CapturedShadow


def batch(events: list[bytes]) -> bytes:
    return b"[" + b",".join(events) + b"]"


def row_values(columns: Columns, start: int, end: int) -> list[dict[str, Any]]:
    """One mapping per row: a scalar where the tensor has one value per row, else a nested list. NaN becomes null in JSON."""
    by_name = {name: _cells(column[start:end]) for name, column in columns.items()}
    return [{name: cells[row] for name, cells in by_name.items()} for row in range(end - start)]


def _cells(column: npt.NDArray[Any]) -> list[Any]:
    if column.size == column.shape[0]:
        column = column.reshape(-1)
    cells: list[Any] = column.tolist()
    return [_text(cell) for cell in cells] if column.dtype == object else cells


def _text(cell: Any) -> Any:
    """Bytes that are no UTF-8 as `{"base64": ...}`: a plain string would look like what a client may have sent."""
    if isinstance(cell, list):
        return [_text(part) for part in cell]
    return {"base64": cell} if isinstance(cell, bytes) else cell


def join_keys(sticky: PlannedSticky, request: InferRequest, start: int, end: int) -> list[str]:
    keys: list[str | None] = [None] * (end - start)
    if sticky.type == "Header":
        header = key_of_header(request.headers.get(sticky.name.lower()))
        keys = [None if header is None else header.decode(errors="backslashreplace")] * (end - start)
    elif sticky.type == "Input" and sticky.name in request.columns:
        keys = row_keys(request.columns[sticky.name][start:end])
    return [request.request_id if key is None else key for key in keys]


def _event(plan: Plan, kind: str, identity: str, at: float, content: dict[str, Any]) -> bytes:
    deployment = plan.deployment
    return _encode(
        {
            "specversion": "1.0",
            "id": identity,
            "source": f"/namespaces/{deployment.namespace}/modeldeployments/{deployment.name}",
            "type": kind,
            "time": datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "datacontenttype": "application/json",
            "data": content,
        }
    )


def _column_bytes(columns: Columns) -> int:
    return sum(
        sum(len(cell) + 56 if isinstance(cell, str | bytes) else 56 for cell in column.ravel())
        if column.dtype == object
        else column.size * _BYTES_PER_VALUE
        for column in columns.values()
    )
