"""An hour's rows from the lake's files, as batches with their labels."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from podium_monitor.evaluations.batch import Batch, Texts, texts_of
from podium_monitor.evaluations.captured import Captured
from podium_monitor.evaluations.hashing import Hashes, distinct, hashes_of
from podium_monitor.evaluations.labelled import Labels
from podium_monitor.evaluations.pieces import Files, Piece, files_of, read, with_sample_alone
from podium_monitor.evaluations.subject import Subject

Mask = npt.NDArray[np.bool_]
_FACTS = ("digest", "sampled", "arm_answered", "version", "fallback", "latency_seconds", "time", "join_key")


@dataclass(frozen=True)
class Source:
    """Files of one hour. With `shadows` its rows are the challengers' answers to the predictions in `files`."""

    files: Sequence[Path]
    shadows: Sequence[Path] = ()
    once: bool = False
    """Whether it is known that no event is twice in `files`."""

    @cached_property
    def predictions(self) -> Files:
        return files_of("predictions", self.files)


@dataclass(frozen=True)
class Arm:
    """Whose rows a batch has."""

    name: str
    version: str
    digest: str


@dataclass(frozen=True)
class Kinds:
    """What an hour holds, before its rows are read."""

    keys: Hashes
    """Of the join keys, sorted, each once."""
    digests: tuple[str, ...]
    first: Mask | None = None
    """By row of all pieces: whether it is the first of its event. None: no event is there twice."""


def kinds(source: Source, pool: Executor) -> Kinds:
    """One pass over two or three columns of the predictions. Raises as `pieces.read`."""
    files = source.predictions
    columns = ("digest", "sampled", "join_key", *(() if source.once else ("event_id",)))

    def learned(piece: Piece) -> tuple[Hashes, Hashes, set[str]]:
        table = read(files, piece, columns)
        kept = table.filter(with_sample_alone(table))
        events = np.empty(0, dtype=np.uint64) if source.once else hashes_of(table["event_id"])
        return hashes_of(kept["join_key"]), events, {one for one in kept["digest"].unique().to_pylist() if one}

    found = list(pool.map(learned, files.pieces))
    keys = np.concatenate([one[0] for one in found]) if found else np.empty(0, dtype=np.uint64)
    events = np.concatenate([one[1] for one in found]) if found else keys
    digests = set[str]().union(*(one[2] for one in found))
    return Kinds(distinct(keys), tuple(sorted(digests)), _first_of_each(events))


def _first_of_each(events: Hashes) -> Mask | None:
    ordered = np.sort(events)
    if not (ordered[1:] == ordered[:-1]).any():
        return None
    found = np.zeros(len(events), dtype=bool)
    found[np.unique(events, return_index=True)[1]] = True
    return found


class Shadowed:
    """The challengers' answers of an hour, by the predictions that they are to."""

    def __init__(self, source: Source, pool: Executor) -> None:
        """One pass over three columns of the shadows. Raises as `pieces.read`."""
        self._files = files_of("shadows", source.shadows)

        def learned(piece: Piece) -> set[str]:
            return {one for one in read(self._files, piece, ("digest",))["digest"].unique().to_pylist() if one}

        self.digests = tuple(sorted(set[str]().union(*pool.map(learned, self._files.pieces))))

    def answers(self, subject: Subject) -> tuple[Hashes, pa.Table]:
        """Of the subject's version: hashes of the predictions' ids, sorted, each once, and the rows with these columns:
        `version`, and those of values. All of an hour: they have few columns."""
        columns = ("prediction_id", "digest", "version", "error", *Captured(subject).outputs_among(self._files.columns))
        tables = []
        for piece in self._files.pieces:
            table = read(self._files, piece, columns)
            fine = pc.and_(pc.equal(table["digest"], subject.digest), pc.equal(pc.fill_null(table["error"], ""), ""))
            tables.append(table.filter(fine).drop_columns(["digest", "error"]))
        table = pa.concat_tables(tables, promote_options="default").unify_dictionaries()
        keys, places = np.unique(hashes_of(table["prediction_id"]), return_index=True)
        return keys, table.drop_columns(["prediction_id"]).take(pa.array(places))


@dataclass(frozen=True)
class Reading:
    """How rows of one version in one hour are read."""

    source: Source
    subject: Subject
    labels: Labels
    found: Kinds
    shadows: tuple[Hashes, pa.Table] | None = None
    """Its answers, where it is a challenger in shadow."""

    @property
    def pieces(self) -> Iterable[Piece]:
        return self.source.predictions.pieces

    def batches(self, piece: Piece) -> list[tuple[Arm, Batch]]:
        """The rows of the version, each event once, with the labels that are known, by arm. Raises as `pieces.read`."""
        files, captured = self.source.predictions, Captured(self.subject)
        inputs = captured.inputs_among(files.columns)
        outputs = captured.outputs_among(files.columns) if self.shadows is None else ["event_id"]
        table = read(files, piece, (*_FACTS, *inputs, *outputs))
        kept = with_sample_alone(table)
        if self.found.first is not None:
            kept = pc.and_(kept, pa.array(self.found.first[piece.first : piece.first + piece.rows]))
        if self.shadows is None:
            kept = pc.and_(kept, pc.fill_null(pc.equal(table["digest"], self.subject.digest), False))
        if not pc.all(kept).as_py():
            table = table.filter(kept)
        if self.shadows is not None:
            table = _answered(table, *self.shadows)
        return list(self._by_arm(table, captured)) if len(table) else []

    def _by_arm(self, table: pa.Table, captured: Captured) -> Iterator[tuple[Arm, Batch]]:
        keys = hashes_of(table["join_key"])
        time = table["time"].cast(pa.int64()).to_numpy()
        batch = captured.batch(table, self.labels.joined(keys, time), _mixed(keys, time))
        names, versions = _coded(table["arm_answered"]), _coded(table["version"])
        both = names.codes * len(versions.names) + versions.codes
        for code in np.flatnonzero(np.bincount(both)):
            arm = Arm(
                names.names[code // len(versions.names)], versions.names[code % len(versions.names)], self.subject.digest
            )
            yield arm, batch.chosen(both == code)


def _answered(table: pa.Table, predictions: Hashes, answers: pa.Table) -> pa.Table:
    """Those that a shadow answered, with its answer."""
    wanted = hashes_of(table["event_id"])
    places = np.minimum(np.searchsorted(predictions, wanted), max(0, len(predictions) - 1))
    there = predictions[places] == wanted if len(predictions) else np.zeros(len(wanted), dtype=bool)
    found = table.filter(pa.array(there)).drop_columns(["event_id", "version"])
    rows = len(found)
    found = found.set_column(found.column_names.index("arm_answered"), "arm_answered", pa.array(["shadow"] * rows))
    found = found.set_column(found.column_names.index("fallback"), "fallback", pa.nulls(rows, pa.string()))
    nothing = pa.nulls(rows, pa.float64())
    found = found.set_column(found.column_names.index("latency_seconds"), "latency_seconds", nothing)
    chosen = answers.take(pa.array(places[there]))
    for name in chosen.column_names:
        found = found.append_column(name, chosen[name])
    return found


def _coded(column: Any) -> Texts:
    """Codes without gaps: nothing is a text, too."""
    return texts_of(pc.fill_null(column.cast(pa.string()), "")) if column.null_count else texts_of(column)


def _mixed(keys: Hashes, time: npt.NDArray[np.int64]) -> Hashes:
    """A number per row that looks random and is the same each time (the finalizer of SplitMix64): not the key's alone, for
    many rows may have one."""
    mixed = keys ^ (time.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15))
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)), dtype=np.uint64)
