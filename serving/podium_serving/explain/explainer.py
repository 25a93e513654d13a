"""Explains predictions with the model that made them, beside its batches: normal requests come first.

Composite rows run in a thread of their own, a few milliseconds' worth at a time, so that a request waits for one such run
at most where there is one core. Rows of a request take turns, so that when time ends all have had the same share.
"""

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import numpy as np

from podium_crds.package import Descriptor, GoldenRow
from podium_serving.exchange import Columns, DeadlineExceeded, InvalidRequest, Overloaded
from podium_serving.explain.cells import Cells, NotExplainable
from podium_serving.explain.coalitions import Composites, Floats
from podium_serving.explain.estimate import Asking, Contributions, OutOfTime, contributions
from podium_serving.explain.quantity import Options, Quantity, quantity
from podium_serving.model.golden import golden_columns
from podium_serving.score.training import inside_training

MAX_ROWS = 100
"""Rows that one request may have explained."""

MAX_REQUEST_CELLS = 5_000
"""Of all rows of one request: each takes 3 KB while it is at work, for it has moments over 100 background rows."""

MAX_OPEN = 4
"""Explanations at work at a time; the next is refused with 503."""

BUDGET_ROWS = 20_000
"""Composite rows that one explained row may cost, though two rounds of walks are always made."""

_RUN_SECONDS = 0.005
"""One run of composites takes about so long."""
_FIRST_RUN_ROWS = 64
_MOST_RUN_ROWS, _MOST_RUN_CELLS = 2_048, 16_384
"""Composites of a run are put together in the loop: so many cells take half a millisecond."""
_KEPT_BACK = 0.1
"""Of the time until the deadline, for writing the answer."""


class Explained(Protocol):
    """What of a loaded model is needed (podium_serving.model.loaded.LoadedModel)."""

    descriptor: Descriptor

    @property
    def golden(self) -> tuple[GoldenRow, ...]: ...

    async def run_aside(self, columns: Columns, rows: int, deadline: float) -> Columns: ...


@dataclass(frozen=True, slots=True)
class Explanation:
    """Of one row."""

    quantity: Quantity
    prediction: float
    names: list[str]
    values: list[Any]
    """Of the cells, as JSON has them."""
    found: Contributions
    background_rows: int


