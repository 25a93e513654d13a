"""What was captured, on its way to become blocks of rows (podium_crds.rows). Pure: bytes out, times in.

Rows that ran together lie side by side already: they stay so, and a row costs a few entries of lists.
"""

import msgspec

from podium_crds.plan import PlannedRoute
from podium_crds.rows import Predictions, Shadows
from podium_serving.capture.columns import between, joined, rows_between, size_of
from podium_serving.capture.planned import PlanCapture
from podium_serving.exchange import Answer, Columns, InferRequest, RowTexts
from podium_serving.traffic.mirror import Shadowed

_BYTES_PER_ROW = 100
"""Of a row apart from its values: id, times, what holds them."""
_BYTES_PER_BLOCK = 500

_encode = msgspec.msgpack.Encoder().encode


class Taken:
    """The only row of an answered request."""

    def __init__(self, request: InferRequest, run: RowTexts, place: int, end: float) -> None:
        self.request = request
        self.run = run
        self.place = place
        """In the run."""
        self.end = end
        """Monotonic seconds when it was answered."""


class CapturedRuns:
    """Answered requests of one row each, of some runs of the model, under one plan and answered alike."""

    def __init__(self, stem: bytes, first: int, planned: PlanCapture, members: bytes, offset: float) -> None:
        """`offset` is what Unix seconds are ahead of monotonic ones."""
        self.stem = stem
        self.planned = planned
        self.members = members
        self.taken: list[Taken] = []
        """Append to it until it is weighed."""
        self.size = 0
        self.first = first
        """The number of the first request; the others follow it."""
        self._offset = offset
        self._asked: Columns = {}
        self._said: Columns = {}

    @property
    def rows(self) -> int:
        return len(self.taken)

    @property
    def event(self) -> bytes:
        """For the log."""
        return b"%b-%x" % (self.stem, self.first)

    def weigh(self) -> int:
        if self.taken and not self.size:
            stretches = _stretches(self.taken)
            self._asked = joined([between(run.asked, start, end) for run, start, end in stretches])
            self._said = joined([between(run.said, start, end) for run, start, end in stretches])
        self.size = size_of(self._asked) + size_of(self._said) + self.rows * _BYTES_PER_ROW + _BYTES_PER_BLOCK
        return self.size

    def block(self, start: int, end: int) -> bytes:
        taken = self.taken[start:end]
        take, planned, offset = rows_between(start, end), self.planned, self._offset
        ids = [one.request.request_id for one in taken]
        return _encode(
            Predictions(
                self.stem,
                self.first + start,
                None,
                len(ids),
                self.members,
                [one.end + offset for one in taken],
                [one.end - one.request.admitted_at for one in taken],
                ids,
                None if planned.by_request else _join_keys(planned, taken),
                planned.columns.written(self._asked, take),
                planned.columns.written(self._said, take),
                _unit_keys(planned, taken) if planned.has_units else None,
            )
        )


def _stretches(taken: list[Taken]) -> list[tuple[RowTexts, int, int]]:
    """Runs, and from where to before where the rows that follow each other lie side by side in them."""
    found: list[tuple[RowTexts, int, int]] = []
    last, start, end = taken[0].run, taken[0].place, taken[0].place
    for one in taken:
        if one.run is not last or one.place != end:
            found.append((last, start, end))
            last, start, end = one.run, one.place, one.place
        end += 1
    found.append((last, start, end))
    return found


def _join_keys(planned: PlanCapture, taken: list[Taken]) -> list[str]:
    keys = [planned.join_keys(one.request, one.request.columns, 0, 1) for one in taken]
    return [one.request.request_id if key is None else key[0] for one, key in zip(taken, keys, strict=True)]


def _unit_keys(planned: PlanCapture, taken: list[Taken]) -> list[str | None]:
    return [planned.unit_keys(one.request, one.request.columns, 0, 1)[0] for one in taken]


class CapturedRequest:
    """An answered request of any number of rows."""

    def __init__(
        self,
        stem: bytes,
        number: int,
        planned: PlanCapture,
        members: bytes,
        request: InferRequest,
        answer: Answer,
        at: float,
        latency_seconds: float,
    ) -> None:
        """`at` is in Unix seconds."""
        self.stem = stem
        self.number = number
        self.planned = planned
        self.members = members
        self.request = request
        self.answer = answer
        self.at = at
        self.latency_seconds = latency_seconds
        self.size = 0

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
                self.planned.unit_keys(request, request.columns, start, end) if self.planned.has_units else None,
            )
        )


class CapturedShadow:
    """What a shadow made of a captured request."""

    def __init__(
        self,
        stem: bytes,
        number: int,
        planned: PlanCapture,
        route: PlannedRoute,
        rows: int,
        shadowed: Shadowed,
        at: float,
    ) -> None:
        """`number` is that of the request it belongs to; `at` is in Unix seconds."""
        self.stem = stem
        self.number = number
        self.planned = planned
        self.route = route
        self.rows = rows
        self.shadowed = shadowed
        self.at = at
        self.size = 0

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
