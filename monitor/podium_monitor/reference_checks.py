"""Files of a reference, looked at in a process of its own: `python -m podium_monitor.reference_checks <name>`.

What passes here can be read by the evaluator without such care: it takes no more there (podium_monitor.confining).
"""

import sys

import msgspec

from podium_crds.package import REFERENCE_FILE
from podium_monitor.confining import Bounds, Unreadable, answer_of, confined
from podium_monitor.references import InvalidReference, check

_MIB = 1024 * 1024
_BOUNDS = Bounds(memory_bytes=256 * _MIB, cpu_seconds=10, wall_seconds=300, answer_bytes=64 * 1024)
_SMALL_BYTES = 256 * 1024
"""A document of so many takes some megabytes at most: a process of its own would cost more."""


class _Answer(msgspec.Struct):
    refused: str | None


_read_answer = msgspec.json.Decoder(_Answer).decode


def check_apart(name: str, content: bytes) -> None:
    """Raises InvalidReference if the content is not what the name says, or takes too much to read. Blocking."""
    if name != REFERENCE_FILE and len(content) <= _SMALL_BYTES:
        check(name, content)
        return
    try:
        answer = _read_answer(answer_of(["podium_monitor.reference_checks", name], content, _BOUNDS))
    except Unreadable as error:
        raise InvalidReference(f"{name} cannot be taken: {error}") from error
    if answer.refused is not None:
        raise InvalidReference(answer.refused)


def _checked(name: str, content: bytes) -> bytes:
    try:
        check(name, content)
    except InvalidReference as error:
        return msgspec.json.encode(_Answer(str(error)[:1000]))
    return msgspec.json.encode(_Answer(None))


if __name__ == "__main__":
    confined(lambda content, most: _checked(sys.argv[1], content), sys.argv[2:])
