"""Labels as they are joined: the newest of each join key, by the key's hash.

Keys are 64 bits of MD5, the same in every version of every library that this may run with, because they are kept: that two
different keys of an hour and of the labels fall together has a chance of about (rows * labels) / 2^64.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from podium_evaluation.sequences import Floats

Hashes = npt.NDArray[np.uint64]

_NONE = np.array(None, dtype=object)
_SCHEMA = pa.schema(
    [
        ("key", pa.uint64()),
        ("time", pa.int64()),
        ("received_at", pa.int64()),
        ("label", pa.string()),
        ("outcomes", pa.string()),
    ]
)
_ORDER = [("key", "ascending"), ("time", "ascending"), ("received_at", "ascending"), ("label", "ascending")]
_LABELS = """SELECT md5_number_lower(join_key) AS key, epoch_us(time) AS time, epoch_us(received_at) AS received_at,
    label, nullif(outcomes, '{}') AS outcomes
    FROM read_parquet($files, union_by_name = true) WHERE join_key IS NOT NULL"""


@dataclass(frozen=True)
class Joined:
    """Per row: the label, how long it took, and the outcomes."""

    truth: npt.NDArray[Any]
    delay: Floats
    outcomes: dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Labels:
    """Sorted by key, each key once. Label and outcomes are JSON texts."""

    table: pa.Table

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @cached_property
    def keys(self) -> Hashes:
        found: Hashes = self.table["key"].to_numpy()
        return found

    def of(self, keys: Hashes) -> "Labels":
        """Those of some keys, which are sorted."""
        return Labels(self.table.filter(pa.array(_among(self.keys, keys))))

    def rows(self, chosen: npt.NDArray[np.int64]) -> "Labels":
        """Some rows, by ascending place."""
        return Labels(self.table.take(pa.array(chosen)).combine_chunks())

    def with_newer(self, others: "Labels") -> "Labels":
        """The newest of both, by (time, received at, label)."""
        if not len(self):
            return others
        return _newest(pa.concat_tables([self.table, others.table]))

    def same_as(self, other: "Labels") -> bool:
        return bool(self.table.equals(other.table))

    def encoded(self) -> bytes:
        sink = io.BytesIO()
        pq.write_table(self.table, sink, compression="lz4", use_dictionary=["label", "outcomes"])
        return sink.getvalue()

    def joined(self, keys: Hashes, time: npt.NDArray[np.int64]) -> Joined:
        """To rows, by their keys; `time` in microseconds."""
        if not len(self):
            return Joined(np.full(len(keys), np.nan), np.full(len(keys), np.nan), {})
        places = np.minimum(np.searchsorted(self.keys, keys), len(self) - 1)
        found = self.keys[places] == keys
        truth, delay = self._values
        with_outcomes = {name: np.where(found, values[places], _NONE) for name, values in self._outcomes.items()}
        missing: Any = np.nan if truth.dtype.kind == "f" else None
        return Joined(
            truth=np.where(found, truth[places], missing),
            delay=np.where(found, (delay[places] - time) / 1e6, np.nan),
            outcomes=with_outcomes,
        )

    @cached_property
    def _values(self) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
        """Labels as floats where all are numbers, else as objects; and when they were seen."""
        encoded = self.table["label"].combine_chunks().dictionary_encode()
        unique = [_read(text) for text in encoded.dictionary.to_pylist()]
        numeric = all(value is None or (isinstance(value, int | float) and not isinstance(value, bool)) for value in unique)
        codes = encoded.indices.fill_null(len(unique)).to_numpy(zero_copy_only=False)
        if numeric:
            values: npt.NDArray[Any] = np.array(
                [np.nan if value is None else value for value in [*unique, None]], np.float64
            )
        else:
            values = np.empty(len(unique) + 1, dtype=object)
            values[:] = [*unique, None]
        return values[codes], self.table["time"].to_numpy()

    @cached_property
    def _outcomes(self) -> dict[str, npt.NDArray[Any]]:
        if self.table["outcomes"].null_count == len(self):
            return {}
        texts = self.table["outcomes"].to_pylist()
        found: dict[str, npt.NDArray[Any]] = {}
        for row, text in enumerate(texts):
            for name, value in (_read(text) or {}).items() if text else ():
                if name not in found:
                    found[name] = np.full(len(texts), None, dtype=object)
                found[name][row] = value
        return found


NO_LABELS = Labels(_SCHEMA.empty_table())


def decoded(content: bytes) -> Labels:
    """What `encoded` wrote. Raises pa.ArrowException."""
    return Labels(pq.read_table(io.BytesIO(content)).cast(_SCHEMA))


def newest(connection: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> Labels:
    """Of some files of the table `labels`."""
    if not files:
        return NO_LABELS
    found: Any = connection.sql(_LABELS, params={"files": [str(path) for path in files]}).to_arrow_table()
    return _newest(found.cast(_SCHEMA))


def _newest(table: pa.Table) -> Labels:
    """The last of each key, by (time, received at, label): of two of one instant the same one whatever the files' order."""
    keys = table["key"].to_numpy()
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    if (keys[1:] == keys[:-1]).any():
        order = pa.compute.sort_indices(table, _ORDER).to_numpy()
        keys = table["key"].to_numpy()[order]
    last = np.append(keys[1:] != keys[:-1], True) if len(keys) else np.empty(0, dtype=bool)
    return Labels(table.take(pa.array(order[last])).combine_chunks())


def _among(keys: Hashes, wanted: Hashes) -> npt.NDArray[np.bool_]:
    if not len(wanted) or not len(keys):
        return np.zeros(len(keys), dtype=bool)
    places = np.minimum(np.searchsorted(wanted, keys), len(wanted) - 1)
    return np.asarray(wanted[places] == keys)


def _read(text: str | None) -> Any:
    """JSON; what is none is no label."""
    try:
        value = msgspec.json.decode(text) if text else None
    except msgspec.DecodeError:
        return None
    return value if value is None or isinstance(value, str | int | float | Mapping) else None
