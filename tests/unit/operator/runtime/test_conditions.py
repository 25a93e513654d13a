from datetime import UTC, datetime

import pytest

from podium_crds.v1alpha1.meta import Condition
from podium_operator.conditions import Wanted, current, failed, in_progress, is_true, merged

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
LATER = datetime(2026, 11, 21, 13, tzinfo=UTC)


def kstatus(conditions: list[Condition], observed_generation: int, generation: int) -> str:
    """What kstatus makes of it, as its documentation says."""
    if observed_generation != generation:
        return "InProgress"
    by_type = {condition.type: condition.status for condition in conditions}
    if by_type.get("Stalled") == "True":
        return "Failed"
    if by_type.get("Reconciling") == "True" or by_type.get("Ready") != "True":
        return "InProgress"
    return "Current"


@pytest.mark.parametrize(
    ("wanted", "verdict"),
    [
        pytest.param(current("Verified"), "Current", id="current"),
        pytest.param(in_progress("Verifying"), "InProgress", id="on-the-way"),
        pytest.param(in_progress("Swapping", ready="True"), "InProgress", id="on-the-way-while-the-old-serves"),
        pytest.param(failed("DigestMismatch", "wrong digest"), "Failed", id="failed"),
        pytest.param(failed("DigestMismatch", "wrong digest", ready="True"), "Failed", id="failed-while-the-old-serves"),
    ],
)
def test_kstatus_reads_each_verdict_as_it_is_meant(wanted: list[Wanted], verdict: str) -> None:
    assert kstatus(merged([], wanted, 3, NOON), 3, 3) == verdict


def test_the_transition_time_moves_with_the_status_only() -> None:
    first = merged([], [Wanted("Ready", "Unknown", "Verifying")], 1, NOON)
    second = merged(first, [Wanted("Ready", "Unknown", "Building", "other words")], 2, LATER)
    third = merged(second, [Wanted("Ready", "True", "Verified")], 2, LATER)
    assert [found[0].last_transition_time for found in (first, second, third)] == [
        "2026-11-21T12:00:00Z",
        "2026-11-21T12:00:00Z",
        "2026-11-21T13:00:00Z",
    ]
    assert second[0].observed_generation == 2


def test_a_condition_that_is_not_wanted_any_more_is_gone() -> None:
    before = merged([], failed("NoReport", "x"), 1, NOON)
    assert [condition.type for condition in merged(before, current("Verified"), 1, LATER)] == ["Ready"]


def test_saying_the_same_twice_changes_nothing() -> None:
    before = merged([], in_progress("Verifying", "wait"), 1, NOON)
    assert merged(before, in_progress("Verifying", "wait"), 1, LATER) == before


def test_true_of_an_older_generation_does_not_count() -> None:
    conditions = merged([], [Wanted("Ready", "True", "Verified")], 1, NOON)
    assert is_true(conditions, "Ready")
    assert is_true(conditions, "Ready", 1)
    assert not is_true(conditions, "Ready", 2)
