"""One running hook process as the server sees it: its start, one call at a time over a socket, its end.

A protocol of its own and no streams: a call waits for two switches between processes, and everything in the loop adds to it.
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from podium_crds.package import TRANSFORM_FILE
from podium_serving import processes
from podium_serving.exchange import HookFailed
from podium_serving.frames import Frames
from podium_serving.model.wire import Reply, read_reply

_KEPT_ENVIRONMENT = (
    *("PATH", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "LD_LIBRARY_PATH"),
    *("HOME", "USER", "LANG", "LC_ALL", "TMPDIR", "TZ"),
)
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_STDERR = 2
END_SECONDS = 1.0
"""A process that closed its socket is about to end: so long its exit code is waited for."""

Heard = Callable[["HookChild", Reply | None], None]
"""What is told of each reply; None: the process is no more."""


class HookChild(asyncio.Protocol):
    """Made by `start`. Everything happens in the loop's thread."""

    def __init__(self) -> None:
        self.hooks: frozenset[str] = frozenset()
        """The hooks that transform.py has."""
        self.started_at = time.monotonic()
        self._frames = Frames()
        self._first: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._process: asyncio.subprocess.Process | None = None
        self._transport: asyncio.WriteTransport | None = None
        self._heard: Heard | None = None

    @classmethod
    async def start(cls, path: Path, threads: int, limit_seconds: float) -> Self:
        """A process that has imported transform.py. Raises HookFailed saying why it has not; nothing is left then."""
        child = cls()
        try:
            await child._spawn(path, threads)
            async with asyncio.timeout(limit_seconds):
                first = await child._first
        except TimeoutError as error:
            await child.stop()
            raise HookFailed(f"{TRANSFORM_FILE} was not imported within {limit_seconds:g} s") from error
        except EOFError as error:
            code = await child.stop(END_SECONDS)
            raise HookFailed(f"the process of {TRANSFORM_FILE} died while importing it, exit code {code}") from error
        except BaseException:
            await child.stop()
            raise
        if first.error:
            await child.stop()
            raise HookFailed(first.error)
        child.hooks = frozenset(first.hooks)
        return child

    @property
    def pid(self) -> int:
        assert self._process is not None, "started"
        return self._process.pid

    def listen(self, heard: Heard) -> None:
        """`heard` is called for each reply from now on, and once when the process ends unasked."""
        self._heard = heard

    def send(self, frame: bytes) -> None:
        if self._transport is not None:
            self._transport.write(frame)

    async def stop(self, patience_seconds: float = 0.0) -> int | None:
        """Kills it and what it started: user code has no state worth waiting for.

        The exit code of one that ended by itself, within `patience_seconds`; else None.
        """
        self._heard = None
        if self._transport is not None:
            self._transport.abort()
        process = self._process
        if process is None:
            return None
        try:
            if patience_seconds:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(process.wait(), patience_seconds)
            code = process.returncode
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        processes.ended(process.pid)
        return code

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        try:
            replies = [read_reply(message) for message in self._frames.fed(data)]
        except ValueError:
            # Whatever writes this is not our program any more. Its end is told like any other.
            assert self._transport is not None, "connected"
            self._transport.abort()
            return
        for reply in replies:
            if not self._first.done():
                self._first.set_result(reply)
            elif self._heard is not None:
                self._heard(self, reply)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._first.done():
            self._first.set_exception(EOFError())
            self._first.exception()  # `start` may have given up
        heard, self._heard = self._heard, None
        if heard is not None:
            heard(self, None)

    async def _spawn(self, path: Path, threads: int) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "podium_serving.model.hook_process", str(theirs.fileno()), str(path)),
                    pass_fds=(theirs.fileno(),),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=_STDERR,  # standard output belongs to the access log
                    env=_environment(threads),
                    start_new_session=True,
                )
            except BaseException:
                ours.close()
                raise
        processes.own(self._process.pid)
        await asyncio.get_running_loop().create_unix_connection(lambda: self, sock=ours)


def _environment(threads: int) -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
    return kept | {name: os.environ.get(name, str(threads)) for name in _THREADS}
