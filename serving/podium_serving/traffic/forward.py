"""One exchange with another pod's forward port: the client's own bytes out, the pod's own bytes back, checked.

Nothing is retried here, and nothing here decides who answers. Time is bounded by the caller's budget: the whole exchange,
so a pod that hangs and one that drips its answer byte by byte are cut off alike.
"""

import asyncio
import io
import time
from dataclasses import dataclass
from typing import Any

import aiohttp
import numpy as np

from podium_serving.exchange import Columns, Fallback, InferRequest, InvalidRequest
from podium_serving.http.requests import header_safe
from podium_serving.oip.codec import Codec

_KEEP_ALIVE_SECONDS = 30.0
"""Shorter than the 75 s of our own server, so that we are the one who closes an idle connection."""
_WARNED_BODY_BYTES = 1024 * 1024
"""aiohttp warns when more than this is handed over as bytes; a stream is written in pieces."""
_ERROR_BYTES = 4096


class ForwardFailed(Exception):
    """The other pod gave no usable answer. `status` is its HTTP status if there was one; str() says what happened."""

    def __init__(self, reason: Fallback, text: str, status: int | None = None, retry_after: str = "") -> None:
        super().__init__(text)
        self.reason = reason
        self.status = status
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Errand:
    """What is asked, and of whom: `version` of `model`, in the name of `arm`."""

    model: str
    version: str
    arm: str
    max_answer_bytes: int
    finite: bool = True
    """Refuse an answer with a null or infinite number. The champion's own are relayed as they are."""
    mirror: bool = False


@dataclass(slots=True)
class Forwarded:
    """A checked answer. `body` is relayed as it came; `columns` are what it says."""

    body: bytes
    columns: Columns
    queue_seconds: float
    inference_seconds: float


class Peer:
    """The forward port behind one Service host. Connects when it must and keeps connections for the next request."""

    def __init__(self, host: str, port: int, token: str) -> None:
        self._origin = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        self._authorization = f"Bearer {token}"
        self._pooled: aiohttp.ClientSession | None = None
        self._fresh: aiohttp.ClientSession | None = None

    async def ask(
        self, errand: Errand, request: InferRequest, codec: Codec, seconds: float, *, fresh: bool = False
    ) -> Forwarded:
        """The other pod's answer within `seconds`. Raises ForwardFailed.

        `fresh` takes a new connection: a pooled one may lead to a pod that has just gone.
        """
        try:
            async with asyncio.timeout(seconds):
                return await self._exchange(errand, request, codec, seconds, fresh=fresh)
        except TimeoutError as error:
            raise ForwardFailed(Fallback.TIMEOUT, f"{self._origin} gave no answer within {seconds * 1000:.0f} ms") from error
        except ForwardFailed:
            raise
        except Exception as error:  # whatever another pod manages to provoke here must not fail the client's request
            raise ForwardFailed(Fallback.ERROR, f"{self._origin}: {error!r}") from error

    async def _exchange(
        self, errand: Errand, request: InferRequest, codec: Codec, seconds: float, *, fresh: bool
    ) -> Forwarded:
        body: bytes | io.BytesIO = request.body if len(request.body) < _WARNED_BODY_BYTES else io.BytesIO(request.body)
        async with self._session(fresh=fresh).post(
            f"{self._origin}/v2/models/{errand.model}/versions/{errand.version}/infer",
            data=body,
            headers=self._headers(errand, request, seconds),
            allow_redirects=False,
        ) as response:
            if response.status != 200:
                text = (await response.content.read(_ERROR_BYTES)).decode(errors="replace")
                raise ForwardFailed(Fallback.ERROR, text, response.status, response.headers.get("Retry-After", ""))
            answer = await self._read(response, errand.max_answer_bytes)
        columns = checked_columns(answer, response.headers.get("Podium-Version", ""), errand, request, codec)
        return Forwarded(answer, columns, _micros(response, "Queue"), _micros(response, "Inference"))

    def _session(self, *, fresh: bool) -> aiohttp.ClientSession:
        if fresh:
            self._fresh = self._fresh or _session(aiohttp.TCPConnector(limit=0, force_close=True, ttl_dns_cache=5))
            return self._fresh
        self._pooled = self._pooled or _session(
            aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE_SECONDS, ttl_dns_cache=30)
        )
        return self._pooled

    def _headers(self, errand: Errand, request: InferRequest, seconds: float) -> dict[str, str]:
        headers = {
            "Authorization": self._authorization,
            "Content-Type": request.content_type,
            "Podium-Deadline-Milliseconds": str(max(1, int(seconds * 1000))),
            "Podium-Request-Id": header_safe(request.request_id),
            "Podium-Arm": errand.arm,
        }
        if errand.mirror:
            headers["Podium-Mirror"] = "1"
        return headers

    async def _read(self, response: aiohttp.ClientResponse, limit: int) -> bytes:
        parts: list[bytes] = []
        size = 0
        async for part in response.content.iter_any():
            parts.append(part)
            size += len(part)
            if size > limit:
                raise ForwardFailed(Fallback.BAD_ANSWER, f"{self._origin} answered with more than {limit} bytes")
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def close(self) -> None:
        for session in (self._pooled, self._fresh):
            if session is not None:
                await session.close()


def _session(connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
        auto_decompress=False,  # we ask for no compression; a small answer must not unpack to a large one
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
    )


def checked_columns(body: bytes, version: str, errand: Errand, request: InferRequest, codec: Codec) -> Columns:
    """The outputs that `body` holds: exactly those asked for, of the schema's datatypes and shapes, a row per row of the
    request, and finite where the errand asks for it. Raises ForwardFailed with BAD_ANSWER."""
    if version != errand.version:
        raise ForwardFailed(Fallback.BAD_ANSWER, f"the answer is of version {version!r}, {errand.version!r} was asked")
    try:
        columns = codec.decode_answer(body, request.rows)
    except InvalidRequest as error:
        raise ForwardFailed(Fallback.BAD_ANSWER, str(error)) from error
    asked = set(request.wanted_outputs) or codec.outputs.keys()
    if columns.keys() != asked:
        raise ForwardFailed(Fallback.BAD_ANSWER, f"the answer holds {sorted(columns)}, {sorted(asked)} were asked")
    for name, column in columns.items():
        if errand.finite and column.dtype.kind == "f" and not np.isfinite(column).all():
            raise ForwardFailed(Fallback.BAD_ANSWER, f"output '{name}' holds a null or an infinite number")
    return columns


def _micros(response: aiohttp.ClientResponse, what: str) -> float:
    text: Any = response.headers.get(f"Podium-{what}-Microseconds", "")
    return int(text) / 1e6 if text.isascii() and text.isdigit() else 0.0


def left_until(deadline: float) -> float:
    """Seconds from now to `deadline` (monotonic); negative when it has passed."""
    return deadline - time.monotonic()
