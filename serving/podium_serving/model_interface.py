"""What a loaded version can be asked, whoever asks. Apart from `served`, for models are held weakly and that is compiled."""

from collections.abc import Awaitable
from typing import NamedTuple, Protocol

from podium_crds.package import Descriptor, GoldenRow
from podium_serving.exchange import Columns
from podium_serving.inference import Inference


class Timing(NamedTuple):
    """Seconds that one request waited and ran."""

    queue_seconds: float = 0.0
    inference_seconds: float = 0.0


class Model(Protocol):
    """A loaded version (podium_serving.model.loaded.LoadedModel): ONNX session, batcher, hooks."""

    descriptor: Descriptor
    digest: str
    """The package's digest (sha256:...)."""
    loaded_bytes: int

    def submit(self, entry: Inference) -> None:
        """Runs its rows (joined with whatever else waits in this turn of the loop) and finishes it. Raises Overloaded or
        NotServing."""

    def infer(self, columns: Columns, rows: int, deadline: float) -> Awaitable[tuple[Columns, Timing]]:
        """The same for coroutines. Raises ServingError."""

    @property
    def golden(self) -> tuple[GoldenRow, ...]:
        """The package's own, which predictions are explained against."""

    async def run_aside(self, columns: Columns, rows: int, deadline: float) -> Columns:
        """Answers rows beside the batches: for work that may wait. Keep runs short. Raises ServingError."""

    async def close(self) -> None:
        """Waits for what runs, then drops the session off the hot path."""
