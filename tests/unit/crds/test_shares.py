"""Shares of something bounded: one caller alone gets half, and whoever comes next always finds something."""

import pytest

from podium_crds.shares import Shares, Taken


def filled(shares: Shares, who: str) -> int:
    """How many single ones `who` gets before it is refused."""
    count = 0
    while shares.has_room(who, 1):
        shares.take(who, 1)
        count += 1
    return count


def test_one_caller_alone_gets_half_and_leaves_the_rest_to_others() -> None:
    shares = Shares(100)
    assert filled(shares, "greedy") == 50
    with pytest.raises(Taken):
        shares.take("greedy", 1)
    shares.take("modest", 1)


@pytest.mark.parametrize("callers", [1, 2, 3, 9])
def test_callers_that_take_all_they_get_leave_as_much_as_they_have_had(callers: int) -> None:
    shares = Shares(10_000)
    room = True
    while room:
        room = False
        for who in range(callers):
            if shares.has_room(who, 1):
                shares.take(who, 1)
                room = True
    fair = 10_000 // (callers + 1)
    assert abs(shares.held - fair * callers) <= callers
    assert filled(shares, "next") >= fair // 2 - 1


def test_a_first_piece_may_be_larger_than_a_share_but_not_than_what_is_free() -> None:
    shares = Shares(100)
    assert shares.has_room("large", 100)
    shares.take("small", 10)
    assert not shares.has_room("large", 91)
    assert shares.has_room("large", 90)


def test_an_empty_piece_needs_no_room() -> None:
    shares = Shares(10)
    shares.take("other", 10)
    for _ in range(2):
        shares.take("empty", 0)
    shares.give_back("empty", 0)
    shares.give_back("empty", 0)
    assert len(shares) == 1


def test_what_was_given_back_is_free_and_the_caller_forgotten() -> None:
    shares = Shares(10)
    with shares.held_by("a", 4), shares.held_by("b", 3):
        assert (shares.held, len(shares)) == (7, 2)
    with pytest.raises(Taken), shares.held_by("a", 11):
        raise AssertionError("it was not to be had")
    assert (shares.held, len(shares)) == (0, 0)
