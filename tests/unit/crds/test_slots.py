"""Sticky slots: the share is exact, and a key changes its arm only when it must."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium_crds.names import STICKY_SLOTS
from podium_crds.slots import Ranges, allocate, slot_of

NAMES = ["gradient-boosting", "neural-net", "rules"]


@st.composite
def percents(draw: st.DrawFn) -> dict[str, int]:
    left = 100
    given: dict[str, int] = {}
    for name in draw(st.lists(st.sampled_from(NAMES), unique=True)):
        given[name] = draw(st.integers(0, left))
        left -= given[name]
    return given


def owners(allocation: dict[str, Ranges]) -> dict[int, str]:
    owner: dict[int, str] = {}
    for name, ranges in allocation.items():
        for start, end in ranges:
            for slot in range(start, end):
                assert slot not in owner, f"slot {slot} belongs to {owner[slot]} and {name}"
                owner[slot] = name
    return owner


@given(percents())
def test_a_challenger_owns_a_hundred_slots_per_percent(asked: dict[str, int]) -> None:
    owned = list(owners(allocate({}, asked)).values())
    assert {name: owned.count(name) for name in asked} == {name: percent * 100 for name, percent in asked.items()}


@given(st.lists(percents(), min_size=2, max_size=4))
def test_raising_takes_only_from_the_champion_and_lowering_gives_only_back(history: list[dict[str, int]]) -> None:
    allocation: dict[str, Ranges] = {}
    previous: dict[str, int] = {}
    for asked in history:
        before, allocation = owners(allocation), allocate(allocation, asked)
        after = owners(allocation)
        for slot in range(STICKY_SLOTS):
            old, new = before.get(slot), after.get(slot)
            if old == new:
                continue
            if old is not None:
                assert asked.get(old, 0) < previous[old], f"slot {slot} left {old}, whose share was not lowered"
            if new is not None:
                assert asked[new] > previous.get(new, 0), f"slot {slot} came to {new}, whose share was not raised"
        previous = asked


def test_ranges_are_sorted_disjoint_and_joined() -> None:
    assert allocate({}, {"b": 20, "a": 10}) == {"a": [(0, 1000)], "b": [(1000, 3000)]}
    assert allocate({"a": [(0, 1000)], "b": [(1000, 3000)]}, {"b": 30}) == {"b": [(0, 3000)]}


def test_more_than_everything_cannot_be_given_away() -> None:
    with pytest.raises(ValueError, match="add up to 101"):
        allocate({}, {"a": 100, "b": 1})


@given(st.binary(max_size=40), st.binary(min_size=1, max_size=40))
def test_a_slot_is_the_keyed_hash_modulo_ten_thousand(salt: bytes, key: bytes) -> None:
    expected = int.from_bytes(hmac.new(salt, key, hashlib.sha256).digest()[:8], "big") % 10_000
    assert slot_of(salt, key) == expected
