"""Mutated requests against a real port: what is promised is no 5xx but 503 and 504, no hang, no growth, and a right answer
to the next good request.
"""

import json
import socket
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

from fuzz.messages import good, seeds
from fuzz.mutations import damaged_http
from fuzz.responses import due_responses, everything, first

ALLOWED_ABOVE_499 = {503, 504}
CHECK_EVERY = 100
"""Damaged requests between two good ones, whose answers are compared."""
PATIENCE_SECONDS = 60.0
"""Above every limit of the server: a body may take 10 s."""


class Finding(AssertionError):
    """A promise that was broken. The text names the seed that repeats it."""


@dataclass
class Counts:
    sent: int = 0
    good: int = 0
    statuses: Counter[int] = field(default_factory=Counter)

    def __str__(self) -> str:
        by_status = ", ".join(f"{status}: {number}" for status, number in sorted(self.statuses.items()))
        return f"{self.sent} damaged requests ({by_status}), {self.good} good ones between them answered right"


def run(address: tuple[str, int], first_seed: int, count: int) -> Counts:
    """Sends `count` damaged requests, a connection each, and good ones on a connection that lives all the while."""
    counts = Counts()
    starts = seeds()
    with socket.create_connection(address, PATIENCE_SECONDS) as steady:
        for seed in range(first_seed, first_seed + count):
            _send_damaged(address, damaged_http(starts, seed), seed, counts)
            if counts.sent % CHECK_EVERY == 0:
                _check_good(steady, seed, counts)
    return counts


def _send_damaged(address: tuple[str, int], message: bytes, seed: int, counts: Counts) -> None:
    with socket.create_connection(address, PATIENCE_SECONDS) as connection:
        with suppress(OSError):  # refused before all was sent: what it said is read all the same
            connection.sendall(message)
        try:
            said = everything(connection, due_responses(message))
        except TimeoutError as error:
            raise Finding(
                f"seed {seed}: neither answered nor closed within {PATIENCE_SECONDS:g} s: {message[:300]!r}"
            ) from error
        except AssertionError as error:
            raise Finding(f"seed {seed}: {error}; sent {message[:300]!r}") from error
    counts.sent += 1
    counts.statuses.update(said.statuses)
    for status, body in zip(said.statuses, said.bodies, strict=True):
        if status >= 500 and status not in ALLOWED_ABOVE_499:
            raise Finding(f"seed {seed}: {status} {body[:300]!r} to {message[:500]!r}")


def _check_good(steady: socket.socket, seed: int, counts: Counts) -> None:
    left, right = float(seed % 1000), float(seed % 7)
    steady.sendall(good(left, right))
    said = first(steady)
    answer = json.loads(said.bodies[0])
    if said.statuses != [200] or answer["outputs"][0]["data"] != [left + right]:
        raise Finding(f"after seed {seed} a good request was answered {said.statuses} {said.bodies[0][:300]!r}")
    counts.good += 1
