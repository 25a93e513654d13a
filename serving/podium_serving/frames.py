"""Messages between processes of one pod on a stream socket: each behind its length."""

import struct

MAX_MESSAGE_BYTES = 512 * 1024 * 1024
"""Of one message. What runs user code may write anything: a length is a claim, and must not become our memory."""

_LENGTH = struct.Struct("<I")


def framed(message: bytes | bytearray) -> bytes:
    """The message behind its length. Raises ValueError when it is too long."""
    if len(message) > MAX_MESSAGE_BYTES:
        raise ValueError(f"{len(message)} bytes are more than the {MAX_MESSAGE_BYTES} of one message")
    return _LENGTH.pack(len(message)) + message


class Frames:
    """Cuts a stream of bytes into messages."""

    def __init__(self) -> None:
        self._held = bytearray()

    def fed(self, data: bytes) -> list[bytes]:
        """The messages that `data` completes. Raises ValueError when a length is beyond what is ever sent."""
        self._held += data
        messages = []
        while len(self._held) >= _LENGTH.size:
            (size,) = _LENGTH.unpack_from(self._held)
            if size > MAX_MESSAGE_BYTES:
                raise ValueError(f"a message of {size} bytes is announced, at most {MAX_MESSAGE_BYTES} are taken")
            if len(self._held) < _LENGTH.size + size:
                break
            messages.append(bytes(self._held[_LENGTH.size : _LENGTH.size + size]))
            del self._held[: _LENGTH.size + size]
        return messages