@dataclass(eq=False)
class _Background:
    """Rows that training knew, the model's answers to them, and how many rows it answers in _RUN_SECONDS."""

    cells: Cells
    columns: Columns
    rows: int
    answers: Columns = field(default_factory=dict)
    run_rows: int = _FIRST_RUN_ROWS

    def pace(self, rows: int, seconds: float) -> None:
        fitting = int(rows * _RUN_SECONDS / max(seconds, 1e-6))
        most = min(_MOST_RUN_ROWS, max(1, _MOST_RUN_CELLS // len(self.cells.names)))
        self.run_rows = max(1, min(fitting, 2 * self.run_rows, most))


class Explainer:
    """All explanations that one process gives."""

    def __init__(self) -> None:
        self._open = 0
        # Keyed weakly: what is known of a version goes when the version goes.
        self._backgrounds: WeakKeyDictionary[Explained, _Background] = WeakKeyDictionary()

    async def explain(
        self, model: Explained, columns: Columns, rows: int, answers: Columns, options: Options, deadline: float
    ) -> list[Explanation]:
        """Why `model` gave `answers` to `columns`, for each of `rows` rows. `deadline` is in monotonic seconds.

        Raises NotExplainable, InvalidRequest, Overloaded, DeadlineExceeded, and what the model raises.
        """
        if self._open >= MAX_OPEN:
            raise Overloaded(f"{self._open} explanations are at work, at most {MAX_OPEN} may be; try again")
        self._open += 1
        try:
            background = await self._background(model, deadline)
            most = min(MAX_ROWS, max(1, MAX_REQUEST_CELLS // len(background.cells.names)))
            if rows > most:
                raise InvalidRequest(f"{rows} rows are to be explained, at most {most} are at a time; send fewer")
            stop_at = deadline - _KEPT_BACK * (deadline - time.monotonic()) if deadline < float("inf") else deadline
            turns = [_Turn.of(model, background, columns, answers, row, options) for row in range(rows)]
            await _finish(model, background, turns, stop_at)
        except OutOfTime as error:
            raise DeadlineExceeded(
                "the explanation did not come before the request's deadline; send fewer rows or a later deadline"
            ) from error
        finally:
            self._open -= 1
        return [turn.explanation(background) for turn in turns]

    async def _background(self, model: Explained, deadline: float) -> _Background:
        found = self._backgrounds.get(model)
        if found is None:
            found = background_of(model)
            found.answers = await model.run_aside(found.columns, found.rows, deadline)
            self._backgrounds[model] = found
        return found


def background_of(model: Explained) -> _Background:
    descriptor = model.descriptor
    cells = Cells(descriptor.inputs)
    if not model.golden:
        raise NotExplainable(
            "predictions are explained against golden rows, and the package has none; package the model with a sample"
        )
    columns = golden_columns(descriptor, model.golden)
    # A row that never was, such as a probe with an unseen category, is no background.
    inside = inside_training(descriptor.inputs, columns, len(model.golden))
    if not inside.any():
        raise NotExplainable("no golden row is within what training saw, so there is nothing to explain against")
    return _Background(cells, {name: array[inside] for name, array in columns.items()}, int(inside.sum()))


@dataclass(slots=True)
class _Turn:
    """A row that is being explained."""

    columns: Columns
    quantity: Quantity
    prediction: float
    asking: Asking
    composites: Composites | None = None
    found: Contributions | None = None

    @classmethod
    def of(
        cls, model: Explained, background: _Background, columns: Columns, answers: Columns, row: int, options: Options
    ) -> "_Turn":
        own, answer = _one_row(columns, row), _one_row(answers, row)
        which = quantity(model.descriptor, options, answer)
        prediction, others = float(which.of(answer)[0]), which.of(background.answers)
        asking = contributions(
            background.cells.differs(own, background.columns),
            others,
            prediction,
            precision=which.precision(options.precision, np.append(others, prediction)),
            budget=BUDGET_ROWS,
            seed=_seed(background.cells.values(own)),
        )
        return cls(own, which, prediction, asking)

    def advance(self, answers: Floats | None) -> None:
        """Takes milliseconds of arithmetic: call it in a thread."""
        try:
            self.composites = self.asking.send(answers)
        except StopIteration as done:
            self.composites, self.found = None, done.value

    def explanation(self, background: _Background) -> Explanation:
        assert self.found is not None, "finished"
        cells = background.cells
        return Explanation(
            self.quantity, self.prediction, cells.names, cells.values(self.columns), self.found, background.rows
        )


async def _finish(model: Explained, background: _Background, turns: list[_Turn], stop_at: float) -> None:
    """Rows take turns, one block of composites each. Raises OutOfTime when one of them cannot be told at all."""
    waiting = deque(turns)
    while waiting:
        turn = waiting.popleft()
        answers = None if turn.composites is None else await _answers(model, background, turn, turn.composites, stop_at)
        await asyncio.to_thread(turn.advance, answers)
        if turn.composites is not None:
            waiting.append(turn)


async def _answers(
    model: Explained, background: _Background, turn: _Turn, composites: Composites, stop_at: float
) -> Floats | None:
    """None when time ends."""
    parts, start = [], 0
    while start < len(composites):
        began = time.monotonic()
        if began >= stop_at:
            return None
        part = composites.part(slice(start, start + background.run_rows))
        columns = background.cells.composites(turn.columns, background.columns, part)
        try:
            outputs = await model.run_aside(columns, len(part), stop_at)
        except DeadlineExceeded:  # of a hook
            return None
        background.pace(len(part), time.monotonic() - began)
        parts.append(turn.quantity.of(outputs))
        start += len(part)
    return np.concatenate(parts)


def _one_row(columns: Columns, row: int) -> Columns:
    return {name: array[row : row + 1] for name, array in columns.items()}


def _seed(values: list[Any]) -> int:
    """Equal rows get equal explanations, in whatever request they come."""
    return int.from_bytes(blake2b(repr(values).encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
