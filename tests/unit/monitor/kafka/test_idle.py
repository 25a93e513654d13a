"""What a collector without Kafka does not pay for."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.process


def test_a_collector_without_brokers_does_not_load_the_client() -> None:
    asked = "import sys, podium_monitor.server; print([name for name in sys.modules if 'confluent' in name])"
    ran = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
