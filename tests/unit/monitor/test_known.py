"""Known events: bounded in number and time, the oldest forgotten first."""

from hypothesis import given
from hypothesis import strategies as st

from podium_monitor.known import KnownEvents, keys_of


def keys(*names: str) -> list[bytes]:
    return keys_of("source", names)


def test_an_event_is_its_source_and_its_id() -> None:
    assert keys_of("a", ["b"]) == keys_of("a", ["b"])
    assert len({*keys_of("a", ["b", "c"]), *keys_of("b", ["b"])}) == 3


def test_what_was_added_is_known_until_its_time_is_over() -> None:
    known = KnownEvents(1000, seconds=120)
    known.add(keys("old"), 0)
    known.add(keys("young"), 100)
    assert known.among(set(keys("old", "young"))) == set(keys("old", "young"))
    known.add(keys("new"), 121)
    assert known.among(set(keys("old", "young", "new"))) == set(keys("young", "new"))


@given(st.lists(st.integers(1, 50), min_size=1, max_size=60))
def test_the_number_is_bounded_and_the_newest_are_kept(sizes: list[int]) -> None:
    known = KnownEvents(120, seconds=3600)
    added: list[bytes] = []
    for at, size in enumerate(sizes):
        group = keys(*(f"{at}-{index}" for index in range(size)))
        known.add(group, at)
        added += group
        assert known.among(set(group)) == set(group)
        assert len(known) <= 120 + 60
    assert known.among(set(added[-60:])) == set(added[-60:])
