"""Which requests are traced, decided at their head. Nothing of OpenTelemetry is imported here: spans are made elsewhere,
of what was seen."""

import random

from podium_serving.observation.trace_context import Trace, parent_of, state_of

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
        parent = parent_of(traceparent) if traceparent else None
        if parent is None:
            if self._chance.random() >= self._ratio:
                return None
            return Trace(f"{self._bits(_TRACE_BITS):032x}", f"{self._bits(_SPAN_BITS):016x}")
        if not parent.sampled:
            return None
        return Trace(parent.trace_id, f"{self._bits(_SPAN_BITS):016x}", parent.span_id, state_of(tracestate))

    def _bits(self, count: int) -> int:
        """Never zero: that is no id."""
        return self._chance.getrandbits(count) or 1
