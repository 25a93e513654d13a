"""The other pods of the deployment, as a client of their control ports: what they committed, their files, commits for them.

A peer's word is believed only as far as it is signed or hashed: envelopes are opened with the operator's public key, files
checked by content. What is not (`preparing_epoch`) can delay this pod, never change its answers.
"""

import asyncio
import logging
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from pydantic import ValidationError

from podium_crds.plan import Envelope, PeerState
from podium_serving.web.client import Client
from podium_serving.web.link import CannotConnect

logger = logging.getLogger(__name__)

MAX_ANSWER_BYTES = 4 * 1024 * 1024
"""Of an answer that is read whole. One beyond it is cut, and then is no valid answer."""
_SHORT_SECONDS = 2.0
_SILENT_SECONDS = 10.0
_AT_ONCE = 16
_LOOKUP_SECONDS = 5.0
_HAND_ON_ATTEMPTS = 3
HAND_ON_PEERS = 32
"""Peers that a commit is handed to. Each of them hands it on, so more would multiply the messages, not the reach."""
_CHUNK_BYTES = 256 * 1024

T = TypeVar("T")
Resolve = Callable[[str, int], Coroutine[Any, Any, list[str]]]


class PeersUnknown(Exception):
    """The peers' name did not resolve: there may be peers or none."""


class PeerFailed(Exception):
    """The peer did not give what was asked for."""


@dataclass(frozen=True, slots=True)
class PeerAnswers:
    """One round of asking. `silent`: peers that did not answer, so what they hold is unknown."""

    states: tuple[PeerState, ...] = ()
    silent: int = 0


async def resolve(host: str, port: int) -> list[str]:
    """All addresses of `host`; none if the name does not exist. Raises PeersUnknown when nobody could say."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        # A headless Service without pods has no addresses, and is known not to.
        if error.errno in (socket.EAI_NONAME, socket.EAI_NODATA):
            return []
        raise PeersUnknown(f"{host} did not resolve: {error}") from error
    return sorted({str(address[0]) for *_, address in found})


class Peers:
    """All pods behind the comma-separated `hosts`, but this one (`own_address`)."""

    def __init__(
        self,
        client: Client,
        hosts: str,
        port: int,
        token: str,
        own_address: str,
        resolve: Resolve = resolve,
    ) -> None:
        self._client = client
        self._hosts = [host.strip() for host in hosts.split(",") if host.strip()]
        self._port = port
        self._headers = {"Authorization": f"Bearer {token}", "Accept-Encoding": "identity"}
        self._own_address = own_address
        self._resolve = resolve
        self._lookups: dict[str, asyncio.Task[list[str]]] = {}

    async def addresses(self) -> list[str]:
        """In random order, so that no peer serves everybody. Raises PeersUnknown."""
        found = await asyncio.gather(*(self._lookup(host) for host in self._hosts))
        addresses = sorted({address for group in found for address in group} - {self._own_address})
        random.shuffle(addresses)
        return addresses

    async def ask(self, addresses: Sequence[str]) -> PeerAnswers:
        """What the peers at `addresses` hold. Never raises for a peer's fault."""
        results = await _bounded([partial(self._state, address) for address in addresses])
        states = tuple(result for result in results if isinstance(result, PeerState))
        return PeerAnswers(states, len(results) - len(states))

    async def hand_on(self, commit: Envelope) -> None:
        """Gives a signed commit to the peers. One that cannot be reached learns from others, or by asking later."""
        try:
            addresses = await self.addresses()
        except PeersUnknown as error:
            logger.warning("the commit is not handed on: %s", error)
            return
        body = commit.model_dump_json().encode()
        await _bounded([partial(self._post_commit, address, body) for address in addresses[:HAND_ON_PEERS]])

    @asynccontextmanager
    async def blob(self, address: str, hex_digest: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """The chunks of a file. Raises PeerFailed."""
        url = self._url(address, f"/peer/v1/blobs/{hex_digest}")
        try:
            async with self._client.ask("GET", url, self._headers, silent_seconds=_SILENT_SECONDS) as response:
                if response.status != 200:
                    raise PeerFailed(f"peer {address} answered with status {response.status}")
                yield response.chunks(_CHUNK_BYTES)
        except (TimeoutError, ConnectionError) as error:
            raise PeerFailed(f"peer {address}: {type(error).__name__}") from error

    async def _lookup(self, host: str) -> list[str]:
        """One at a time per name: each holds a thread for as long as the resolver tries, and files are hashed in those."""
        running = self._lookups.get(host)
        if running is None:
            running = self._lookups[host] = asyncio.create_task(self._resolve(host, self._port))
            running.add_done_callback(lambda done: self._looked_up(host, done))
        finished, _ = await asyncio.wait({running}, timeout=_LOOKUP_SECONDS)
        if not finished:
            raise PeersUnknown(f"{host} did not resolve within {_LOOKUP_SECONDS:.0f} s")
        return running.result()

    def _looked_up(self, host: str, lookup: asyncio.Task[list[str]]) -> None:
        del self._lookups[host]
        if not lookup.cancelled():
            lookup.exception()  # Read here: those who asked may have given up.

    async def _state(self, address: str) -> PeerState | None:
        url = self._url(address, "/peer/v1/state")
        try:
            async with asyncio.timeout(_SHORT_SECONDS), self._client.ask("GET", url, self._headers) as response:
                if response.status != 200:
                    logger.warning("peer %s answered with status %d when asked for its state", address, response.status)
                    return None
                return PeerState.model_validate_json(await response.read(MAX_ANSWER_BYTES))
        except (TimeoutError, ConnectionError, ValidationError) as error:
            if isinstance(error, CannotConnect) and error.refused:
                # No process listens: it is starting or gone, and what a pod holds does not outlive its process.
                return PeerState()
            logger.info("peer %s did not tell its state: %s", address, type(error).__name__)
            return None

    async def _post_commit(self, address: str, body: bytes) -> None:
        url = self._url(address, "/peer/v1/commit")
        headers = self._headers | {"Content-Type": "application/json"}
        for attempt in range(1, _HAND_ON_ATTEMPTS + 1):
            try:
                async with asyncio.timeout(_SHORT_SECONDS), self._client.ask("POST", url, headers, body) as response:
                    if response.status < 500:
                        return
                    problem = f"status {response.status}"
            except (TimeoutError, ConnectionError) as error:
                problem = type(error).__name__
            if attempt < _HAND_ON_ATTEMPTS:
                await asyncio.sleep(0.2 * attempt)
        logger.info("peer %s did not take the commit: %s", address, problem)

    def _url(self, address: str, path: str) -> str:
        host = f"[{address}]" if ":" in address else address
        return f"http://{host}:{self._port}{path}"


async def _bounded(calls: Sequence[Callable[[], Awaitable[T]]]) -> list[T]:
    slots = asyncio.Semaphore(_AT_ONCE)

    async def one(call: Callable[[], Awaitable[T]]) -> T:
        async with slots:
            return await call()

    return list(await asyncio.gather(*(one(call) for call in calls)))
