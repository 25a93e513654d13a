"""Pages of these tests have all their rows, however busy the machine is."""

import pytest


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podium_monitor.dashboard.shelf._PATIENCE_SECONDS", 120.0)
