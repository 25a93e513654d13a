"""Brings what a version was trained on to the collector: podium.yaml, profile.json and reference.parquet of its package.

The monitor compares today's rows with those, and reads no registry: a pod holds the package anyway. Once per version and
process, in the background; whoever of several pods comes first brings it, for the others find it there. podium.yaml is
sent last: with it the reference is whole.
"""

import asyncio
import logging
import mmap
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from podium_crds.package import DESCRIPTOR_FILE, PROFILE_FILE, REFERENCE_FILE
from podium_crds.plan import Plan
from podium_serving.capture.sender import source_headers
from podium_serving.settings import Settings
from podium_serving.web.addresses import address_of
from podium_serving.web.client import Client
from podium_serving.web.link import Reply

logger = logging.getLogger(__name__)

FILES = (PROFILE_FILE, REFERENCE_FILE, DESCRIPTOR_FILE)
"""In the order in which they are sent."""
_REFUSED_FOR_GOOD = {400, 405, 409, 411, 413, 414, 415, 422}
"""The same bytes will be refused again. Anything else may pass: credentials are replaced, a collector learns this path."""
_chance = secrets.SystemRandom()


@dataclass(frozen=True)
class ReferenceLimits:
    first_pause_seconds: float = 2.0
    """Before the first question, and then twice as long after each that failed: a starting pod has better things to do."""
    longest_pause_seconds: float = 300.0
    silent_seconds: float = 30.0
    """The collector reads a file whole before it answers."""


class Refused(Exception):
    """For good. The text says by what."""


class Later(Exception):
    """Not now. The text says why."""


class References:
    """Of the versions that one process serves. Use it in the event loop."""

    def __init__(self, settings: Settings, folder_of: Callable[[str], Path], limits: ReferenceLimits | None = None) -> None:
        """`folder_of` says where the package of a digest lies; it may be gone."""
        self._pool = settings.pool
        self._authorized = bool(settings.secrets.capture_token)
        self._headers = source_headers(settings)
        self._folder_of = folder_of
        self._limits = limits or ReferenceLimits()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        """By digest: those that are done stay, so that none is asked for twice."""

    def served(self, plan: Plan) -> None:
        """This process answers under `plan`. Returns at once."""
        digest, url = plan.champion.version.digest, plan.capture.url
        if url and self._authorized and plan.champion.pool == self._pool and digest not in self._tasks:
            self._tasks[digest] = asyncio.get_running_loop().create_task(
                self._bring(plan.champion.version.name, digest, url)
            )

    async def close(self) -> None:
        """What has not arrived yet is another pod's to bring."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _bring(self, version: str, digest: str, capture_url: str) -> None:
        pause, troubled = self._limits.first_pause_seconds, False
        async with Client() as client:
            while True:
                await asyncio.sleep(pause * _chance.uniform(0.5, 1.0))
                try:
                    brought = await self._brought(client, digest, reference_url(capture_url, digest))
                except (Later, OSError) as error:  # TimeoutError is an OSError
                    if not troubled:
                        logger.warning("the reference of %s waits: %s", version, str(error) or type(error).__name__)
                    troubled, pause = True, min(pause * 2, self._limits.longest_pause_seconds)
                except (Refused, ValueError) as error:  # what is no address is a ValueError
                    logger.warning("the reference of %s is not brought to the collector: %s", version, error)
                    return
                else:
                    if brought or troubled:
                        logger.info("the collector has the reference of %s", version)
                    return

    async def _brought(self, client: Client, digest: str, url: str) -> bool:
        """False: it was there. Raises Refused, Later, OSError."""
        seconds = self._limits.silent_seconds
        async with client.ask("HEAD", f"{url}/{DESCRIPTOR_FILE}", self._headers, silent_seconds=seconds) as reply:
            if reply.status == 200:
                return False
            if reply.status != 404:
                raise Later(f"{url} answers {reply.status}")
        folder = self._folder_of(digest)
        for name in FILES:
            content = await asyncio.to_thread(_mapped, folder / name)
            if content is not None:
                headers = self._headers | {"Content-Type": "application/octet-stream"}
                async with client.ask("PUT", f"{url}/{name}", headers, content, silent_seconds=seconds) as reply:
                    await _check(reply, name)
            elif name == DESCRIPTOR_FILE:
                raise Refused("its package is no longer here")
        return True


def reference_url(capture_url: str, digest: str) -> str:
    """Where the files of a version go, given where events go. Raises NoAddress."""
    return f"{address_of(capture_url).origin.url}/v1/references/{digest}"


async def _check(reply: Reply, name: str) -> None:
    """Raises Refused or Later, saying what the collector says."""
    if reply.status not in (200, 201, 204):
        said = f"{name} is answered with {reply.status}: {(await reply.read(500)).decode(errors='replace')}"
        raise Refused(said) if reply.status in _REFUSED_FOR_GOOD else Later(said)


def _mapped(path: Path) -> bytes | mmap.mmap | None:
    """The file's content, of which only what is being sent has to be in memory. None: there is no such file."""
    try:
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError:
        return None
    except ValueError:  # an empty file cannot be mapped
        return b""
