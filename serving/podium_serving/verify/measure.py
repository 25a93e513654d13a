"""What a version does under the limits that it will serve with: its golden rows, its latency, its memory."""

import resource
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from podium_serving.exchange import HookFailed
from podium_serving.model.golden import GoldenResult, golden_columns
from podium_serving.model.loaded import LoadedModel
from podium_serving.model.package import InvalidPackage
from podium_serving.settings import ModelSettings
from podium_serving.swap.loading import check_golden

LATENCY_CALLS = 200
"""So that the p99 is not the slowest of all calls."""
WARM_CALLS = 10
LATENCY_SECONDS = 60.0
"""A model too slow for so many calls is judged by what was measured until then."""
_CALL_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Measured:
    golden: GoldenResult
    p99_seconds: float
    calls: int
    peak_memory_bytes: int
    loaded_bytes: int


async def measure(folder: Path, settings: ModelSettings) -> Measured:
    """Loads the package and measures it.

    Raises InvalidPackage, PreparationFailed (golden rows) or ServingError (a call fails), each with its `reason`.
    """
    model = await LoadedModel.load(folder, settings)
    try:
        if not model.package.golden:
            raise InvalidPackage("golden.jsonl has no rows: nothing shows that the model answers as it did in training")
        golden = await model.reproduce()
        check_golden(golden, model.descriptor.version)
        seconds = await latencies(model)
    finally:
        # Before memory is read: a hook's process counts once it has ended.
        await model.close()
    return Measured(golden, float(np.quantile(seconds, 0.99)), len(seconds), peak_memory_bytes(), model.loaded_bytes)


async def latencies(model: LoadedModel) -> list[float]:
    """Seconds of single-row calls over the golden rows in turn, hooks included."""
    columns = golden_columns(model.descriptor, model.package.golden)
    rows = len(model.package.golden)
    seconds: list[float] = []
    end = time.monotonic() + LATENCY_SECONDS
    for call in range(WARM_CALLS + LATENCY_CALLS):
        row = call % rows
        one = {name: array[row : row + 1] for name, array in columns.items()}
        began = time.monotonic()
        try:
            await model.infer(one, 1, began + _CALL_SECONDS)
        except HookFailed as error:
            raise InvalidPackage(f"golden row {row}: {error}", "TransformFailed") from error
        if call >= WARM_CALLS or time.monotonic() > end:
            seconds.append(time.monotonic() - began)
        if time.monotonic() > end:
            break
    return seconds


def peak_memory_bytes() -> int:
    """The highest resident memory of this process, and of the largest process that it started and that has ended.

    Not the control group's peak: that counts the cached pages of the files just downloaded, which a pod can give up.
    """
    mine = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    hooks = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return (mine + hooks) * 1024
