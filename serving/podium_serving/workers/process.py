"""One worker as the supervisor sees it: its process, the channel to it, its end."""

import asyncio
import contextlib
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Self

from podium_serving import processes
from podium_serving.workers.channel import Channel
from podium_serving.workers.messages import Message
from podium_serving.workers.words import Words


class WorkerProcess:
    """Made by `start`."""

    def __init__(self, number: int, process: asyncio.subprocess.Process) -> None:
        self.number = number
        self.started_at = time.monotonic()
        self.gone = asyncio.Event()
        """The channel is closed: the process ends, or can be told nothing any more."""
        self._process = process
        self.channel: Channel

    @classmethod
    async def start(
        cls, number: int, command: Sequence[str], words: Words, answer: Callable[[Message], Awaitable[Message]]
    ) -> Self:
        """`command` is what podium_serving is told; `answer` answers what the worker asks. Raises OSError."""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "podium_serving", *command, "--number", str(number)),
                    *("--channel", str(theirs.fileno()), "--words", str(words.descriptor)),
                    pass_fds=(theirs.fileno(), words.descriptor),
                    stdin=asyncio.subprocess.DEVNULL,
                    start_new_session=True,  # Ctrl-C is for the supervisor, who ends the workers in order
                )
            except BaseException:
                ours.close()
                raise
        processes.own(process.pid)
        worker = cls(number, process)
        worker.channel = await Channel.over(ours, answer, worker.gone.set)
        return worker

    @property
    def pid(self) -> int:
        return self._process.pid

    def terminate(self) -> None:
        """Begins its drain."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def ended(self, limit_seconds: float) -> int | None:
        """Its exit code, after at most `limit_seconds`; then it is killed."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), limit_seconds)
        code = self._process.returncode
        self.kill()
        await self._process.wait()
        processes.ended(self.pid)
        await self.channel.close()
        return code
