"""API keys: one per caller, from a mounted Secret, compared without saying how much of a guess was right.

A key is looked up by a keyed digest of it, so neither the lookup's time nor this process's memory tells anything of a key.
"""

import logging
import os
import string
from collections.abc import Callable, Mapping
from hashlib import blake2b
from pathlib import Path

from podium_serving.exchange import NotServing, ServingError
from podium_serving.http.responses import Unauthorized
from podium_serving.security.bearer import bearer_token, caller_name
from podium_serving.security.folder import files_of

logger = logging.getLogger(__name__)

LEAST_CHARACTERS = 22
"""128 bits in base64."""
MOST_CHARACTERS = 512
_ALLOWED = frozenset(string.printable.encode()) - frozenset(string.whitespace.encode())
_DIGEST_BYTES = 32


def usable_keys(entries: Mapping[str, bytes]) -> tuple[dict[bytes, str], list[str]]:
    """Callers by key, and a sentence for each entry that is refused. Sentences hold names, never keys."""
    callers: dict[bytes, str] = {}
    refused = []
    for name, content in sorted(entries.items()):
        key = content.strip()
        if not LEAST_CHARACTERS <= len(key) <= MOST_CHARACTERS:
            refused.append(f"'{name}' has {len(key)} characters, must have {LEAST_CHARACTERS} to {MOST_CHARACTERS}")
        elif not _ALLOWED.issuperset(key):
            refused.append(f"'{name}' has a space or a character beyond ASCII, which no header can carry")
        elif key in callers:
            refused.append(f"'{name}' is the same key as '{callers[key]}'; each caller needs its own")
        else:
            callers[key] = caller_name(name)
    return callers, refused


def read_keys(folder: Path) -> Mapping[str, bytes]:
    """Raises OSError."""
    return {path.name: path.read_bytes() for path in files_of(folder)}


class ApiKeyGate:
    """Lets in whoever shows a key of the mounted Secret, as a bearer token or as `X-Api-Key`, which goes first."""

    def __init__(self, on_known: Callable[[], None]) -> None:
        self.known = False
        """Whether there was ever a key."""
        self._on_known = on_known
        self._pepper = os.urandom(_DIGEST_BYTES)
        self._callers: dict[bytes, str] = {}

    def take(self, entries: Mapping[str, bytes]) -> None:
        callers, refused = usable_keys(entries)
        for sentence in refused:
            logger.error("API key %s: it is not taken", sentence)
        if not callers:
            logger.error("no API key is usable: every request is refused")
        self._callers = {self._digest(key): name for key, name in callers.items()}
        if callers and not self.known:
            self.known = True
            self._on_known()

    def refusal(self, authorization: bytes, api_key: bytes) -> ServingError | None:
        if self._shown_by(authorization, api_key) is not None:
            return None
        if not self.known:
            return NotServing("no API key is set up at this endpoint yet; try again")
        if not api_key and not authorization:
            return Unauthorized(
                "this endpoint asks for an API key: send it as 'X-Api-Key: <key>' or 'Authorization: Bearer <key>'"
            )
        if not api_key and not bearer_token(authorization):
            return Unauthorized("the Authorization header holds no bearer token; send 'Authorization: Bearer <key>'")
        return Unauthorized("this API key is not known here")

    def caller(self, authorization: bytes, api_key: bytes) -> str:
        return self._shown_by(authorization, api_key) or ""

    def _shown_by(self, authorization: bytes, api_key: bytes) -> str | None:
        shown = api_key or bearer_token(authorization)
        return self._callers.get(self._digest(shown)) if len(shown) <= MOST_CHARACTERS else None

    def _digest(self, key: bytes) -> bytes:
        return blake2b(key, digest_size=_DIGEST_BYTES, key=self._pepper).digest()
