"""Answers of one run leave together, whoever of its callers is still there."""

import asyncio
from dataclasses import dataclass, field

import numpy as np
import pytest

from podium_serving.exchange import Answer
from podium_serving.http.exchanges import Exchange
from podium_serving.http.outbox import Outbox, Outgoing
from podium_serving.http.requests import Head
from podium_serving.http.routes import target_of
from podium_serving.oip.rows import RunTexts
from traffic_fixtures import request


@dataclass
class Connection:
    """Writes down what it is told; `broken` in that."""

    happened: list[str] = field(default_factory=list)
    broken: str = ""

    def write(self, exchange: Exchange, response: bytes, close: bool) -> None:
        self._note(f"write {response.decode()}")

    def told(self, outgoing: Outgoing) -> None:
        self._note(f"told {outgoing.response.decode()}")

    def _note(self, what: str) -> None:
        if what == self.broken:
            raise RuntimeError(what)
        self.happened.append(what)


def answers(rows: int) -> list[Answer]:
    said = {"score": np.ones((rows, 1))}
    texts = RunTexts(rows, said, said)
    return [Answer("churn-3", "sha256:3", 1, said, texts=texts, row=row) for row in range(rows)]


def put(outbox: Outbox, connection: Connection, answer: Answer, *, gone: bool = False) -> None:
    target = target_of(b"/score")
    assert target is not None
    exchange = Exchange(target, Head(), [], None, "churn", 0.0, "Warn", None)
    exchange.disconnected = gone
    outbox.put(Outgoing(connection, exchange, request((1, 2)), answer, b"%d" % answer.row, False))


async def test_answers_of_a_run_are_written_first_and_told_afterwards() -> None:
    outbox, connection = Outbox(), Connection()
    for answer in answers(3):
        put(outbox, connection, answer)
    assert connection.happened == ["write 0", "write 1", "write 2", "told 0", "told 1", "told 2"]


async def test_an_answer_that_ran_alone_waits_for_nobody() -> None:
    outbox, connection = Outbox(), Connection()
    put(outbox, connection, Answer("churn-3", "sha256:3", 1, {}))
    put(outbox, connection, answers(1)[0])
    assert connection.happened == ["write 0", "told 0"] * 2


async def test_a_run_whose_last_row_is_nobodys_leaves_before_sockets_are_looked_at() -> None:
    outbox, connection = Outbox(), Connection()
    put(outbox, connection, answers(3)[0])
    assert connection.happened == []
    await asyncio.sleep(0)
    assert connection.happened == ["write 0", "told 0"]
    outbox.send()
    assert len(connection.happened) == 2


async def test_a_client_that_left_meanwhile_gets_nothing_and_is_not_told_of() -> None:
    outbox, connection = Outbox(), Connection()
    for row, answer in enumerate(answers(2)):
        put(outbox, connection, answer, gone=row == 0)
    assert connection.happened == ["write 1", "told 1"]


@pytest.mark.parametrize("broken", ["write 0", "told 0"])
async def test_what_goes_wrong_with_one_answer_harms_no_other(broken: str, caplog: pytest.LogCaptureFixture) -> None:
    outbox, connection = Outbox(), Connection(broken=broken)
    for answer in answers(2):
        put(outbox, connection, answer)
    assert {"write 1", "told 1"} <= {*connection.happened}
    assert "request-1" in caplog.text
