"""What the person at the terminal reads: steps with their seconds, and failures in one plain sentence.

Steps go to standard error, so that a command's standard output (`env`, `kubeconfig`) can be used by a shell.
"""

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path


class Failure(Exception):
    """The command cannot go on. The text says what is wrong and what to do."""


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@contextmanager
def step(title: str) -> Iterator[None]:
    """Prints the title at once and the seconds when done. A step that fails prints no seconds."""
    started = time.monotonic()
    print(f"{title} ... ", end="", file=sys.stderr, flush=True)
    try:
        yield
    except BaseException:
        say("failed")
        raise
    say(f"{time.monotonic() - started:.1f} s")


def run(
    command: Sequence[str | Path], *, env: Mapping[str, str] | None = None, cwd: Path | None = None, text: str | None = None
) -> str:
    """Runs a program to its end and returns its standard output. Raises Failure with its last lines."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(words, env=env, cwd=cwd, input=text, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise Failure(f"the program {words[0]} is not installed") from error
    if done.returncode != 0:
        last_lines = "\n".join((done.stderr or done.stdout).strip().splitlines()[-20:])
        raise Failure(f"'{' '.join(words)}' ended with {done.returncode}:\n{last_lines}")
    return done.stdout


def tail(log: Path, lines: int = 20) -> str:
    """The last lines of a log file; at most its last 64 KiB are read."""
    if not log.exists():
        return "(no log)"
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 65536))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
