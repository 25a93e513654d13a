"""The client: connections that are kept for a while, redirects, proxies.

Apart from `traffic.wire`, which forwards requests of clients and must cost next to nothing, because this one speaks to
strangers: it knows TLS, redirects, proxies, and bodies of any length, and nobody waits for it. A general library does all
that, too, and is 10 MB in every pod. No cookies, no compression, no HTTP/2.

What is asked through it must bear being asked twice: over a kept connection that turns out to have ended, it is.
"""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

from podium_serving import __version__
from podium_serving.web.addresses import Address, NoAddress, Origin, Proxy, address_of, redirected, request_head
from podium_serving.web.link import Body, BrokenReply, CannotConnect, Link, Reply
from podium_serving.web.proxies import proxy_for

_IDLE_SECONDS = 15.0
"""A connection is kept so long after its last answer: shorter than what servers keep theirs."""
_MOST_IDLE = 8
_MOST_REDIRECTS = 10
_REDIRECTS = {301, 302, 303, 307, 308}


class Client:
    """Raises ConnectionError or TimeoutError from whatever it is asked, and ValueError for what is no address."""

    def __init__(self, *, proxied: bool = False, connect_seconds: float = 5.0) -> None:
        """`proxied`: the environment's proxies are used."""
        self._proxied = proxied
        self._connect_seconds = connect_seconds
        self._idle: dict[Origin, list[Link]] = {}
        self._context: ssl.SSLContext | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Drops the idle connections. Nothing may be under way."""
        for links in self._idle.values():
            for link in links:
                link.abort()
        self._idle.clear()
        await asyncio.sleep(0)  # a socket is closed in the turn after its connection was dropped

    @asynccontextmanager
    async def ask(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        body: Body = b"",
        *,
        silent_seconds: float = 20.0,
        follow: bool = False,
    ) -> AsyncIterator[Reply]:
        """The answer, when its head has arrived. `follow`: where redirects lead."""
        address, sent = address_of(url), dict(headers or {})
        left = _MOST_REDIRECTS if follow else 0
        while True:
            link, reply = await self._asked(method, address, sent, body, silent_seconds)
            try:
                if not left or reply.status not in _REDIRECTS or not reply.header("location"):
                    yield reply
                    return
                address, sent = redirected(address, reply.header("location"), sent)
            except NoAddress as error:
                raise BrokenReply("the answer leads to what is no address") from error
            finally:
                self._put_back(link)
            left -= 1

    async def _asked(
        self, method: str, address: Address, headers: Mapping[str, str], body: Body, silent_seconds: float
    ) -> tuple[Link, Reply]:
        proxy = proxy_for(address.origin, os.environ) if self._proxied else None
        head = _head(method, address, headers, body, proxy)
        fresh = False
        while True:
            link = await self._link(address.origin, proxy, fresh=fresh)
            try:
                return link, await link.exchange(method, head, body, silent_seconds)
            except BaseException as error:
                link.abort()
                if not (isinstance(error, ConnectionError) and link.used and link.untouched):
                    raise
                fresh = True  # it ended while it was idle

    async def _link(self, origin: Origin, proxy: Proxy | None, *, fresh: bool) -> Link:
        kept = self._idle.get(origin, [])
        while kept and not fresh:
            link = kept.pop()
            if link.reusable:
                return link
            link.abort()
        if proxy is None:
            return await Link.open(origin, await self._tls(origin), self._connect_seconds)
        link = await Link.open(proxy.origin, await self._tls(proxy.origin), self._connect_seconds)
        link.origin = origin
        if origin.secure:
            await self._tunnel(link, origin, proxy)
        return link

    async def _tunnel(self, link: Link, origin: Origin, proxy: Proxy) -> None:
        host = f"[{origin.host}]" if ":" in origin.host else origin.host
        target = f"{host}:{origin.port}"
        headers = {"Host": target} | ({"Proxy-Authorization": proxy.authorization} if proxy.authorization else {})
        try:
            reply = await link.exchange("CONNECT", request_head("CONNECT", target, headers), b"", self._connect_seconds)
            if reply.status != 200:
                raise CannotConnect(f"cannot connect to {target} (the proxy answers {reply.status})")
            await link.secure(await self._secure_context(), origin.host, self._connect_seconds)
        except BaseException:
            link.abort()
            raise

    async def _tls(self, origin: Origin) -> ssl.SSLContext | None:
        return await self._secure_context() if origin.secure else None

    async def _secure_context(self) -> ssl.SSLContext:
        """Made at its first use, in a thread: reading the machine's certificates takes a while, and memory."""
        if self._context is None:
            self._context = await asyncio.to_thread(ssl.create_default_context)
        return self._context

    def _put_back(self, link: Link) -> None:
        kept = self._idle.get(link.origin, [])
        if not link.reusable or len(kept) >= _MOST_IDLE:
            link.abort()
            return
        link.used = True
        self._idle[link.origin] = [*kept, link]
        asyncio.get_running_loop().call_later(_IDLE_SECONDS, self._expire, link, link.exchanges)

    def _expire(self, link: Link, exchanges: int) -> None:
        """Unless it was used since."""
        kept = self._idle.get(link.origin, [])
        if link.exchanges == exchanges and link in kept:
            kept.remove(link)
            link.abort()
            if not kept:
                del self._idle[link.origin]


def _head(method: str, address: Address, headers: Mapping[str, str], body: Body, proxy: Proxy | None) -> bytes:
    plain = {"Host": address.origin.authority, "User-Agent": f"podium/{__version__}", "Accept": "*/*"}
    if body or method in ("POST", "PUT"):
        plain["Content-Length"] = str(len(body))
    target = address.target
    if proxy is not None and not address.origin.secure:
        target = address.absolute
        if proxy.authorization:
            plain["Proxy-Authorization"] = proxy.authorization
    return request_head(method, target, plain | dict(headers))
