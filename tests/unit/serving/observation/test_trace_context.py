"""W3C Trace Context: what is read, and what is passed on."""

import pytest

from podium_serving.observation.trace_context import (
    MOST_STATE_CHARACTERS,
    Trace,
    child_traceparent,
    forward_span_id,
    recorded,
    sampled_by,
    state_of,
)
from podium_serving.observation.tracing import Sampler

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
SAMPLED = f"00-{TRACE}-{SPAN}-01"
UNSAMPLED = f"00-{TRACE}-{SPAN}-00"


@pytest.mark.parametrize(
    ("header", "sampled"),
    [
        pytest.param(SAMPLED, True, id="sampled"),
        pytest.param(UNSAMPLED, False, id="not-sampled"),
        pytest.param(f"00-{TRACE}-{SPAN}-03", True, id="random-flag"),
        pytest.param(f"00-{TRACE}-{SPAN}-fe", False, id="unknown-flags"),
        pytest.param(f"cc-{TRACE}-{SPAN}-01-more", True, id="later-version"),
        pytest.param(f"{SAMPLED}-more", None, id="too-long-for-this-version"),
        pytest.param(f"ff-{TRACE}-{SPAN}-01", None, id="forbidden-version"),
        pytest.param(f"00-{'0' * 32}-{SPAN}-01", None, id="no-trace"),
        pytest.param(f"00-{TRACE}-{'0' * 16}-01", None, id="no-span"),
        pytest.param(SAMPLED.upper(), None, id="upper-case"),
        pytest.param(f"00-{TRACE[1:]}-{SPAN}-01", None, id="short"),
        pytest.param(f"{SAMPLED}\n", None, id="line-break"),
        pytest.param(f"cc-{TRACE}-{SPAN}-01-\r\nevil: 1", None, id="line-break-in-a-later-version"),
        pytest.param("", None, id="empty"),
        pytest.param("00-\xe9", None, id="not-ascii"),
    ],
)
def test_a_traceparent_is_read_as_the_standard_says(header: str, sampled: bool | None) -> None:
    assert sampled_by(header.encode("latin-1")) is sampled


@pytest.mark.parametrize(
    ("header", "state"),
    [
        pytest.param(b"congo=t61rcWkgMzE,rojo=00f067aa0ba902b7", "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7", id="plain"),
        pytest.param(b"a=b\r\nevil: 1", "", id="line-break"),
        pytest.param(b"a=\xff", "", id="not-ascii"),
        pytest.param(b"a=" + b"x" * MOST_STATE_CHARACTERS, "", id="long"),
    ],
)
def test_only_a_safe_tracestate_is_passed_on(header: bytes, state: str) -> None:
    assert state_of(header) == state


def test_a_forward_is_a_child_of_the_request_and_an_unrecorded_trace_passes_as_it_came() -> None:
    child = child_traceparent(SAMPLED, "neural-net")
    assert child == f"00-{TRACE}-{forward_span_id(SPAN, 'neural-net')}-01"
    assert sampled_by(child.encode())
    assert child != child_traceparent(SAMPLED, "boosting")
    assert child_traceparent(UNSAMPLED, "neural-net") == UNSAMPLED
    assert child_traceparent("", "neural-net") == ""


def test_who_called_decides_and_else_the_percentage() -> None:
    always, never = Sampler(100.0), Sampler(0.0)
    for sampler in (always, never):
        trace = sampler.begin(SAMPLED.encode(), b"a=b")
        assert trace is not None
        assert (trace.trace_id, trace.parent_id, trace.state) == (TRACE, SPAN, "a=b")
        assert trace.span_id != SPAN
        assert recorded(trace.traceparent, trace.state, SAMPLED.encode()) == trace
        assert sampler.begin(UNSAMPLED.encode(), b"a=b") is None
    assert never.begin(b"", b"") is None
    assert never.begin(b"rubbish", b"a=b") is None
    root = always.begin(b"rubbish", b"a=b")
    assert root is not None
    assert (root.parent_id, root.state) == ("", "")
    assert sampled_by(root.traceparent.encode())
    assert recorded(root.traceparent, root.state, b"rubbish") == Trace(root.trace_id, root.span_id)


def test_of_requests_that_nobody_decided_about_the_share_is_traced() -> None:
    sampler = Sampler(10.0)
    traced = [trace for _ in range(20_000) if (trace := sampler.begin(b"", b"")) is not None]
    # Six standard deviations of a binomial count around 2,000.
    assert abs(len(traced) - 2000) < 6 * (20_000 * 0.1 * 0.9) ** 0.5
    assert len({trace.trace_id for trace in traced}) == len(traced)
