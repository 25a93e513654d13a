"""Packages for this pod: from the cache, else from peers, else from the registry; checked by content whoever gave them.

Peers first: a scale-up or a drained node must work while the registry is down. Fetches of one digest share one run, so
that a prepare that is sent again, or a commit that overtakes it, does not start a second transfer.
"""

import asyncio
from collections.abc import Collection
from pathlib import Path

from podium_crds.package import DESCRIPTOR_FILE, FileEntry
from podium_crds.plan import RegistryCredential
from podium_serving.background import in_background
from podium_serving.fetch.cache import Cache
from podium_serving.fetch.contents import Contents, read_contents
from podium_serving.fetch.errors import FetchFailed
from podium_serving.fetch.peers import Peers
from podium_serving.fetch.references import hex_of, parse_reference
from podium_serving.fetch.registry import Registry
from podium_serving.fetch.sources import Sources
from podium_serving.web.client import Client

LIMIT_SECONDS = 900.0
"""One package, all its files: 1 GB at 1.2 MB/s."""
_FILES_AT_ONCE = 3
MAX_DESCRIPTOR_BYTES = 8 * 1024 * 1024


class Packages:
    """Raises PackageError (see fetch.errors) or OSError from all that fetches."""

    def __init__(
        self,
        cache: Cache,
        client: Client,
        insecure_hosts: Collection[str] = (),
        peers: Peers | None = None,
    ) -> None:
        self.cache = cache
        self._client = client
        self._insecure_hosts = insecure_hosts
        self._peers = peers
        self._pruning: asyncio.Future[None] | None = None
        self._running: dict[tuple[str, bool], asyncio.Task[Contents]] = {}

    async def folder(self, uri: str, digest: str, credential: RegistryCredential | None = None) -> Path:
        """The package's folder with every file checked."""
        await self._shared(uri, digest, credential, whole=True)
        return self.cache.package(digest)

    async def descriptor(self, uri: str, digest: str, credential: RegistryCredential | None = None) -> bytes:
        """The bytes of podium.yaml alone: what a pod needs whose champion lies in another pool."""
        contents = await self._shared(uri, digest, credential, whole=False)
        content = self.cache.read(contents.entry(DESCRIPTOR_FILE).digest, MAX_DESCRIPTOR_BYTES)
        if content is None:
            raise FetchFailed(f"{DESCRIPTOR_FILE} of {digest} left the cache, or is over {MAX_DESCRIPTOR_BYTES} bytes long")
        return content

    async def prune(self, keep: Collection[str]) -> None:
        """Forgets all packages but `keep`, unless a fetch is running; one that begins meanwhile waits for the end of this.

        A fetch links its files at its end, and files without a link are what pruning removes.
        """
        if not self._running:
            self._pruning = asyncio.ensure_future(in_background(self.cache.prune, keep))
            await self._pruning

    async def close(self) -> None:
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _shared(self, uri: str, digest: str, credential: RegistryCredential | None, *, whole: bool) -> Contents:
        key = (digest, whole)
        task = self._running.get(key)
        if task is None:
            task = self._running[key] = asyncio.create_task(self._limited(uri, digest, credential, whole=whole))
            task.add_done_callback(lambda done: self._finished(key, done))
        # Shielded: one waiter that gives up must not end the transfer for the others.
        return await asyncio.shield(task)

    def _finished(self, key: tuple[str, bool], task: asyncio.Task[Contents]) -> None:
        del self._running[key]
        if not task.cancelled():
            task.exception()  # Read here: nobody else may be waiting any more.

    async def _limited(self, uri: str, digest: str, credential: RegistryCredential | None, *, whole: bool) -> Contents:
        try:
            async with asyncio.timeout(LIMIT_SECONDS):
                return await self._fetch(uri, digest, credential, whole=whole)
        except TimeoutError:
            raise FetchFailed(f"{uri} was not fetched within {LIMIT_SECONDS:.0f} s") from None

    async def _fetch(self, uri: str, digest: str, credential: RegistryCredential | None, *, whole: bool) -> Contents:
        if self._pruning is not None:
            await asyncio.wait({self._pruning})
        hex_of(digest)
        reference = parse_reference(uri, self._insecure_hosts)
        sources = Sources(self.cache, Registry(self._client, reference, credential), self._peers)
        contents = read_contents(digest, await sources.manifest(digest))
        if not whole:
            await sources.file(contents.entry(DESCRIPTOR_FILE))
            return contents
        slots = asyncio.Semaphore(_FILES_AT_ONCE)

        async def one(entry: FileEntry) -> None:
            async with slots:
                await sources.file(entry)

        try:
            async with asyncio.TaskGroup() as group:
                for entry in contents.files:
                    group.create_task(one(entry))
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        await in_background(self.cache.link, contents)
        return contents
