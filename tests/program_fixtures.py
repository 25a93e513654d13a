"""Programs that tests run as a user would: their output and exit code are what is tested."""

import subprocess
from collections.abc import Callable
from pathlib import Path

Run = Callable[..., "subprocess.CompletedProcess[str]"]
"""`run(*arguments, stdin=...)`; a failure is an exit code, not an exception."""

TIMEOUT_SECONDS = 300


def runner(*command: str | Path) -> Run:
    """Runs the program with these first words."""

    def run(*arguments: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        words = [*(str(word) for word in command), *arguments]
        return subprocess.run(words, input=stdin, capture_output=True, text=True, check=False, timeout=TIMEOUT_SECONDS)

    return run
