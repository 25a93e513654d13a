"""Keeps an issuer's public keys at hand: fetched in the background, kept while the issuer is away.

Requests never wait for it. Found by OpenID Connect Discovery 1.0 (section 4), or at an address that is given.
"""

import asyncio
import json
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn
from urllib.parse import urlsplit

from podium_serving.security.jwks import InvalidKeys, Keys, keys_of
from podium_serving.web.client import Client

logger = logging.getLogger(__name__)

REFRESH_SECONDS = 300.0
"""Issuers publish a key well before they sign with it."""
LEAST_PAUSE_SECONDS = 10.0
"""Between two fetches, whatever tokens with unknown keys come."""
STALE_SECONDS = 86_400.0
"""After which keys that could not be read again verify nothing more: one of them may have been withdrawn since."""
_FIRST_PAUSE_SECONDS = 1.0
_REQUEST_SECONDS = 10.0
_MOST_BYTES = 1024 * 1024
_DISCOVERY = "/.well-known/openid-configuration"


class Issuer:
    """The keys of one issuer. `take` gets every set that was fetched, in the event loop, and an empty one when the last is
    too old."""

    def __init__(self, issuer: str, jwks_uri: str, take: Callable[[Keys], None]) -> None:
        self._issuer = issuer
        self._jwks_uri = jwks_uri
        self._take = take
        self._asked = asyncio.Event()
        self._complaint = ""
        self._read_at: float | None = None
        for url in filter(None, (issuer, jwks_uri)):
            if urlsplit(url).scheme != "https":
                logger.warning("%s is spoken to in the clear: whoever can change that traffic can make valid tokens", url)

    def ask(self) -> None:
        """A token names a key that is not known: fetch soon. Call it from the event loop's thread."""
        self._asked.set()

    async def run(self) -> NoReturn:
        """Until cancelled."""
        async with Client(proxied=True) as client:
            pause = _FIRST_PAUSE_SECONDS
            while True:
                fetched = await self._fetched(client)
                began = time.monotonic()
                if fetched:
                    pause = _FIRST_PAUSE_SECONDS
                    self._asked.clear()
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._asked.wait(), REFRESH_SECONDS)
                    await asyncio.sleep(began + LEAST_PAUSE_SECONDS - time.monotonic())
                else:
                    self._let_lapse()
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, LEAST_PAUSE_SECONDS)

    def _let_lapse(self) -> None:
        if self._read_at is not None and time.monotonic() - self._read_at > STALE_SECONDS:
            logger.critical(
                "the keys of %s were read last %.0f h ago: no token is taken until they can be read",
                self._issuer,
                STALE_SECONDS / 3600,
            )
            self._read_at = None
            self._take({})

    async def _fetched(self, client: Client) -> bool:
        try:
            uri = self._jwks_uri
            if not uri:
                uri = keys_address(await _document(client, self._issuer.rstrip("/") + _DISCOVERY), self._issuer)
            keys = keys_of(await _document(client, uri))
        except (OSError, ValueError) as error:  # TimeoutError is an OSError
            text = str(error) or type(error).__name__
            if text != self._complaint:
                logger.error("the keys of %s cannot be read: %s; those that are known stay in use", self._issuer, text)
            self._complaint = text
            return False
        self._complaint = ""
        self._read_at = time.monotonic()
        self._take(keys)
        return True


def keys_address(configuration: Any, issuer: str) -> str:
    """Where the keys of `issuer` are, by its own configuration. Raises InvalidKeys."""
    said = configuration.get("issuer") if isinstance(configuration, dict) else None
    if said != issuer:
        raise InvalidKeys(f"the issuer there calls itself {str(said)[:200]!r}, PODIUM_JWT_ISSUER is {issuer!r}")
    uri = configuration.get("jwks_uri")
    if not isinstance(uri, str) or not uri:
        raise InvalidKeys("the issuer's configuration names no jwks_uri")
    if urlsplit(issuer).scheme == "https" and urlsplit(uri).scheme != "https":
        raise InvalidKeys(f"the issuer names {uri[:200]!r} for its keys, which is not https")
    return uri


async def _document(client: Client, url: str) -> Any:
    # A redirect could lead from https to http, or to another host's keys.
    async with asyncio.timeout(_REQUEST_SECONDS), client.ask("GET", url) as response:
        if response.status != 200:
            raise InvalidKeys(f"{url} answers {response.status}")
        body = await response.read(_MOST_BYTES + 1)
        if len(body) > _MOST_BYTES:
            raise InvalidKeys(f"{url} answers with more than {_MOST_BYTES} bytes")
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidKeys(f"{url} does not answer with JSON") from error
