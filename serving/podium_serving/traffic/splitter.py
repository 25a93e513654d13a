"""Which arm a request has. Pure: the seed and the salt come in, nothing here reads a clock or a source of chance.

Without a sticky key, permuted blocks: each block of 100 requests holds exactly `percent` of each challenger, in an order
that only the seed's owner can tell. So the share is off by less than one block per pod at any rate and any moment.
With a sticky key, the key's slot decides; the share of *keys* is as asked and nothing is remembered.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from podium_crds.names import STICKY_SLOTS
from podium_crds.plan import PlannedRoute, PlannedSticky
from podium_crds.slots import slot_of
from podium_serving.exchange import Fallback, InferRequest
from podium_serving.traffic.keys import MixedKeys, key_of_column, key_of_header

BLOCK_SIZE = 100
_DRAW = np.dtype(">u8")


class Blocks:
    """An endless sequence of arms in permuted blocks. `None` is the champion.

    Another split needs other Blocks with another seed: the order under a seed is fixed, so a seed that is used twice is
    known to whoever watched its first use.
    """

    def __init__(self, seed: bytes, percents: Mapping[str, int]) -> None:
        given = sum(percents.values())
        if given > BLOCK_SIZE or min(percents.values(), default=0) < 0:
            raise ValueError(f"percentages {dict(percents)} must be 0 or more each and at most 100 together")
        arms: list[str | None] = [name for name, percent in sorted(percents.items()) for _ in range(percent)]
        self._arms = arms + [None] * (BLOCK_SIZE - given)
        self._seed = seed
        self._block = 0
        self._left: list[str | None] = []

    def next_arm(self) -> str | None:
        if not self._left:
            self._left = self._permuted()
            self._block += 1
        return self._left.pop()

    def _permuted(self) -> list[str | None]:
        """Sorting by 64-bit draws of SHAKE-256: predicting the rest of a block from its start means breaking the hash."""
        content = hashlib.shake_256(self._seed + self._block.to_bytes(8, "big")).digest(BLOCK_SIZE * _DRAW.itemsize)
        draws = np.frombuffer(content, _DRAW)
        return [self._arms[index] for index in draws.argsort(kind="stable").tolist()]


@dataclass(frozen=True, slots=True)
class Assignment:
    """The arm of a request. `kept` says why the champion has it although a key could have decided otherwise."""

    arm: str | None
    kept: Fallback = Fallback.NONE


CHAMPION = Assignment(None)
_MIXED = Assignment(None, Fallback.MIXED_KEYS)
_MISSING = Assignment(None, Fallback.MISSING_KEY)


class Splitter:
    """Assigns requests under one plan.

    A request without a key stays with the champion: giving it an arm by chance would let one customer see two arms.
    """

    def __init__(self, sticky: PlannedSticky, canaries: Sequence[PlannedRoute], salt: bytes, blocks: Blocks) -> None:
        self._sticky = sticky
        self._by_request = sticky.type == "Request"
        self._salt = salt
        self._blocks = blocks
        self._assignments: dict[str | None, Assignment] = {route.name: Assignment(route.name) for route in canaries}
        self._assignments[None] = CHAMPION
        self._slots = [] if self._by_request else _slot_table(canaries)

    def assign(self, request: InferRequest) -> Assignment:
        if self._by_request:
            return self._assignments[self._blocks.next_arm()]
        try:
            key = self._key(request)
        except MixedKeys:
            return _MIXED
        if key is None:
            return _MISSING
        return self._assignments[self._slots[slot_of(self._salt, key)]]

    def _key(self, request: InferRequest) -> bytes | None:
        if self._sticky.type == "Header":
            return key_of_header(request.headers.get(self._sticky.name.lower()))
        column = request.columns.get(self._sticky.name)
        return None if column is None else key_of_column(column)


def _slot_table(canaries: Sequence[PlannedRoute]) -> list[str | None]:
    table: list[str | None] = [None] * STICKY_SLOTS
    for route in canaries:
        for start, end in route.slots:
            table[start:end] = [route.name] * (end - start)
    if len(table) != STICKY_SLOTS:
        raise ValueError(f"the plan's slots reach beyond the {STICKY_SLOTS} that there are")
    return table
