"""What the lane reads from paths and headers."""

import pytest

from podium_serving.http.requests import (
    ClientHeaders,
    RequestIds,
    Target,
    header_safe,
    inference_target,
    read_head,
)


@pytest.mark.parametrize(
    ("url", "target"),
    [
        pytest.param(b"/v2/models/churn/infer", Target("churn", ""), id="model"),
        pytest.param(b"/v2/models/churn/versions/churn-3/infer", Target("churn", "churn-3"), id="version"),
        pytest.param(b"/v2/models/a%20b/infer?x=/infer", Target("a b", ""), id="escaped-and-query"),
        pytest.param(b"/v2/models/churn/ready", None, id="ready"),
        pytest.param(b"/v2/models/infer", None, id="too-short"),
        pytest.param(b"/v2/models/churn/version/3/infer", None, id="misspelt"),
        pytest.param(b"/v1/models/churn/infer", None, id="other-protocol"),
        pytest.param(b"/v2/models/churn/infer/", None, id="slash-at-the-end"),
        pytest.param(b"/", None, id="root"),
    ],
)
def test_inference_paths(url: bytes, target: Target | None) -> None:
    assert inference_target(url) == target


def test_of_a_clients_podium_headers_only_the_timeout_is_taken() -> None:
    headers = [
        (b"podium-timeout-milliseconds", b"250"),
        (b"podium-deadline-milliseconds", b"9"),
        (b"podium-arm", b"neural-net"),
        (b"podium-mirror", b"1"),
        (b"podium-request-id", b"forged"),
        (b"x-request-id", b"mine"),
        (b"content-length", b"12"),
    ]
    public, forwarded = read_head(headers, forwarded=False), read_head(headers, forwarded=True)
    assert (public.timeout_milliseconds, public.request_id, public.arm, public.mirror) == (250, "mine", "", False)
    assert public.deadline_milliseconds is None
    assert (forwarded.deadline_milliseconds, forwarded.arm, forwarded.mirror) == (9, "neural-net", True)
    assert forwarded.content_length == 12


@pytest.mark.parametrize("value", [b"0", b"-1", b"1.5", b"", b"99999999999"])
def test_a_timeout_that_is_no_positive_number_is_refused(value: bytes) -> None:
    head = read_head([(b"podium-timeout-milliseconds", value)], forwarded=False)
    assert "must be a positive integer" in str(head.refusal)


def test_headers_read_like_a_mapping_without_ours() -> None:
    headers = ClientHeaders([(b"accept", b"a"), (b"podium-arm", b"x"), (b"accept", b"b"), (b"x-name", b"J\xfcrg")])
    assert dict(headers) == {"accept": "a, b", "x-name": "Jürg"}
    assert len(headers) == 2
    assert "podium-arm" not in headers
    assert headers.get("absent") is None


def test_ids_are_never_the_same() -> None:
    one, other = RequestIds(), RequestIds()
    assert len({one(), one(), other(), other()}) == 4


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        pytest.param("r-1", "r-1", id="plain"),
        pytest.param("a\r\nb", "a%0D%0Ab", id="line-break"),
        pytest.param("ü", "%C3%BC", id="not-ascii"),
        pytest.param("x" * 200, "x" * 128, id="long"),
    ],
)
def test_header_values_are_printable_and_bounded(text: str, safe: str) -> None:
    assert header_safe(text) == safe
