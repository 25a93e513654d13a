"""Which requests are traced, decided at their head. Nothing of OpenTelemetry is imported here: spans are made elsewhere,
of what was seen."""

import random

from podium_serving.observation.trace_context import PARENT_ID, TRACE_ID, Trace, sampled_by, state_of

_TRACE_BITS = 128
_SPAN_BITS = 64


class Sampler:
    """Parent-based: who called decides; of what nobody decided, `percent` is traced (0 on the forward port, where the
    forwarding pod has decided already)."""

    def __init__(self, percent: float) -> None:
        self._ratio = percent / 100
        self._chance = random.Random()  # noqa: S311  ids have to differ, not to be secret

    def begin(self, traceparent: bytes, tracestate: bytes) -> Trace | None:
        """None: not traced."""
        sampled = sampled_by(traceparent) if traceparent else None
        if sampled is None:
            if self._chance.random() >= self._ratio:
                return None
            return Trace(f"{self._bits(_TRACE_BITS):032x}", self._span_id())
        if not sampled:
            return None
        return Trace(traceparent[TRACE_ID].decode(), self._span_id(), traceparent[PARENT_ID].decode(), state_of(tracestate))

    def _span_id(self) -> str:
        return f"{self._bits(_SPAN_BITS):016x}"

    def _bits(self, count: int) -> int:
        """Never zero: that is no id."""
        return self._chance.getrandbits(count) or 1
