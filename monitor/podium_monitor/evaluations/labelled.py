"""Labels as they are joined: the newest of each join key, by the key's hash.

That two different keys of an hour and of the labels have one hash has a chance of about (rows * labels) / 2^64.
"""

import io
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from podium_evaluation.sequences import Floats
from podium_monitor.evaluations.hashing import Hashes, hashes_of
from podium_monitor.evaluations.pieces import files_of, read

_NONE = np.array(None, dtype=object)
_SCHEMA = pa.schema(
    [
        ("key", pa.uint64()),
        ("time", pa.int64()),
        ("received_at", pa.int64()),
        ("label", pa.dictionary(pa.int32(), pa.string())),
        ("outcomes", pa.string()),
    ]
)
_ORDER = [("key", "ascending"), ("time", "ascending"), ("received_at", "ascending"), ("label", "ascending")]
_READ = ("join_key", "time", "received_at", "label", "outcomes")


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
        return _newest(_table([self.table, others.table]))

    def same_as(self, other: "Labels") -> bool:
        return bool(_plain(self.table).equals(_plain(other.table)))

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
        encoded = self.table["label"].combine_chunks()
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
    table = pq.ParquetFile(io.BytesIO(content), read_dictionary=["label"]).read(use_threads=False)
    return Labels(table.cast(_SCHEMA).combine_chunks())


def newest(paths: Sequence[Path], pool: Executor) -> Labels:
    """Of some files of the table `labels`. Raises FileNotFoundError, OSError or pa.ArrowException."""
    files = files_of("labels", paths)
    found = [NO_LABELS.table, *pool.map(lambda piece: _hashed(read(files, piece, _READ)), files.pieces)]
    return _newest(_table(found))


def _hashed(table: pa.Table) -> pa.Table:
    """Rows without a key have no prediction."""
    table = table.filter(pc.is_valid(table["join_key"])) if table["join_key"].null_count else table
    outcomes = table["outcomes"]
    if pc.all(pc.fill_null(pc.equal(outcomes, "{}"), True)).as_py():
        outcomes = pa.nulls(len(table), pa.string())
    columns = [
        pa.array(hashes_of(table["join_key"])),
        table["time"].cast(pa.int64()),
        table["received_at"].cast(pa.int64()),
        table["label"],
        outcomes,
    ]
    return pa.table(columns, schema=_SCHEMA)


def _table(parts: Sequence[pa.Table]) -> pa.Table:
    return pa.concat_tables(parts).unify_dictionaries().combine_chunks()


def _newest(table: pa.Table) -> Labels:
    """The last of each key, by (time, received at, label): of two of one instant the same one whatever the files' order."""
    keys = table["key"].to_numpy()
    order = np.argsort(keys)
    keys = keys[order]
    if (keys[1:] == keys[:-1]).any():
        plain = table.set_column(3, "label", table["label"].cast(pa.string()))
        order = pc.sort_indices(plain, _ORDER).to_numpy()
        keys = table["key"].to_numpy()[order]
    last = np.append(keys[1:] != keys[:-1], True) if len(keys) else np.empty(0, dtype=bool)
    return Labels(table.take(pa.array(order[last])).combine_chunks())


def _plain(table: pa.Table) -> pa.Table:
    """To be compared: two dictionaries of the same texts may differ."""
    return table.set_column(3, "label", table["label"].cast(pa.string()))


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
