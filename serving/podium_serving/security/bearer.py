"""What a caller shows: `Authorization: Bearer <token>`. Pure."""

_SCHEME = b"bearer "


def bearer_token(authorization: bytes) -> bytes:
    """The token; empty when the header has another scheme. The scheme's case does not matter (RFC 9110, section 11.1)."""
    return authorization[len(_SCHEME) :].strip() if authorization[: len(_SCHEME)].lower() == _SCHEME else b""


def caller_name(name: str) -> str:
    """A name as logs take it: bounded, one line."""
    return "".join(letter if letter.isprintable() else "?" for letter in name[:128])
