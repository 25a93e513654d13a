"""A real S3 server for each test (a folder, a process, a port), and one real Kafka for all of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kafka_server import KafkaServer, broker
from podium_monitor.lake.opening import open_store
from podium_monitor.lake.store import Store
from s3_server import ACCESS_KEY, SECRET_KEY, S3Server, serving


@pytest.fixture
def s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    with serving(tmp_path) as server:
        yield server


@pytest.fixture
def store(s3: S3Server, tmp_path: Path) -> Store:
    return open_store(s3.settings(tmp_path / "cache"))


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    with broker(tmp_path_factory.mktemp("kafka")) as server:
        yield server
