"""What a failure shows of the logs in its folder."""

import os
from pathlib import Path

from log_tails import MOST_FILES, MOST_LINES, log_tails


def test_the_ends_of_the_newest_logs_are_shown_wherever_they_lie(tmp_path: Path) -> None:
    (tmp_path / "pods" / "a").mkdir(parents=True)
    (tmp_path / "pods" / "a" / "log").write_bytes(b"\xff" + b"\n".join(b"line %d" % number for number in range(10_000)))
    (tmp_path / "operator.log").write_text("it leads")
    (tmp_path / "empty.log").touch()
    (tmp_path / "data.parquet").write_bytes(b"PAR1")
    (tmp_path / "folder.log").mkdir()
    os.utime(tmp_path / "operator.log", (1, 1))
    (newest, lines), other = log_tails(tmp_path)
    assert (newest, len(lines.splitlines()), lines.splitlines()[-1]) == ("pods/a/log", MOST_LINES, "line 9999")
    assert other == ("operator.log", "it leads")


def test_of_many_logs_some_are_shown(tmp_path: Path) -> None:
    for number in range(MOST_FILES + 5):
        (tmp_path / f"{number}.log").write_text("x")
    assert len(list(log_tails(tmp_path))) == MOST_FILES
