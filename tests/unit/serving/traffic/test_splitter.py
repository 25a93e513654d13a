"""The split: exact per block, unpredictable without the seed, and one arm per key for ever."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podium_crds.plan import PlannedRoute, PlannedSticky, PlannedVersion
from podium_crds.slots import allocate, slot_of
from podium_serving.exchange import Fallback, InferRequest
from podium_serving.traffic.splitter import Assignment, Blocks, Splitter

SALT = b"s" * 32


@st.composite
def splits(draw: st.DrawFn) -> dict[str, int]:
    first = draw(st.integers(0, 100))
    return {"a": first, "b": draw(st.integers(0, 100 - first))}


def canaries(percents: dict[str, int], slots: dict[str, list[tuple[int, int]]] | None = None) -> list[PlannedRoute]:
    slots = slots or allocate({}, percents)
    version = PlannedVersion(name="v", uri="oci://registry/v", digest="sha256:" + "0" * 64, image="image")
    return [
        PlannedRoute(
            name=name,
            version=version,
            mode="Canary",
            percent=percent,
            timeout_milliseconds=100,
            host=name,
            slots=slots[name],
        )
        for name, percent in percents.items()
    ]


def splitter(sticky: PlannedSticky, routes: list[PlannedRoute], seed: bytes = b"seed") -> Splitter:
    return Splitter(sticky, routes, SALT, Blocks(seed, {route.name: route.percent for route in routes}))


def request(key: object = None, *, header: str | None = None) -> InferRequest:
    columns = {} if key is None else {"customer": np.array([[key]], dtype=object)}
    headers = {} if header is None else {"x-customer-id": header}
    return InferRequest(columns, 1, 0.0, 1.0, "r", headers=headers)


HEADER = PlannedSticky(type="Header", name="x-customer-id")
INPUT = PlannedSticky(type="Input", name="customer")


@given(splits(), st.binary(min_size=1, max_size=32), st.integers(1, 5))
def test_every_block_holds_exactly_the_percentages(percents: dict[str, int], seed: bytes, count: int) -> None:
    blocks = Blocks(seed, percents)
    for _ in range(count):
        arms = Counter(blocks.next_arm() for _ in range(100))
        assert {name: arms[name] for name in percents} == percents
        assert arms[None] == 100 - sum(percents.values())


@settings(max_examples=20)
@given(splits(), st.integers(1, 1000))
def test_the_share_is_never_off_by_a_block(percents: dict[str, int], requests: int) -> None:
    blocks = Blocks(b"seed", percents)
    arms: Counter[str | None] = Counter()
    for sent in range(1, requests + 1):
        arms[blocks.next_arm()] += 1
        for name, percent in percents.items():
            assert abs(arms[name] - sent * percent / 100) < 100


def test_the_order_follows_from_the_seed_and_from_nothing_else() -> None:
    def order(seed: bytes) -> list[str | None]:
        blocks = Blocks(seed, {"a": 50})
        return [blocks.next_arm() for _ in range(300)]

    assert order(b"one") == order(b"one")
    assert order(b"one") != order(b"two")
    assert order(b"one")[:100] != order(b"one")[100:200]


def test_an_arm_is_as_likely_at_every_place_of_a_block() -> None:
    blocks = Blocks(b"seed", {"a": 10})
    places: Counter[int] = Counter()
    for _ in range(2000):
        places.update(place for place in range(100) if blocks.next_arm() == "a")
    # 200 expected per place; a binomial's standard deviation is 13.4, and 5 of them are passed once in 10,000 such tests.
    assert max(abs(places[place] - 200) for place in range(100)) < 70


@pytest.mark.parametrize("percents", [{"a": 101}, {"a": 60, "b": 41}, {"a": -1}])
def test_an_impossible_split_is_refused(percents: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at most 100 together"):
        Blocks(b"seed", percents)


@given(st.text(min_size=1), splits())
def test_a_key_has_the_same_arm_on_every_pod_and_after_every_restart(key: str, percents: dict[str, int]) -> None:
    one = splitter(INPUT, canaries(percents), b"one")
    two = splitter(INPUT, canaries(percents), b"two")
    assert one.assign(request(key)) == two.assign(request(key)) == one.assign(request(key))


@given(st.integers(0, 10**9))
def test_a_key_has_the_same_arm_as_header_string_and_number(number: int) -> None:
    routes = canaries({"a": 30, "b": 30})
    by_input = splitter(INPUT, routes)
    by_header = splitter(HEADER, routes)
    arms = {
        by_input.assign(request(str(number))).arm,
        by_input.assign(request(number)).arm,
        by_input.assign(request(float(number))).arm,
        by_header.assign(request(header=str(number))).arm,
    }
    assert len(arms) == 1


def test_the_share_of_keys_is_as_asked() -> None:
    split = splitter(INPUT, canaries({"a": 10, "b": 25}))
    arms = Counter(split.assign(request(f"customer-{number}")).arm for number in range(20_000))
    assert arms["a"] == pytest.approx(2000, abs=220)  # five standard deviations of a binomial
    assert arms["b"] == pytest.approx(5000, abs=310)


@given(splits(), splits(), st.lists(st.text(min_size=1), min_size=1, max_size=30))
def test_changing_a_percentage_moves_keys_only_between_champion_and_that_challenger(
    before: dict[str, int], after: dict[str, int], keys: list[str]
) -> None:
    old_slots = allocate({}, before)
    old = splitter(INPUT, canaries(before, old_slots))
    new = splitter(INPUT, canaries(after, allocate(old_slots, after)))
    for key in keys:
        was, now = old.assign(request(key)).arm, new.assign(request(key)).arm
        if was != now:
            assert was is None or after[was] < before[was]
            assert now is None or after[now] > before[now]


def test_a_batch_of_different_keys_stays_with_the_champion() -> None:
    mixed = InferRequest({"customer": np.array([["a"], ["b"]], dtype=object)}, 2, 0.0, 1.0, "r")
    assert splitter(INPUT, canaries({"a": 100})).assign(mixed) == Assignment(None, Fallback.MIXED_KEYS)


@pytest.mark.parametrize(
    ("sticky", "asked"),
    [
        pytest.param(INPUT, request(""), id="empty-input"),
        pytest.param(INPUT, request(), id="no-such-input"),
        pytest.param(HEADER, request("a"), id="no-header"),
        pytest.param(HEADER, request(header=""), id="empty-header"),
    ],
)
def test_a_request_without_a_key_stays_with_the_champion(sticky: PlannedSticky, asked: InferRequest) -> None:
    assert splitter(sticky, canaries({"a": 100})).assign(asked) == Assignment(None, Fallback.MISSING_KEY)


def test_a_header_is_found_whatever_the_plan_calls_it() -> None:
    split = splitter(PlannedSticky(type="Header", name="X-Customer-Id"), canaries({"a": 100}))
    assert split.assign(request(header="7")) == Assignment("a")


def test_slots_decide_and_not_the_percentage() -> None:
    slot = slot_of(SALT, b"key")
    routes = canaries({"a": 1}, {"a": [(slot, slot + 1)]})
    assert splitter(INPUT, routes).assign(request("key")).arm == "a"
    routes = canaries({"a": 1}, {"a": [(slot + 1, slot + 2)]})
    assert splitter(INPUT, routes).assign(request("key")).arm is None


def test_slots_beyond_the_table_are_refused() -> None:
    with pytest.raises(ValueError, match="10000"):
        splitter(INPUT, canaries({"a": 1}, {"a": [(9_999, 10_001)]}))
