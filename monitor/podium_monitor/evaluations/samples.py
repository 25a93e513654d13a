"""A few rows of a batch, as a table: drawn by each row's own random number, so that samples of hours make that of a day."""

from typing import Any

import numpy as np
import pyarrow as pa

from podium_evaluation.sequences import Floats
from podium_monitor.evaluations.batch import Batch


def sample_of(batch: Batch, rows: int) -> pa.Table:
    """The rows with the lowest ranks: inputs by name, `output.` and its name, `target`, `rank`."""
    chosen = np.zeros(batch.rows, dtype=bool)
    places = np.argpartition(batch.rank, rows)[:rows] if batch.rows > rows else np.arange(batch.rows)
    chosen[places] = True
    few = batch.chosen(chosen)
    columns: dict[str, Any] = {name: _floats(values) for name, values in few.numbers.items()}
    columns |= {name: pa.array(texts.values().tolist(), pa.string()) for name, texts in few.texts.items()}
    columns |= {f"output.{name}": _floats(values) for name, values in few.output_numbers.items()}
    columns |= {f"output.{name}": pa.array(texts.values().tolist(), pa.string()) for name, texts in few.output_texts.items()}
    columns["target"] = pa.array([_text(value) for value in few.truth.tolist()], pa.string())
    columns["rank"] = pa.array(few.rank)
    return pa.table(columns)


def _floats(values: Floats) -> Any:
    """Seven digits are enough for sentences, and half the size."""
    with np.errstate(over="ignore"):
        return pa.array(values.astype(np.float32), from_pandas=True)


def _text(value: Any) -> str | None:
    if value is None or value != value:
        return None
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
