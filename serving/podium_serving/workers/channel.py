"""Questions and answers between the supervisor and one worker, over a socket pair. Both ends may ask."""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Self

from podium_serving.frames import Frames, framed
from podium_serving.swap.faults import failure_of
from podium_serving.swap.tasks import TaskSet
from podium_serving.workers.messages import Message, Packet, Refusal, packet_bytes, read_packet

logger = logging.getLogger(__name__)


class Refused(Exception):
    """The other end could not do what was asked. `reason` is the word that swap.faults judges by."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(reason, message)
        self.reason = reason
        self.message = message

    def __str__(self) -> str:
        return self.message


class Gone(Exception):
    """The other process ended, or closed its end."""


class Channel(asyncio.Protocol):
    """Made by `over`. `lost` is called once when the other end is gone."""

    def __init__(self, answer: Callable[[Message], Awaitable[Message]], lost: Callable[[], None]) -> None:
        self._answer = answer
        self._lost = lost
        self._frames = Frames()
        self._number = 0
        self._asked: dict[int, asyncio.Future[Message]] = {}
        self._answering = TaskSet("answering another process of this pod")
        self._transport: asyncio.WriteTransport | None = None

    @classmethod
    async def over(
        cls, end: socket.socket, answer: Callable[[Message], Awaitable[Message]], lost: Callable[[], None]
    ) -> Self:
        channel = cls(answer, lost)
        await asyncio.get_running_loop().create_unix_connection(lambda: channel, sock=end)
        return channel

    async def ask(self, question: Message, limit_seconds: float | None = None) -> Message:
        """The answer. Raises Refused, Gone, or TimeoutError after `limit_seconds`."""
        if self._transport is None or self._transport.is_closing():
            raise Gone
        self._number += 1
        number = self._number
        future = self._asked[number] = asyncio.get_running_loop().create_future()
        self._send(Packet(number, False, question))
        try:
            async with asyncio.timeout(limit_seconds):
                answer: Message = await future
        finally:
            self._asked.pop(number, None)
        if isinstance(answer, Refusal):
            raise Refused(answer.reason, answer.message)
        return answer

    async def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()
        await self._answering.cancel()

    def _send(self, packet: Packet) -> None:
        if self._transport is not None:
            self._transport.write(framed(packet_bytes(packet)))

    async def _answered(self, number: int, question: Message) -> None:
        try:
            answer = await self._answer(question)
        except Exception as error:
            failure = failure_of(error, "")
            if failure.reason == "PreparationFailed":
                logger.exception("%s failed", type(question).__name__)
            answer = Refusal(failure.reason, failure.message)
        self._send(Packet(number, True, answer))

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        for content in self._frames.fed(data):
            packet = read_packet(content)
            if not packet.answers:
                self._answering.run(self._answered(packet.number, packet.message))
            elif (future := self._asked.get(packet.number)) is not None and not future.done():
                future.set_result(packet.message)

    def connection_lost(self, exc: Exception | None) -> None:
        for future in self._asked.values():
            if not future.done():
                future.set_exception(Gone())
        self._lost()
