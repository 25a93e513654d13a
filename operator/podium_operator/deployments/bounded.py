"""Bodies from pods, read up to a limit: user code runs there, and may answer without end."""

import aiohttp

_CHUNK_BYTES = 64 * 1024


class BodyTooLarge(aiohttp.ClientError):
    """The pod answered more than any of our own pods would."""


async def bounded_body(response: aiohttp.ClientResponse, most_bytes: int) -> bytes:
    """The whole body. Raises BodyTooLarge beyond `most_bytes`, counted after decompression."""
    body = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
        body += chunk
        if len(body) > most_bytes:
            raise BodyTooLarge(f"{response.url} answered more than {most_bytes} bytes")
    return bytes(body)
