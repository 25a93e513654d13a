"""Some rows of one version in one arm, as columns: what summaries are made of. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from podium_evaluation.sequences import Floats

Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Texts:
    """A column of text: `codes` of shape (n,) point into `names`, -1 is missing."""

    codes: Codes
    names: tuple[str, ...]

    def rows(self, chosen: npt.NDArray[np.bool_]) -> "Texts":
        return Texts(self.codes[chosen], self.names)

    def values(self) -> npt.NDArray[Any]:
        """The texts, None for missing; shape (n,)."""
        return np.array([*self.names, None], dtype=object)[self.codes]


def texts_of(column: Any) -> Texts:
    """Of an Arrow column of strings."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    encoded = array.dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return Texts(codes, tuple(encoded.dictionary.to_pylist()))


@dataclass(frozen=True)
class Batch:
    """All of one length. Numbers have NaN for missing."""

    rows: int
    numbers: Mapping[str, Floats]
    """Inputs that are numbers."""
    texts: Mapping[str, Texts]
    """Inputs that are text."""
    output_numbers: Mapping[str, Floats]
    """Outputs; a probability per class is `output[class]`."""
    output_texts: Mapping[str, Texts]
    latency: Floats
    """Seconds."""
    fallback: npt.NDArray[np.bool_]
    truth: npt.NDArray[Any]
    """The label: floats, or objects (text, number, None)."""
    delay: Floats
    """Seconds from prediction to label."""
    outcomes: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    wrong: Mapping[str, npt.NDArray[np.bool_]] = field(default_factory=dict)
    """Of inputs that are numbers: which rows hold something else. Where none does, the name is absent."""
    rank: npt.NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, dtype=np.uint64))
    """A random number per row that is the same whenever the row is read: by it samples are drawn."""

    def chosen(self, mask: npt.NDArray[np.bool_]) -> "Batch":
        if mask.all():
            return self
        return Batch(
            rows=int(mask.sum()),
            numbers={name: values[mask] for name, values in self.numbers.items()},
            texts={name: texts.rows(mask) for name, texts in self.texts.items()},
            output_numbers={name: values[mask] for name, values in self.output_numbers.items()},
            output_texts={name: texts.rows(mask) for name, texts in self.output_texts.items()},
            latency=self.latency[mask],
            fallback=self.fallback[mask],
            truth=self.truth[mask],
            delay=self.delay[mask],
            outcomes={name: values[mask] for name, values in self.outcomes.items()},
            wrong={name: values[mask] for name, values in self.wrong.items()},
            rank=self.rank[mask],
        )
