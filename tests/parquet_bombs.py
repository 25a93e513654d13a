"""Parquet files of kilobytes that become gigabytes, with footers that say they do not."""

import io
import random
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

_FOOTER_END = 8
"""The footer's length in four bytes, and PAR1."""


def written(columns: Mapping[str, Any], **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(dict(columns)), sink, **{"compression": "zstd", **options})
    return sink.getvalue()


def lying(content: bytes, *lies: tuple[int, int]) -> bytes:
    """The file with the numbers of its footer exchanged, (what stands there, what is said instead), each wherever it is."""
    length = int.from_bytes(content[-_FOOTER_END:-4], "little")
    start = len(content) - _FOOTER_END - length
    footer = content[start:-_FOOTER_END]
    for true, said in lies:
        old = _varint(true)
        assert old in footer, f"{true} is not in the footer"
        footer = footer.replace(old, _varint(said, len(old)))
    return content[:start] + footer + content[-_FOOTER_END:]


def _varint(number: int, length: int = 0) -> bytes:
    """Thrift's compact form of an i64; `length`: padded, which readers take."""
    left, found = number << 1, bytearray()
    while left > 127 or len(found) + 1 < length:
        found.append(left & 127 | 128)
        left >>= 7
    return bytes([*found, left])


@lru_cache(1)
def text_bomb(length: int = 250_000_000) -> bytes:
    """A text of 250 MB in kilobytes; the footer says that it unpacks to 100 bytes."""
    honest = written({"join_key": ["k"], "label": ["x" * length]}, use_dictionary=False, write_statistics=False)
    metadata = pq.ParquetFile(io.BytesIO(honest)).metadata
    column = metadata.row_group(0).column(1)
    return lying(honest, (metadata.row_group(0).total_byte_size, 100), (column.total_uncompressed_size, 90))


def page_bomb(says: int = 2_000_000_000) -> bytes:
    """A page of 3 KB whose own head says that it unpacks to 2 GB: a reader makes room first."""
    text = random.Random(7).randbytes(2500).hex()
    honest = written({"join_key": ["k"], "label": [text]}, use_dictionary=False, write_statistics=False)
    column = pq.ParquetFile(io.BytesIO(honest)).metadata.row_group(0).column(1)
    page, start = _varint(len(text) + 10), column.data_page_offset  # the text, its length, and levels
    assert page in honest[start : start + 10], "the page's head says another size"
    longer = honest[:start] + honest[start:].replace(page, _varint(says), 1)
    size = column.total_compressed_size
    return lying(longer, (size, size + len(_varint(says)) - len(page)))


def dictionary_bomb(rows: int = 100_000, columns: int = 48) -> bytes:
    """Texts of 1,000 characters, each once in the file, in every row and column: 5 GB as JSON."""
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int8()), pa.array(["x" * 1000]))
    return written({"join_key": ["k"] * rows, "label": [1] * rows, **{f"o{index}": texts for index in range(columns)}})


def rows_bomb(rows: int) -> bytes:
    """So many equal rows in a file that says it has one."""
    honest = written(
        {"join_key": pa.array(["k"]).take(pa.nulls(rows, pa.int8()).fill_null(0)), "label": pa.nulls(rows, pa.int8())},
        row_group_size=rows,
    )
    return lying(honest, (rows, 1))
