"""Which sticky slots belong to which challenger, and which slot a key falls into.

10,000 slots; a slot that no challenger owns is the champion's. Raising a percentage moves slots only from the champion
to that challenger, lowering only back, so a key changes its arm only when it must. Both operator (allocates) and
serving (looks up) need this, hence here. Pure.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence

from podium_crds.names import STICKY_SLOTS

Ranges = list[tuple[int, int]]
"""Sorted, disjoint, half-open ranges of slots."""

SLOTS_PER_PERCENT = STICKY_SLOTS // 100


def slot_of(salt: bytes, key: bytes) -> int:
    """The slot of a sticky key: HMAC-SHA256(salt, key), first 8 bytes, modulo 10,000 (bias below 1e-15)."""
    return int.from_bytes(hmac.digest(salt, key, hashlib.sha256)[:8], "big") % STICKY_SLOTS


def allocate(previous: Mapping[str, Ranges], percents: Mapping[str, int]) -> dict[str, Ranges]:
    """Slots per challenger for `percents`, moving as few as possible from `previous`.

    A challenger keeps its lowest slots when lowered and takes the lowest free ones when raised. Raises ValueError if the
    percentages add up to more than 100.
    """
    if sum(percents.values()) > 100:
        raise ValueError(f"percentages add up to {sum(percents.values())}, at most 100 can be given to challengers")
    owned = {name: _expand(previous.get(name, []))[: percent * SLOTS_PER_PERCENT] for name, percent in percents.items()}
    taken = {slot for slots in owned.values() for slot in slots}
    free = iter([slot for slot in range(STICKY_SLOTS) if slot not in taken])
    for name, percent in sorted(percents.items()):
        missing = percent * SLOTS_PER_PERCENT - len(owned[name])
        owned[name] = sorted([*owned[name], *(next(free) for _ in range(missing))])
    return {name: _collapse(slots) for name, slots in owned.items()}


def _expand(ranges: Sequence[tuple[int, int]]) -> list[int]:
    return [slot for start, end in ranges for slot in range(start, end)]


def _collapse(slots: Sequence[int]) -> Ranges:
    ranges: Ranges = []
    for slot in slots:
        if ranges and ranges[-1][1] == slot:
            ranges[-1] = (ranges[-1][0], slot + 1)
        else:
            ranges.append((slot, slot + 1))
    return ranges
