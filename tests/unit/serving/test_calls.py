"""What every protocol shares on its way to the model."""

from podium_serving.calls import RequestIds


def test_ids_are_never_the_same() -> None:
    one, other = RequestIds(), RequestIds()
    assert len({one(), one(), other(), other()}) == 4
