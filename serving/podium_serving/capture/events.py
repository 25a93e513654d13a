"""What was captured, on its way to become blocks of rows (podium_crds.rows). Pure: bytes out, times in.

Rows that ran together lie side by side already: they stay so, and a row costs a few entries of lists.
"""

from collections.abc import Callable

import msgspec

from podium_crds.plan import PlannedRoute
from podium_crds.rows import Predictions, Shadows
from podium_serving.capture.columns import joined, rows_at, rows_between, size_of
from podium_serving.capture.planned import PlanCapture
from podium_serving.exchange import Answer, Columns, InferRequest, RowTexts
from podium_serving.traffic.mirror import Shadowed

_BYTES_PER_ROW = 100
"""Of a row apart from its values: id, times, what holds them."""
_BYTES_PER_BLOCK = 500

_encode = msgspec.msgpack.Encoder().encode


class CapturedRuns:
    """Answered requests of one row each, of some runs of the model, under one plan and answered alike."""

    def __init__(self, stem: bytes, first: int, planned: PlanCapture, members: bytes, offset: float) -> None:
        """`offset` is what Unix seconds are ahead of monotonic ones."""
        self.stem = stem
        self.planned = planned
        self.members = members
        self.size = 0
        self._first = first
        self._offset = offset
        self._requests: list[InferRequest] = []
        self._ends: list[float] = []
        """Monotonic seconds of the end of each."""
        self._runs: list[tuple[RowTexts, list[int]]] = []
        """With the rows that are captured of each."""
        self._asked: Columns = {}
        self._said: Columns = {}

    @property
    def rows(self) -> int:
        return len(self._requests)

    @property
    def event(self) -> bytes:
        """For the log."""
        return b"%b-%x" % (self.stem, self._first)

    def begin(self, run: RowTexts) -> Callable[[int], None]:
        """Who is to be told the places of the run's captured rows."""
        places: list[int] = []
        self._runs.append((run, places))
        return places.append

    def add(self, request: InferRequest, end: float) -> None:
        self._requests.append(request)
        self._ends.append(end)

    def takes(self, run: RowTexts) -> bool:
        """Whether its columns can be joined with those that are here."""
        if not self._runs:
            return True
        last = self._runs[-1][0]
        return _alike(last.asked, run.asked) and _alike(last.said, run.said)

    def weigh(self) -> int:
        """No row is added any more."""
        if self._runs:
            takes = [rows_at(places) for _, places in self._runs]
            self._asked = joined([run.asked for run, _ in self._runs], takes)
            self._said = joined([run.said for run, _ in self._runs], takes)
            self._runs = []
        self.size = size_of(self._asked) + size_of(self._said) + self.rows * _BYTES_PER_ROW + _BYTES_PER_BLOCK
        return self.size

    def block(self, start: int, end: int) -> bytes:
        requests, ends = self._requests[start:end], self._ends[start:end]
        take, planned, offset = rows_between(start, end), self.planned, self._offset
        ids = [request.request_id for request in requests]
        return _encode(
            Predictions(
                self.stem,
                self._first + start,
                None,
                len(ids),
                self.members,
                [at + offset for at in ends],
                [at - request.admitted_at for at, request in zip(ends, requests, strict=True)],
                ids,
                None if planned.by_request else self._join_keys(requests, ids),
                planned.columns.written(self._asked, take),
                planned.columns.written(self._said, take),
            )
        )

    def _join_keys(self, requests: list[InferRequest], ids: list[str]) -> list[str]:
        keys = [self.planned.join_keys(request, request.columns, 0, 1) for request in requests]
        return [identity if key is None else key[0] for key, identity in zip(keys, ids, strict=True)]


def _alike(one: Columns, other: Columns) -> bool:
    return one is other or [column.shape[1:] for column in one.values()] == [column.shape[1:] for column in other.values()]


class CapturedRequest(msgspec.Struct, eq=False):
    """An answered request of any number of rows."""

    stem: bytes
    number: int
    planned: PlanCapture
    members: bytes
    request: InferRequest
    answer: Answer
    at: float
    """Unix seconds."""
    latency_seconds: float
    size: int = 0

    @property
    def rows(self) -> int:
        return self.request.rows

    @property
    def event(self) -> bytes:
        return b"%b-%x" % (self.stem, self.number)

    def weigh(self) -> int:
        values = size_of(self.request.columns) + size_of(self.answer.columns)
        self.size = values + self.rows * _BYTES_PER_ROW + _BYTES_PER_BLOCK
        return self.size

    def block(self, start: int, end: int) -> bytes:
        request, columns, take = self.request, self.planned.columns, rows_between(start, end)
        return _encode(
            Predictions(
                self.stem,
                self.number,
                start,
                end - start,
                self.members,
                [self.at],
                [self.latency_seconds],
                [request.request_id],
                self.planned.join_keys(request, request.columns, start, end),
                columns.written(request.columns, take),
                columns.written(self.answer.columns, take),
            )
        )


class CapturedShadow(msgspec.Struct, eq=False):
    """What a shadow made of a captured request."""

    stem: bytes
    number: int
    """Of the request it belongs to."""
    planned: PlanCapture
    route: PlannedRoute
    rows: int
    shadowed: Shadowed
    at: float
    size: int = 0

    @property
    def event(self) -> bytes:
        return b"%b-%x" % (self.stem, self.number)

    def weigh(self) -> int:
        self.size = size_of(self.shadowed.columns or {}) + self.rows * _BYTES_PER_ROW + _BYTES_PER_BLOCK
        return self.size

    def block(self, start: int, end: int) -> bytes:
        shadowed, route = self.shadowed, self.route
        members = self.planned.shadow_members(route, shadowed.error)
        outputs = shadowed.columns
        written = None if outputs is None else self.planned.columns.written(outputs, rows_between(start, end))
        return _encode(
            Shadows(self.stem, self.number, start, end - start, route.name, members, self.at, written),
        )


Captured = CapturedRuns | CapturedRequest | CapturedShadow
"""`weigh` sets and gives the estimated bytes, `block` writes rows `start` to before `end`; it raises what msgspec raises of
values that JSON cannot hold."""
