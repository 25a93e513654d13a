"""What a call's metadata says, and how a call's end is said."""

import pytest

from podium_serving.exchange import DeadlineExceeded, InvalidRequest, NotFound, NotServing, Overloaded, ServingError
from podium_serving.http.responses import Unauthorized
from podium_serving.repository import Forbidden
from podium_serving.rpc.framing import MessageTooLarge
from podium_serving.rpc.metadata import read_head
from podium_serving.rpc.status import Code, Unimplemented, code_of, percent_encoded, trailers

PSEUDO = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/a.B/C")]
GRPC = [(b"content-type", b"application/grpc")]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(b"1H", 3600), (b"2M", 120), (b"99999999S", 99_999_999), (b"250m", 0.25), (b"5u", 5e-6), (b"0n", 0)],
)
def test_a_timeout_has_digits_and_a_unit(value: bytes, seconds: float) -> None:
    assert read_head([*PSEUDO, *GRPC, (b"grpc-timeout", value)]).timeout_seconds == pytest.approx(seconds)


@pytest.mark.parametrize("value", [b"", b"S", b"1", b"-1S", b"1.5S", b"123456789S", b"1s", "\u0663S".encode()])
def test_a_timeout_that_is_none_is_refused(value: bytes) -> None:
    head = read_head([*PSEUDO, *GRPC, (b"grpc-timeout", value)])
    assert isinstance(head.refusal, InvalidRequest)
    assert head.timeout_seconds is None


@pytest.mark.parametrize("kind", [b"application/grpc", b"application/grpc+proto", b"Application/gRPC; charset=utf-8"])
def test_grpc_is_told_by_its_content_type(kind: bytes) -> None:
    assert not read_head([*PSEUDO, (b"content-type", kind)]).http_refusal


def test_an_encoding_that_is_not_taken_is_unimplemented_and_names_those_that_are() -> None:
    head = read_head([*PSEUDO, *GRPC, (b"grpc-encoding", b"snappy")])
    assert head.refusal is not None
    assert code_of(head.refusal) is Code.UNIMPLEMENTED
    assert "gzip and deflate" in str(head.refusal)


def test_metadata_keeps_its_order_and_repetitions_and_not_the_pseudo_headers() -> None:
    head = read_head([*PSEUDO, *GRPC, (b"k", b"1"), (b"j", b"2"), (b"k", b"3")])
    assert head.path == b"/a.B/C"
    assert head.headers == [*GRPC, (b"k", b"1"), (b"j", b"2"), (b"k", b"3")]


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param([*PSEUDO, (b":path", b"/")], id="path-twice"),
        pytest.param([GRPC[0], *PSEUDO], id="pseudo-after-others"),
        pytest.param([*PSEUDO, (b":status", b"200")], id="of-a-response"),
        pytest.param([*PSEUDO, (b"", b"1")], id="no-name"),
        pytest.param([*PSEUDO[:2], (b":path", b"")], id="empty-path"),
        pytest.param([*PSEUDO, (b"transfer-encoding", b"chunked")], id="of-http-1"),
    ],
)
def test_what_is_no_http_2_request_is_malformed(fields: list[tuple[bytes, bytes]]) -> None:
    assert read_head(fields).malformed


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidRequest("x"), Code.INVALID_ARGUMENT),
        (Unauthorized("x"), Code.UNAUTHENTICATED),
        (Forbidden("x"), Code.PERMISSION_DENIED),
        (NotFound("x"), Code.NOT_FOUND),
        (MessageTooLarge(2, 1), Code.RESOURCE_EXHAUSTED),
        (NotServing("x"), Code.UNAVAILABLE),
        (Overloaded("x"), Code.UNAVAILABLE),
        (DeadlineExceeded("x"), Code.DEADLINE_EXCEEDED),
        (Unimplemented("x"), Code.UNIMPLEMENTED),
        (ServingError("x"), Code.INTERNAL),
    ],
)
def test_every_error_has_its_code(error: ServingError, code: Code) -> None:
    assert code_of(error) is code


@pytest.mark.parametrize(
    ("sentence", "encoded"),
    [
        ("plain", "plain"),
        ("100 %", "100 %25"),
        ("größe\n", "gr%C3%B6%C3%9Fe%0A"),
        ("\x7f~ ", "%7F~ "),
    ],
)
def test_a_sentence_is_said_in_ascii(sentence: str, encoded: str) -> None:
    assert percent_encoded(sentence) == encoded


def test_a_long_sentence_is_cut_between_characters() -> None:
    assert len(percent_encoded("a" * 10_000)) == 4096
    cut = percent_encoded("a" + "%" * 10_000)
    assert len(cut) <= 4096
    assert (len(cut) - 1) % 3 == 0


def test_a_request_id_cannot_add_headers() -> None:
    assert b"\n" not in trailers(ServingError("x"), "a\r\nb: c")
