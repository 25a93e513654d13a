"""`python -m confined_programs <what> <bounds>`: readers that behave, and readers that do not."""

import os
import sys

from podium_monitor.confining import confined


def _read(content: bytes, most: int) -> bytes:
    match sys.argv[1]:
        case "echo":
            return content
        case "environment":
            return "\n".join(sorted(os.environ)).encode()
        case "hoard":
            return b"%d" % len(bytearray(1 << 30))
        case "spin":
            while True:
                pass
        case "sleep":
            os.read(os.pipe()[0], 1)
        case "chatter":
            return b"x" * (most + 1)
    raise ValueError(content)


if __name__ == "__main__":
    confined(_read, sys.argv[2:])
