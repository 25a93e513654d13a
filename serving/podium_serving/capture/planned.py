"""What captured rows under one plan share: where they go, what of them, and by which key they are found. Pure."""

import msgspec

from podium_crds.plan import Plan, PlannedRoute
from podium_serving.capture.columns import ColumnWriter
from podium_serving.exchange import Answer, Columns, InferRequest
from podium_serving.traffic.keys import key_of_header, key_of_value

_MOST_KEPT = 256

_json = msgspec.json.Encoder().encode
_AnswerKey = tuple[str, str, str, bool]


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
        self._join = capture.join_key if capture.join_key.type != "Sticky" else plan.sticky
        headers = {name.lower() for name in (*capture.redact, *capture.hash)}
        name = self._join.name
        of_header = self._join.type == "Header" and name.lower() in headers
        self._hides_keys = of_header or (self._join.type == "Input" and self.columns.hides(name))
        self._by_answer: dict[_AnswerKey, bytes] = {}

    @property
    def by_request(self) -> bool:
        """Rows have no key of their own."""
        return self._join.type == "Request"

    def members(self, answer: Answer, *, sampled: bool = True) -> bytes:
        """JSON of what the events of answers like this one have in common. Under one plan the version says its digest and
        who answered."""
        key = (answer.version, answer.arm_assigned, answer.fallback, sampled)
        shared = self._by_answer.get(key)
        if shared is None:
            shared = _json(_members(answer) | self._marks(sampled))
            if len(self._by_answer) < _MOST_KEPT:
                self._by_answer[key] = shared
        return shared

    def _marks(self, sampled: bool) -> dict[str, bool]:
        return ({} if sampled else {"sampled": False}) | ({"join_key_hashed": True} if self._hides_keys else {})

    def shadow_members(self, route: PlannedRoute, error: str) -> bytes:
        return _json({"version": route.version.name, "digest": route.version.digest, "error": error})

    def join_keys(self, request: InferRequest, columns: Columns, start: int, end: int) -> list[str] | None:
        """Of rows `start` to before `end` of `columns`, which are all those of `request`. None: the request's id.

        A row without a key of its own has the request's id, with its number where the request has several rows.
        """
        join = self._join
        keys: list[bytes | None] = []
        if join.type == "Header":
            keys = [key_of_header(request.headers.get(join.name.lower()))] * (end - start)
        elif join.type == "Input" and (column := columns.get(join.name)) is not None and column.size == column.shape[0]:
            keys = [key_of_value(cell) for cell in column[start:end].reshape(end - start)]
        if not keys and request.rows == 1:
            return None
        texts = [self._text(key) for key in keys] or [None] * (end - start)
        return [
            text if text is not None else request_key(request, row)
            for row, text in zip(range(start, end), texts, strict=True)
        ]

    def _text(self, key: bytes | None) -> str | None:
        """A key made of something hidden is its hash; None where nothing can hash it."""
        if key is None:
            return None
        return self.columns.hash(key) if self._hides_keys else key.decode(errors="backslashreplace")


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
