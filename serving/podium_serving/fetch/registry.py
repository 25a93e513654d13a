"""An OCI distribution client that pulls: manifests and blobs by digest, nothing else.

Speaks anonymous, Basic and Bearer-token authentication. Retries what may pass (connections, 5xx, 429), bounded. Credentials
go to the registry itself and to the token realm that it names, and into no text.
"""

import asyncio
import base64
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from podium_crds.package import MANIFEST_MEDIA_TYPE
from podium_crds.plan import RegistryCredential
from podium_serving.fetch.contents import MAX_MANIFEST_BYTES
from podium_serving.fetch.errors import DigestMismatch, FetchFailed, PackageNotFound
from podium_serving.fetch.references import Challenge, Reference, parse_challenge
from podium_serving.web.addresses import NoAddress, address_of
from podium_serving.web.client import Client
from podium_serving.web.link import CannotConnect, Reply

ATTEMPTS = 4
FIRST_PAUSE_SECONDS = 0.25
SILENT_SECONDS = 20.0
"""No total: a big file takes what it takes. The whole fetch has a limit (`packages`)."""
CHUNK_BYTES = 256 * 1024
_MAX_TOKEN_BYTES = 256 * 1024
_MAX_ANSWER_BYTES = 1024 * 1024

T = TypeVar("T")


class _TryAgain(Exception):
    """May pass. The text says what happened."""


