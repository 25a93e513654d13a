"""64-bit hashes of columns of text: what join keys and event ids are told apart and matched by. Pure.

They are kept with the summaries, so they must be the same in every version of every library that this may run with: they are
computed here, by multiplications alone (the mixing is that of MurmurHash3's finalizer by Austin Appleby, public domain).
That two different texts fall together has a chance of about 2^-64 per pair. They are no secret and protect nothing.
"""

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Hashes = npt.NDArray[np.uint64]

_WORD = 8
_LONGEST = 64
"""Bytes. Longer texts, one by one."""
_ODD = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)
_HALF = np.uint64(33)


def hashes_of(column: Any) -> Hashes:
    """Shape (n,), of an Arrow column of strings; 0 where there is none, and for no text."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    array = array.cast(pa.binary())
    lengths = pc.binary_length(array).fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    longest = int(lengths.max(initial=0))
    if longest <= _LONGEST:
        return _short(array, lengths)
    short = lengths <= _LONGEST
    found = np.empty(len(array), dtype=np.uint64)
    found[short] = _short(array.filter(pa.array(short)), lengths[short])
    found[~short] = [_long(text) for text in array.filter(pa.array(~short)).to_pylist()]
    return found


def _short(array: Any, lengths: npt.NDArray[np.int64]) -> Hashes:
    """Eight bytes at a time, of all texts together; they are filled up with zeros, and their lengths tell those apart."""
    words = -(-int(lengths.max(initial=1)) // _WORD) or 1
    padded = pc.ascii_rpad(array.fill_null(b"").cast(pa.string(), safe=False), words * _WORD, padding="\0")
    start = padded.offset * words * _WORD
    bytes_of = np.frombuffer(padded.buffers()[2], np.uint8)[start : start + len(padded) * words * _WORD]
    matrix = bytes_of.view("<u8").reshape(-1, words)
    found = (lengths.astype(np.uint64) + np.uint64(1)) * _ODD
    for word in range(words):
        mixed = _mixed((found ^ matrix[:, word]) * _ODD)
        found = (
            np.where(lengths > word * _WORD, mixed, found) if word else mixed
        )  # a text's hash is its own, whoever is beside
    found[found == 0] = 1
    found[array.is_null().to_numpy(zero_copy_only=False)] = 0
    return found


def _mixed(values: Hashes) -> Hashes:
    values = (values ^ (values >> _HALF)) * _FIRST
    values = (values ^ (values >> _HALF)) * _SECOND
    return np.asarray(values ^ (values >> _HALF), dtype=np.uint64)


def _long(text: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") or 1


def distinct(hashes: Hashes) -> Hashes:
    """Sorted, each once, without 0."""
    ordered = np.sort(hashes)
    kept = np.append(True, ordered[1:] != ordered[:-1]) if len(ordered) else np.empty(0, dtype=bool)
    found: Hashes = ordered[kept & (ordered != 0)]
    return found
