"""Seeded damage to messages: what a broken client, a proxy with a fault or an attacker may send. Pure.

Equal seeds give equal bytes, so that a finding is repeated by its number.
"""

import random
import re
from collections.abc import Callable, Sequence

_NUMBERS = (
    *(b"0", b"-0", b"-1", b"1e999", b"-1e999", b"1e-999", b"NaN", b"Infinity", b"-Infinity", b"null", b"true", b'"1"'),
    *(b"[]", b"{}", b"127", b"128", b"255", b"256", b"65536", b"2147483648", b"4294967296", b"9223372036854775807"),
    *(b"9223372036854775808", b"18446744073709551616", b"99999999999999999999999999999999"),
    *(b"0.1", b"1.0", b"01", b"+1", b".5", b"1.", b"0x10"),
)  # fmt: skip
_STRINGS = (b'""', b'"x0"', b'"\\ud800"', b'"\\u0000"', b"null", b"{}", b"[[[]]]", b'"' + b"n" * 5000 + b'"', b'"\xff"')
_HEADERS = (
    *(b"Content-Length: 0", b"Content-Length: 5", b"Content-Length: -1", b"Content-Length: 99999999999999999999"),
    *(b"Content-Length: 1,1", b"Content-Length: 0x10", b"Content-Length:", b"Transfer-Encoding: chunked"),
    *(b"Transfer-Encoding: identity", b"Transfer-Encoding: chunked, chunked", b"Transfer-Encoding : chunked"),
    *(b"Inference-Header-Content-Length: 1", b"Inference-Header-Content-Length: -1"),
    *(b"Inference-Header-Content-Length: 999999999", b"Inference-Header-Content-Length: 1e3"),
    *(b"Content-Encoding: gzip", b"Content-Encoding: deflate", b"Content-Encoding: br", b"Content-Encoding: gzip, gzip"),
    *(b"Expect: 100-continue", b"Expect: 200-maybe", b"Connection: close", b"Connection: Upgrade\r\nUpgrade: h2c"),
    *(b"Podium-Timeout-Milliseconds: 0", b"Podium-Timeout-Milliseconds: 1", b"Podium-Arm: x", b"Podium-Mirror: 1"),
    *(b"Authorization: Bearer \xff\xfe", b"X-Request-Id: \xc3\xa4\t", b" folded: line", b"no colon", b": no name"),
    *(b"a\x00b: c", b"traceparent: 00-zz-zz-01", b"Accept-Encoding: gzip;q=abc", b"X-Long: " + b"x" * 70_000),
)  # fmt: skip
_NUMBER = re.compile(rb"-?\d+(\.\d+)?([eE][-+]?\d+)?")
_STRING = re.compile(rb'"[^"\\]{0,60}"')


def flip_bits(message: bytes, chance: random.Random) -> bytes:
    damaged = bytearray(message)
    for _ in range(chance.randint(1, 4)):
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def cut(message: bytes, chance: random.Random) -> bytes:
    return message[: chance.randrange(len(message))]


def delete_piece(message: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(message))
    return message[:start] + message[start + chance.randint(1, 30) :]


def repeat_piece(message: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(message))
    end = start + chance.randint(1, 60)
    return message[:end] + message[start:end] * chance.choice((1, 2, 50)) + message[end:]


def insert_noise(message: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(message))
    return message[:start] + chance.randbytes(chance.randint(1, 20)) + message[start:]


def other_number(message: bytes, chance: random.Random) -> bytes:
    """A number anywhere, in the body for choice, becomes one from the edges."""
    found = list(_NUMBER.finditer(message))
    if not found:
        return flip_bits(message, chance)
    match = chance.choice(found)
    return message[: match.start()] + chance.choice(_NUMBERS) + message[match.end() :]


def other_string(message: bytes, chance: random.Random) -> bytes:
    found = list(_STRING.finditer(message))
    if not found:
        return flip_bits(message, chance)
    match = chance.choice(found)
    instead = chance.choice(_STRINGS)
    return message[: match.start()] + instead + message[match.end() :]


def nest(message: bytes, chance: random.Random) -> bytes:
    """Brackets, deep."""
    depth = chance.choice((2, 50, 1100, 20_000))
    found = list(_NUMBER.finditer(message))
    if not found:
        return message
    match = chance.choice(found)
    return message[: match.start()] + b"[" * depth + match.group() + b"]" * depth + message[match.end() :]


def add_header(message: bytes, chance: random.Random) -> bytes:
    line, _, rest = message.partition(b"\r\n")
    return line + b"\r\n" + chance.choice(_HEADERS) + b"\r\n" + rest


def other_line_ends(message: bytes, chance: random.Random) -> bytes:
    head, end, body = message.partition(b"\r\n\r\n")
    return head.replace(b"\r\n", chance.choice((b"\n", b"\r", b"\r\r\n", b"\r\n ")), chance.randint(1, 3)) + end + body


_LENGTH = re.compile(rb"(?i)(\r\ncontent-length: )\d+")


def refitted(head: bytes, body: bytes) -> bytes:
    """The request with a Content-Length that is right again: damage that reaches the reader of bodies."""
    return _LENGTH.sub(rb"\g<1>%d" % len(body), head, count=1) + b"\r\n\r\n" + body


Mutation = Callable[[bytes, random.Random], bytes]

BODY: Sequence[Mutation] = (flip_bits, cut, delete_piece, repeat_piece, insert_noise, other_number, other_string, nest)
HTTP: Sequence[Mutation] = (*BODY, add_header, other_line_ends)
_BODY_ALONE = 0.5
"""Of HTTP messages, only the body is damaged and the head says its new length: else few come further than the parser."""


def damaged(seeds: Sequence[bytes], mutations: Sequence[Mutation], seed: int) -> bytes:
    """One to three mutations of one of `seeds`, or a splice of two. The same for the same `seed`."""
    chance = random.Random(seed)
    message = chance.choice(seeds)
    if chance.random() < 0.1:
        other = chance.choice(seeds)
        message = message[: chance.randrange(len(message))] + other[chance.randrange(len(other)) :]
    return _mutated(message, mutations, chance)


def damaged_http(seeds: Sequence[bytes], seed: int) -> bytes:
    """As `damaged`, for whole HTTP requests."""
    chance = random.Random(-seed - 1)
    head, _, body = chance.choice(seeds).partition(b"\r\n\r\n")
    if body and chance.random() < _BODY_ALONE:
        return refitted(head, _mutated(body, BODY, chance))
    return damaged(seeds, HTTP, seed)


def _mutated(message: bytes, mutations: Sequence[Mutation], chance: random.Random) -> bytes:
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        if message:
            message = chance.choice(mutations)(message, chance)
    return message
