"""Which older dates and hours are looked at together, and when: pure."""

import pytest

from podium_monitor.evaluations.listing import next_in_turn
from podium_monitor.evaluations.matching import older_groups


@pytest.mark.parametrize(
    ("last", "expected"),
    [("", "ab"), ("a", "bc"), ("d", "ea"), ("e", "ab"), ("bb", "cd")],
)
def test_older_dates_have_their_turn_one_after_another(last: str, expected: str) -> None:
    assert list(next_in_turn("abcde", last, 2)) == list(expected)
    assert list(next_in_turn("ab", last, 2)) == ["a", "b"]


def test_older_hours_are_looked_at_by_week_and_those_of_the_week_that_goes_on_by_date() -> None:
    hours = ["2026-11-15T01", "2026-11-15T02", "2026-11-16T00", "2026-11-17T05", "2026-11-17T06"]
    groups = {group.name: list(group.hours) for group in older_groups(hours, "2026-11-18")}
    assert groups == {"2026-W46": hours[:2], "2026-11-16": hours[2:3], "2026-11-17": hours[3:]}
