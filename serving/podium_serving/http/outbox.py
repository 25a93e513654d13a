"""Answers of one run of the model go out together: written first, counted and captured afterwards.

A client that has its answer thinks while the others get theirs, and all of them are back for the next run: written one by
one, each behind the bookkeeping of the one before, only half of them would be.
"""

import asyncio
import logging
from typing import Protocol

from podium_serving.exchange import Answer, InferRequest
from podium_serving.http.exchanges import Exchange

logger = logging.getLogger(__name__)


class Client(Protocol):
    """Whose connection it is."""

    def write(self, exchange: Exchange, response: bytes, close: bool) -> None:
        """Sends `response`. `close`: the connection ends with it."""

    def told(self, outgoing: "Outgoing") -> None:
        """Its response is on the wire."""


class Outgoing:
    """A response that is ready."""

    def __init__(
        self,
        connection: Client,
        exchange: Exchange,
        request: InferRequest,
        answer: Answer,
        response: bytes,
        close: bool,
    ) -> None:
        self.connection = connection
        self.exchange = exchange
        self.request = request
        self.answer = answer
        self.response = response
        self.close = close


class Outbox:
    """Of one port. Whatever is put here is written before the loop looks at its sockets again."""

    def __init__(self) -> None:
        self._waiting: list[Outgoing] = []

    def put(self, outgoing: Outgoing) -> None:
        """Sends it, with those that wait, unless others of its run are still to come."""
        run = outgoing.answer.texts
        self._waiting.append(outgoing)
        if run is None or outgoing.answer.row + 1 == run.rows:
            self.send()
        elif len(self._waiting) == 1:
            # Should the last of the run be nobody's any more, or a call of another protocol.
            asyncio.get_running_loop().call_soon(self.send)

    def send(self) -> None:
        waiting, self._waiting = self._waiting, []
        written = [outgoing for outgoing in waiting if _write(outgoing)]
        for outgoing in written:
            try:
                outgoing.connection.told(outgoing)
            except Exception:  # the others are to be counted, too
                logger.exception("request %.128r was answered and not counted", outgoing.request.request_id)


def _write(outgoing: Outgoing) -> bool:
    """False: its client is gone."""
    if outgoing.exchange.disconnected:
        return False
    try:
        outgoing.connection.write(outgoing.exchange, outgoing.response, outgoing.close)
    except Exception:  # the others are to be answered, too
        logger.exception("request %.128r could not be answered", outgoing.request.request_id)
        return False
    return True
