"""What captured rows under one plan share: where they go, what of them, and by which key they are found. Pure."""

from typing import Any

import msgspec

from podium_crds.plan import Plan, PlannedJoinKey, PlannedRoute, PlannedSticky
from podium_serving.capture.columns import ColumnWriter
from podium_serving.exchange import Answer, Columns, Fallback, InferRequest
from podium_serving.traffic.keys import key_of_header, key_of_value

_MOST_KEPT = 256

_json = msgspec.json.Encoder().encode
_AnswerKey = tuple[str, str, str, bool, bool]
_NOT_SPLIT = frozenset({Fallback.MIXED_KEYS, Fallback.MISSING_KEY})
"""Why a request stays with the champion although there is a split."""
_CHAMPION = "champion"


class RowKeys:
    """A key per row, made of an input or a header."""

    def __init__(
        self, source: PlannedJoinKey | PlannedSticky, columns: ColumnWriter, hidden_headers: frozenset[str]
    ) -> None:
        self._type = source.type
        self._name = source.name.lower() if source.type == "Header" else source.name
        self._columns = columns
        of_header = self._type == "Header" and self._name in hidden_headers
        self.hides = of_header or (self._type == "Input" and columns.hides(self._name))
        """Keys are hashes: what they are made of must not leave the pod."""

    @property
    def by_request(self) -> bool:
        """Rows have no key of their own."""
        return self._type == "Request"

    def texts(self, request: InferRequest, columns: Columns, start: int, end: int) -> list[str | None]:
        """Of rows `start` to before `end` of `columns`, which are all those of `request`. Empty: it has no such field."""
        if self._type == "Header":
            return [self._text(key_of_header(request.headers.get(self._name)))] * (end - start)
        column = columns.get(self._name) if self._type == "Input" else None
        if column is None or column.size != column.shape[0]:
            return []
        return [self._text(key_of_value(cell)) for cell in column[start:end].reshape(end - start)]

    def _text(self, key: bytes | None) -> str | None:
        """A key made of something hidden is its hash; None where nothing can hash it."""
        if key is None:
            return None
        return self._columns.hash(key) if self.hides else key.decode(errors="backslashreplace")


class PlanCapture:
    """Of one plan. `key` is that of its hashes; empty: there is none."""

    def __init__(self, plan: Plan, key: bytes = b"") -> None:
        capture = plan.capture
        self.plan = plan
        self.url = capture.url
        self.percent = capture.percent
        self.keeps_fallbacks = "Fallback" in capture.always
        self.keeps_asked_for = "Header" in capture.always
        self.columns = ColumnWriter(capture.redact, capture.hash, key)
        headers = frozenset(name.lower() for name in (*capture.redact, *capture.hash))
        by_sticky = capture.join_key.type == "Sticky"
        self._join = RowKeys(plan.sticky if by_sticky else capture.join_key, self.columns, headers)
        self._units = None if by_sticky or _same(plan) else RowKeys(plan.sticky, self.columns, headers)
        self._split = _split_of(plan)
        self._by_answer: dict[_AnswerKey, bytes] = {}

    @property
    def by_request(self) -> bool:
        """Rows have no key of their own to be joined by."""
        return self._join.by_request

    @property
    def has_units(self) -> bool:
        """Rows have a sticky key that is not what they are joined by."""
        return self._units is not None

    def members(self, answer: Answer, *, sampled: bool = True, pinned: bool = False) -> bytes:
        """JSON of what the events of answers like this one have in common. Under one plan the version says its digest and
        who answered. `pinned`: the client named the version, so chance did not choose it."""
        key = (answer.version, answer.arm_assigned, answer.fallback, sampled, pinned)
        shared = self._by_answer.get(key)
        if shared is None:
            was_split = not pinned and answer.fallback not in _NOT_SPLIT
            shared = _json(_members(answer) | self._marks(sampled, was_split))
            if len(self._by_answer) < _MOST_KEPT:
                self._by_answer[key] = shared
        return shared

    def _marks(self, sampled: bool, was_split: bool) -> dict[str, Any]:
        """What is usual is not said."""
        found: dict[str, Any] = {} if sampled else {"sampled": False}
        if self._join.hides:
            found["join_key_hashed"] = True
        if was_split and self._split:
            found["split"] = self._split
        return found

    def shadow_members(self, route: PlannedRoute, error: str) -> bytes:
        return _json({"version": route.version.name, "digest": route.version.digest, "error": error})

    def join_keys(self, request: InferRequest, columns: Columns, start: int, end: int) -> list[str] | None:
        """Of rows `start` to before `end` of `columns`, which are all those of `request`. None: the request's id.

        A row without a key of its own has the request's id, with its number where the request has several rows.
        """
        texts = self._join.texts(request, columns, start, end)
        if not texts and request.rows == 1:
            return None
        return [
            text if text is not None else request_key(request, row)
            for row, text in zip(range(start, end), texts or [None] * (end - start), strict=True)
        ]

    def unit_keys(self, request: InferRequest, columns: Columns, start: int, end: int) -> list[str | None]:
        """The sticky keys of the same rows, None where there is none. Ask only where there are units."""
        found = self._units.texts(request, columns, start, end) if self._units is not None else []
        return found or [None] * (end - start)


def _same(plan: Plan) -> bool:
    """Whether the join key is the sticky key, or there is none. Names of headers are lower case in a plan."""
    join, sticky = plan.capture.join_key, plan.sticky
    return sticky.type == "Request" or (join.type, join.name) == (sticky.type, sticky.name)


def _split_of(plan: Plan) -> dict[str, dict[str, int | str]]:
    """Percentage and version of each arm; empty where requests are not split."""
    canaries = [route for route in plan.routes if route.mode == "Canary" and route.percent > 0]
    if not canaries:
        return {}
    rest = 100 - sum(route.percent for route in canaries)
    arms: dict[str, dict[str, int | str]] = {_CHAMPION: {"percent": rest, "digest": plan.champion.version.digest}}
    return arms | {route.name: {"percent": route.percent, "digest": route.version.digest} for route in canaries}


def request_key(request: InferRequest, row: int) -> str:
    return request.request_id if request.rows == 1 else f"{request.request_id}-{row}"


def _members(answer: Answer) -> dict[str, str | int | bool]:
    return {
        "arm_assigned": answer.arm_assigned,
        "arm_answered": answer.arm_answered,
        "fallback": answer.fallback.value,
        "epoch": answer.epoch,
        "version": answer.version,
        "digest": answer.version_digest,
    }
