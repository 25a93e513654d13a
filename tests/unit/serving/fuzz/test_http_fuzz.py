"""A short run of the fuzzer against a real process; `make fuzz` is the long one."""

import time
from pathlib import Path

import pytest

from fuzz.http_fuzz import run
from fuzz.local_server import local_server

pytestmark = pytest.mark.process

COUNT = 4000


def test_damaged_requests_are_refused_and_harm_nobody(tmp_path: Path) -> None:
    with local_server(tmp_path) as server:
        run(server.address, 1_000_000, 200)
        files = server.open_files()
        counts = run(server.address, 0, COUNT)
        assert counts.sent == COUNT
        assert counts.good == COUNT // 100
        assert counts.statuses[400] > counts.statuses[200] > 0
        deadline = time.monotonic() + 60  # what a refused client still sends is thrown away for two seconds
        while server.open_files() > files and time.monotonic() < deadline:
            time.sleep(0.05)
        assert server.open_files() <= files
        assert "Traceback" not in (tmp_path / "server.log").read_text()
