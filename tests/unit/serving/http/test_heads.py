"""What the lane reads from paths and headers."""

import pytest

from podium_serving.http.requests import ClientHeaders, header_safe, read_head


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
    assert ClientHeaders([(b"podium-capture", b"always")])["podium-capture"] == "always"  # a client may ask to be captured
    assert headers.get("absent") is None


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
