"""What the collector's routes have in common: a body within bounds, and the status that a failure means to a sender."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute

from podium_crds.shares import Taken
from podium_monitor.committer import Full
from podium_monitor.credentials import Refused
from podium_monitor.events import InvalidBatch, TooLarge
from podium_monitor.refusals import refusal

logger = logging.getLogger(__name__)

BUSY_SECONDS = 1
"""Retry-After of 429."""


def media_type(request: Request) -> str:
    """Of the body. Raises InvalidBatch where it says another charset than UTF-8, as which it would be read."""
    media, _, parameters = request.headers.get("content-type", "").lower().partition(";")
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        charset = value.strip().strip('"')
        if name.strip() == "charset" and charset not in ("utf-8", "utf8", "us-ascii"):
            raise InvalidBatch(f"Content-Type has the charset {charset!r}, must be utf-8")
    return media.strip()


def tell_what_there_is(app: FastAPI, routes: Iterable[BaseRoute]) -> None:
    """For requests that no route takes, in the form of all other refusals. `routes`: those that there are."""
    roads = {f"{method} {route.path}" for route in routes if isinstance(route, APIRoute) for method in route.methods or ()}
    there = ", ".join(sorted(roads, key=lambda road: road.split()[::-1]))

    async def nowhere(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        text = f"there is no {request.method} {request.url.path[:200]} here; there are {there}"
        response = refusal(error.status_code, text)
        response.headers.update(error.headers or {})
        return response

    async def unfit(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return refusal(400, "; ".join(f"{' '.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()))

    app.add_exception_handler(HTTPException, nowhere)
    app.add_exception_handler(RequestValidationError, unfit)


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
