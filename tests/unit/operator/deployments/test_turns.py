"""Not all deployments bring up a second pool in the hour of an upgrade."""

from podium_operator.deployments.turns import Turns
from podium_operator.kinds import Key

A, B, C, D = (Key("ModelDeployment", "retention", name) for name in "abcd")


def test_two_move_at_once_and_the_next_follows_when_one_is_done() -> None:
    turns = Turns()
    assert [turns.take(key, 0.0) for key in (A, B, C)] == [True, True, False]
    assert turns.take(A, 100.0), "who has the turn keeps it"
    turns.end(A)
    assert turns.take(C, 100.0)
    assert not turns.take(D, 100.0)


def test_a_move_that_does_not_end_holds_nobody_up_for_ever() -> None:
    turns = Turns()
    assert turns.take(A, 0.0)
    assert turns.take(B, 0.0)
    assert not turns.take(C, 899.0)
    assert turns.take(C, 900.0)
    assert turns.take(A, 900.0), "it goes on"


def test_to_end_what_never_began_is_nothing() -> None:
    Turns().end(A)
