"""Labels as Parquet, read in a process of their own: `python -m podium_monitor.labels.confined` (see confining)."""

import sys
from typing import Literal

import msgspec

from podium_monitor.confining import Bounds, Unreadable, answer_of, confined
from podium_monitor.events import TooLarge
from podium_monitor.labels.given import Given, InvalidLabels
from podium_monitor.labels.parquet import labels_in

_MIB = 1024 * 1024
_BOUNDS = Bounds(memory_bytes=256 * _MIB, cpu_seconds=10, wall_seconds=300, answer_bytes=64 * _MIB)
"""The answer's bytes are as many as labels in JSON may have. 100,000 rows with two outcomes take 110 MB and 1.5 s."""


class _Refused(msgspec.Struct):
    kind: Literal["Invalid", "TooLarge"]
    text: str
    row: int | None = None
    rows: int = 1


class _Answer(msgspec.Struct):
    """One of the two."""

    given: list[Given] = []
    refused: _Refused | None = None


_read_answer = msgspec.msgpack.Decoder(_Answer).decode
_encoded = msgspec.msgpack.Encoder().encode


def of_parquet(content: bytes) -> list[Given]:
    """Blocking. Raises InvalidLabels, TooLarge, OSError."""
    try:
        answer = _read_answer(answer_of(["podium_monitor.labels.confined"], content, _BOUNDS))
    except Unreadable as error:
        raise TooLarge(f"the table cannot be taken: {error}") from error
    if answer.refused is None:
        return answer.given
    if answer.refused.kind == "TooLarge":
        raise TooLarge(answer.refused.text)
    refused = InvalidLabels(answer.refused.text, rows=answer.refused.rows)  # the text names the row already
    refused.row = answer.refused.row
    raise refused


def _read(content: bytes, most: int) -> bytes:
    given: list[bytes] = []
    size = 0
    try:
        for one in labels_in(content):
            given.append(_encoded(one))
            size += len(given[-1])
            if size > most:
                raise TooLarge(f"the labels have more than {most >> 20} MiB, send fewer at once")
    except InvalidLabels as error:
        return _encoded(_Answer(refused=_Refused("Invalid", str(error), error.row, error.rows)))
    except TooLarge as error:
        return _encoded(_Answer(refused=_Refused("TooLarge", str(error))))
    return _encoded({"given": [msgspec.Raw(one) for one in given]})


if __name__ == "__main__":
    confined(_read, sys.argv[1:])
