"""Where one fetch gets its bytes from: the cache, some peers, the registry, and when that fails the other peers.

A wrong answer of a peer is a missing answer: only the registry can prove that a version is not what its digest says.
"""

import logging
from collections.abc import AsyncIterator

from podium_crds.package import FileEntry, sha256_digest
from podium_serving.background import in_background
from podium_serving.fetch.cache import Cache
from podium_serving.fetch.contents import MAX_MANIFEST_BYTES
from podium_serving.fetch.errors import DigestMismatch, FetchFailed, PackageError
from podium_serving.fetch.peers import PeerFailed, Peers, PeersUnknown
from podium_serving.fetch.references import hex_of
from podium_serving.fetch.registry import Registry

logger = logging.getLogger(__name__)

PEERS_FIRST = 5
"""Peers that are asked before the registry: in a swap no peer has the new version, and each question takes a while."""


class Sources:
    """For one package. A peer that failed once is not asked again."""

    def __init__(self, cache: Cache, registry: Registry, peers: Peers | None) -> None:
        self._cache = cache
        self._registry = registry
        self._peers = peers
        self._first: list[str] = []
        self._rest: list[str] = []
        self._resolved = False

    async def manifest(self, digest: str) -> bytes:
        """The manifest's bytes, with the right digest if a peer or the cache gave them, unchecked from the registry."""
        cached = self._cache.read(digest, MAX_MANIFEST_BYTES)
        if cached is not None:
            return cached
        await self._resolve()
        content = await self._manifest_from(self._first, digest)
        if content is None:
            try:
                content = await self._registry.manifest(digest)
            except PackageError:
                content = await self._manifest_from(self._rest, digest)
                if content is None:
                    raise
        await in_background(self._cache.write, digest, content)
        return content

    async def file(self, entry: FileEntry) -> None:
        """Brings a file into the cache, checked."""
        if await in_background(self._cache.holds, entry):
            return
        await self._resolve()
        if await self._file_from(self._first, entry):
            return
        try:
            await self._registry.blob(entry.digest, lambda chunks: self._receive(entry, chunks))
        except PackageError:
            if not await self._file_from(self._rest, entry):
                raise

    async def _resolve(self) -> None:
        if self._resolved or self._peers is None:
            return
        self._resolved = True
        try:
            addresses = await self._peers.addresses()
        except PeersUnknown as error:
            logger.warning("no peer is asked for files: %s", error)
            return
        self._first, self._rest = addresses[:PEERS_FIRST], addresses[PEERS_FIRST:]

    async def _manifest_from(self, addresses: list[str], digest: str) -> bytes | None:
        for address in list(addresses):
            try:
                content = await self._small(address, digest)
            except (PeerFailed, DigestMismatch) as error:
                _give_up(addresses, address, digest, error)
            else:
                return content
        return None

    async def _small(self, address: str, digest: str) -> bytes:
        assert self._peers is not None
        content = b""
        async with self._peers.blob(address, hex_of(digest)) as chunks:
            async for chunk in chunks:
                content += chunk
                if len(content) > MAX_MANIFEST_BYTES:
                    break
        if (got := sha256_digest(content)) != digest:
            raise DigestMismatch(f"the content's digest is {got}, wanted {digest}")
        return content

    async def _file_from(self, addresses: list[str], entry: FileEntry) -> bool:
        for address in list(addresses):
            try:
                assert self._peers is not None
                async with self._peers.blob(address, hex_of(entry.digest)) as chunks:
                    await self._receive(entry, chunks)
            except (PeerFailed, FetchFailed, DigestMismatch) as error:
                _give_up(addresses, address, entry.digest, error)
            else:
                return True
        return False

    async def _receive(self, entry: FileEntry, chunks: AsyncIterator[bytes]) -> None:
        with self._cache.receive(entry.digest, entry.size) as arriving:
            async for chunk in chunks:
                # In a thread: hashing 256 KiB takes longer than a request may be delayed.
                await in_background(arriving.write, chunk)


def _give_up(addresses: list[str], address: str, digest: str, error: Exception) -> None:
    logger.info("peer %s does not give %s: %s", address, digest, error)
    if address in addresses:  # Files are fetched side by side: another one may have been quicker.
        addresses.remove(address)
