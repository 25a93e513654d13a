"""Talking to the issuer: what it publishes of itself, its keys, and the exchange of a code for a token."""

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import aiohttp
import jwt

from podium_monitor.sign_in.kept import IssuerSilent, Kept
from podium_monitor.sign_in.oidc import CALLBACK, Attempt, UnknownKey, verified
from podium_monitor.sign_in.settings import Oidc
from podium_monitor.sign_in.visitors import Refused

ANSWER_SECONDS = 5.0
"""So long may one answer take, from connecting to its last byte."""
_MOST_EXCHANGES = 16
_TURN_SECONDS = 2.0
"""Codes that are exchanged at once, and how long others wait for their turn: anybody can come back with a code."""
_MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class Published:
    """Of the discovery document."""

    authorization: str
    token: str
    keys: str
    basic: bool
    """The client says its secret in the Authorization header, else in the body."""
    end_session: str = ""


class Issuer:
    """For one event loop. What is published, keys too, is fetched hourly, and keys when an unknown one signs."""

    def __init__(self, settings: Oidc) -> None:
        self._settings = settings
        self._published = Kept(self._discovered)
        self._keys = Kept(self._fetched_keys)
        self._exchanges = asyncio.Semaphore(_MOST_EXCHANGES)

    async def published(self) -> Published:
        """Raises IssuerSilent."""
        return await self._published.get()

    async def claims(self, code: str, begun: Attempt) -> dict[str, Any]:
        """Of the verified ID token that `code` is worth. Raises IssuerSilent and Refused."""
        published = await self.published()
        token = await self._exchanged(published, code, begun)
        try:
            return verified(token, await self._keys.get(), self._settings, begun.nonce)
        except UnknownKey:
            return verified(token, await self._keys.newer(), self._settings, begun.nonce)

    async def _discovered(self) -> Published:
        address = self._settings.issuer.rstrip("/") + "/.well-known/openid-configuration"
        return _published(await self._json("GET", address), self._settings)

    async def _fetched_keys(self) -> Sequence[jwt.PyJWK]:
        return _keys(await self._json("GET", (await self.published()).keys))

    async def _exchanged(self, published: Published, code: str, begun: Attempt) -> str:
        settings = self._settings
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": settings.address + CALLBACK,
            "client_id": settings.client_id,
            "code_verifier": begun.verifier,
        }
        headers = {}
        if settings.client_secret and published.basic:
            pair = f"{quote(settings.client_id, safe='')}:{quote(settings.client_secret, safe='')}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        elif settings.client_secret:
            form["client_secret"] = settings.client_secret
        async with self._turn():
            answer = await self._json("POST", published.token, form, headers)
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise Refused("The issuer's answer holds no ID token.")
        return token

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Raises IssuerSilent."""
        try:
            async with asyncio.timeout(_TURN_SECONDS):
                await self._exchanges.acquire()
        except TimeoutError as error:
            raise IssuerSilent(f"{_MOST_EXCHANGES} codes are being exchanged, none is done") from error
        try:
            yield
        finally:
            self._exchanges.release()

    async def _json(
        self, method: str, address: str, form: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        trusted: ssl.SSLContext | bool = True
        if self._settings.ca_file is not None:
            trusted = ssl.create_default_context(cafile=str(self._settings.ca_file))
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS)) as session,
                session.request(method, address, data=form, headers=headers, ssl=trusted, allow_redirects=False) as response,
            ):
                content = await _bounded(response.content)
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise IssuerSilent(f"{method} {address}: {error!r}") from error
        return _object(content, response.status, f"{method} {address}")


async def _bounded(content: aiohttp.StreamReader) -> bytes:
    """Up to one byte more than may be: what is longer is no JSON object that ends."""
    found = b""
    async for chunk in content.iter_chunked(65_536):
        found += chunk
        if len(found) > _MOST_BYTES:
            break
    return found


def _object(content: bytes, status: int, what: str) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        found = None
    if status == 400 and isinstance(found, dict):
        raise Refused(f"The issuer refused: {str(found.get('error', 'no reason given'))[:100]}. Begin again.")
    if status != 200 or not isinstance(found, dict):
        raise IssuerSilent(f"{what}: {status}, must be 200 and a JSON object")
    return found


def _published(found: Mapping[str, Any], settings: Oidc) -> Published:
    """Raises IssuerSilent if the document is another issuer's, or lacks an endpoint."""
    if found.get("issuer") != settings.issuer:
        raise IssuerSilent(f"the discovery document is of {found.get('issuer')!r}, must be of {settings.issuer!r}")
    methods = found.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
    return Published(
        authorization=_endpoint(found, "authorization_endpoint", settings),
        token=_endpoint(found, "token_endpoint", settings),
        keys=_endpoint(found, "jwks_uri", settings),
        basic="client_secret_basic" in methods,
        end_session=_endpoint(found, "end_session_endpoint", settings) if "end_session_endpoint" in found else "",
    )


def _endpoint(found: Mapping[str, Any], name: str, settings: Oidc) -> str:
    """https wherever the issuer itself is."""
    address = found.get(name)
    if not isinstance(address, str) or urlsplit(address).scheme != urlsplit(settings.issuer).scheme:
        raise IssuerSilent(f"the discovery document's {name} is {address!r}, must be an address as the issuer's")
    return address


def _keys(found: Mapping[str, Any]) -> list[jwt.PyJWK]:
    """Those that can be read: an issuer may publish kinds that we do not know."""
    keys = []
    for one in found.get("keys", []):
        try:
            if one.get("use", "sig") == "sig" and one.get("kty") != "oct":
                keys.append(jwt.PyJWK.from_dict(one))
        except (jwt.PyJWTError, AttributeError):
            continue
    return keys
