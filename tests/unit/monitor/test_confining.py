"""A reader in a process of its own gets so much memory and time, nothing of the environment, and no more."""

import time
from pathlib import Path

import pytest

from podium_monitor.confining import Bounds, Unreadable, answer_of

pytestmark = pytest.mark.process

BOUNDS = Bounds(memory_bytes=128 << 20, cpu_seconds=1, wall_seconds=600, answer_bytes=1000)
"""Where all processors are busy, a second of one takes a process of low priority more than a minute."""


@pytest.fixture(autouse=True)
def programs_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))


def test_what_a_reader_makes_of_the_content_is_the_answer() -> None:
    assert answer_of(["confined_programs", "echo"], b"a" * 1000, BOUNDS) == b"a" * 1000


@pytest.mark.parametrize("what", ["hoard", "spin", "chatter", "fail"])
def test_one_that_takes_too_much_or_fails_is_ended_and_said_so(what: str) -> None:
    began = time.monotonic()
    with pytest.raises(Unreadable, match="128 MiB of memory or 1 s"):
        answer_of(["confined_programs", what], b"content", BOUNDS)
    assert time.monotonic() - began < 500  # by what it used, not by the clock


def test_one_that_neither_works_nor_ends_is_ended() -> None:
    bounds = Bounds(memory_bytes=128 << 20, cpu_seconds=10, wall_seconds=1, answer_bytes=1000)
    with pytest.raises(Unreadable):
        answer_of(["confined_programs", "sleep"], b"", bounds)


def test_secrets_of_the_environment_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    names = answer_of(["confined_programs", "environment"], b"", BOUNDS).decode().split()
    assert "PATH" in names
    assert "AWS_SECRET_ACCESS_KEY" not in names