class Registry:
    """One repository, with one credential. Texts of errors name host and repository."""

    def __init__(self, client: Client, reference: Reference, credential: RegistryCredential | None = None) -> None:
        self._client = client
        self._reference = reference
        self._credential = credential or RegistryCredential()
        self._authorization = f"Bearer {self._credential.token}" if self._credential.token else ""

    async def manifest(self, digest: str) -> bytes:
        """The manifest's exact bytes, not yet checked. Raises FetchFailed, PackageNotFound."""
        try:
            return await self._retrying(lambda: self._manifest(digest))
        except PackageNotFound:
            raise await self._not_found(digest) from None

    async def blob(self, digest: str, receive: Callable[[AsyncIterator[bytes]], Awaitable[None]]) -> None:
        """Gives the blob's chunks to `receive`, from the first one again after a broken transfer.

        Raises FetchFailed, PackageNotFound, and what `receive` raises.
        """
        await self._retrying(lambda: self._blob(digest, receive))

    async def _manifest(self, reference: str) -> bytes:
        async with self._get(f"/manifests/{reference}", accept=MANIFEST_MEDIA_TYPE) as response:
            content = await response.read(MAX_MANIFEST_BYTES + 1)
        if len(content) > MAX_MANIFEST_BYTES:
            raise DigestMismatch(
                f"{self._reference} gave a manifest of more than {MAX_MANIFEST_BYTES} bytes for {reference}"
            )
        return content

    async def _blob(self, digest: str, receive: Callable[[AsyncIterator[bytes]], Awaitable[None]]) -> None:
        async with self._get(f"/blobs/{digest}") as response:
            await receive(response.chunks(CHUNK_BYTES))

    async def _not_found(self, digest: str) -> DigestMismatch | PackageNotFound:
        """Says what lies under the tag, if one was written: most often the manifest was pushed again."""
        tag = self._reference.tag
        if tag:
            try:
                async with self._get(f"/manifests/{tag}", accept=MANIFEST_MEDIA_TYPE, method="HEAD") as response:
                    found = response.header("Docker-Content-Digest") or "an unknown digest"
            except (PackageNotFound, FetchFailed, _TryAgain):
                pass
            else:
                return DigestMismatch(
                    f"{self._reference} has no package {digest}; the tag {tag!r} there is {found[:80]}: "
                    "write the digest that `podium push` printed"
                )
        return PackageNotFound(f"{self._reference} has no package {digest}: push it, or correct address or digest")

    async def _retrying(self, once: Callable[[], Awaitable[T]]) -> T:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await once()
            except NoAddress as error:
                raise FetchFailed(f"{self._reference} cannot be asked: {error}") from None
            except (_TryAgain, TimeoutError, ConnectionError) as error:
                if attempt == ATTEMPTS:
                    raise FetchFailed(f"{self._reference} did not give the package: {_text(error)}") from None
            # Jitter: all pods of a deployment fetch at the same moment.
            await asyncio.sleep(FIRST_PAUSE_SECONDS * 2 ** (attempt - 1) * random.uniform(0.5, 1.5))  # noqa: S311
        raise AssertionError("the last attempt returns or raises")

    @asynccontextmanager
    async def _get(self, path: str, *, accept: str = "*/*", method: str = "GET") -> AsyncIterator[Reply]:
        for may_authenticate in (True, False):
            headers = {"Accept": accept, "Accept-Encoding": "identity"}
            if self._authorization:
                headers["Authorization"] = self._authorization
            url = self._reference.base_url + path
            async with self._client.ask(method, url, headers, silent_seconds=SILENT_SECONDS, follow=True) as response:
                if response.status == 401 and may_authenticate:
                    await self._authenticate(response.headers("WWW-Authenticate"))
                    continue
                self._check(response.status)
                yield response
                return

    def _check(self, status: int) -> None:
        if status == 404:
            raise PackageNotFound(f"{self._reference} has not what was asked for")
        if status in (401, 403):
            known = "the credential given" if self._credential != RegistryCredential() else "anonymous access"
            raise FetchFailed(f"{self._reference} refuses {known} (status {status}): check the pull secret")
        if status == 429 or status >= 500:
            raise _TryAgain(f"status {status}")
        if status != 200:
            raise FetchFailed(f"{self._reference} answered with status {status}")

    async def _authenticate(self, headers: list[str]) -> None:
        challenges = [challenge for header in headers if (challenge := parse_challenge(header))]
        for challenge in challenges:
            if challenge.scheme == "bearer":
                self._authorization = f"Bearer {await self._token(challenge)}"
                return
            if challenge.scheme == "basic" and self._credential.username:
                self._authorization = self._basic()
                return

    def _basic(self) -> str:
        pair = f"{self._credential.username}:{self._credential.password}"
        return "Basic " + base64.b64encode(pair.encode()).decode()

    async def _token(self, challenge: Challenge) -> str:
        url = self._token_address(challenge)
        headers = {"Authorization": self._basic()} if self._credential.username else {}
        async with self._client.ask("GET", url, headers, silent_seconds=SILENT_SECONDS, follow=True) as response:
            if response.status == 429 or response.status >= 500:
                raise _TryAgain(f"its token service answered with status {response.status}")
            if response.status != 200:
                raise FetchFailed(
                    f"the token service of {self._reference} refuses (status {response.status}): check the pull secret"
                )
            body = _document(await response.read(_MAX_ANSWER_BYTES))
        token = body.get("token") or body.get("access_token") if isinstance(body, dict) else None
        if not isinstance(token, str) or len(token) > _MAX_TOKEN_BYTES:
            raise FetchFailed(f"the token service of {self._reference} answered without a token")
        return token

    def _token_address(self, challenge: Challenge) -> str:
        try:
            secure = address_of(challenge.realm).origin.secure
        except NoAddress:
            secure = False
        if not secure and (self._reference.secure or not challenge.realm.startswith("http://")):
            raise FetchFailed(f"{self._reference} names a token service without https: refused")
        realm = urlsplit(challenge.realm)
        query = dict(parse_qsl(realm.query, keep_blank_values=True))
        query |= {name: value for name, value in challenge.parameters.items() if name in ("service", "scope")}
        query.setdefault("scope", f"repository:{self._reference.repository}:pull")
        return urlunsplit(realm._replace(query=urlencode(query)))


def _document(content: bytes) -> Any:
    """None: it is no JSON."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _text(error: BaseException) -> str:
    """What happened, without the address: a redirect's query may carry a signature."""
    if isinstance(error, _TryAgain):
        return str(error)
    if isinstance(error, CannotConnect):
        return str(error)
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return type(error).__name__
