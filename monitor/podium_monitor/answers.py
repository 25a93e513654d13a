"""What the collector's routes have in common: a body within bounds, and the status that a failure means to a sender."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from fastapi import Request, Response
from starlette.requests import ClientDisconnect

from podium_crds.shares import Taken
from podium_monitor.committer import Full
from podium_monitor.credentials import Refused
from podium_monitor.events import InvalidBatch, TooLarge
from podium_monitor.refusals import refusal

logger = logging.getLogger(__name__)

BUSY_SECONDS = 1
"""Retry-After of 429."""


async def body_of(request: Request, limit: int, seconds: float) -> bytes:
    """The body as it came. Raises TooLarge beyond `limit` bytes, TimeoutError after `seconds`, ClientDisconnect."""
    body = bytearray()
    async with asyncio.timeout(seconds):
        async for part in request.stream():
            body += part
            if len(body) > limit:
                raise TooLarge(f"the body has more than {limit} bytes, send smaller ones")
    return bytes(body)


async def or_error(respond: Callable[[], Awaitable[Response]]) -> Response:
    """The response, or the status that its failure means to a sender."""
    try:
        return await respond()
    except Refused as error:
        return refusal(401, str(error))
    except InvalidBatch as error:
        return refusal(400, str(error))
    except TooLarge as error:
        return refusal(413, str(error))
    except ClientDisconnect:
        return refusal(400, "the body ended early")  # for the metrics: nobody reads it
    except TimeoutError:
        return refusal(408, "the body came too slowly")
    except Full:
        return refusal(429, "too much waits to become durable", BUSY_SECONDS)
    except Taken:
        return refusal(429, "as much as may be of this deployment, or of all, is under way", BUSY_SECONDS)
    except OSError as error:  # it names bucket, address or paths: for administrators
        logger.warning("a request fails with 503: %s", error)
        return refusal(503, "the lake does not do as asked, the collector's log says why")
