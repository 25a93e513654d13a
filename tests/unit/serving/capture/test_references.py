"""References on their way to the collector: once per version, whole, and again until it has them."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from aiohttp import web

from monitor_fixtures import KEY, SOURCE, CollectorProcess
from monitor_fixtures import running as collector_running
from podium_crds.capture import capture_token
from podium_crds.package import DESCRIPTOR_FILE, PROFILE_FILE, REFERENCE_FILE
from podium_crds.plan import PlannedCapture
from podium_crds.profile import Profile
from podium_serving.capture.references import ReferenceLimits, References, reference_url
from podium_serving.settings import Secrets, Settings
from ports import free_port
from serving_fixtures import make_package
from swap_fixtures import FakeRegistry, plan, pods
from traffic_fixtures import until

pytestmark = pytest.mark.process

QUICK = ReferenceLimits(first_pause_seconds=0.01, longest_pause_seconds=0.05, silent_seconds=60.0)
DIGEST = "sha256:" + "1" * 64
FILES = {DESCRIPTOR_FILE: b"name: churn\n", PROFILE_FILE: b'{"rows": 1}', REFERENCE_FILE: b"PAR1" * 200_000}


@dataclass
class Collector:
    """What was asked and what is held. `statuses` are answered first, one per request."""

    asked: list[str] = field(default_factory=list)
    held: dict[str, bytes] = field(default_factory=dict)
    statuses: list[int] = field(default_factory=list)
    refusals: dict[str, int] = field(default_factory=dict)
    sources: set[tuple[str, str]] = field(default_factory=set)

    async def answer(self, request: web.Request) -> web.Response:
        name = request.path.rpartition("/")[2]
        assert request.path == f"/v1/references/{DIGEST}/{name}"
        content = await request.read()
        self.asked.append(f"{request.method} {name}")
        self.sources.add((request.headers["Authorization"], request.headers["Podium-Source"]))
        if self.statuses and (status := self.statuses.pop(0)) != 200:
            return web.json_response({"error": "later"}, status=status)
        if request.method == "HEAD":
            return web.Response(status=200 if name in self.held else 404)
        if name in self.refusals:
            return web.json_response({"error": f"{name} is not taken"}, status=self.refusals[name])
        assert request.headers["Content-Type"] == "application/octet-stream"
        self.held[name] = content
        return web.Response(status=201)


@asynccontextmanager
async def listening(collector: Collector, port: int) -> AsyncIterator[None]:
    application = web.Application(client_max_size=64 * 1024 * 1024)
    application.router.add_route("*", "/{path:.*}", collector.answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield
    finally:
        await runner.cleanup()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    package = tmp_path / "package"
    package.mkdir()
    for name, content in FILES.items():
        (package / name).write_bytes(content)
    return package


@dataclass
class Bringing:
    references: References
    collector: Collector
    port: int

    def serve(self, digest: str = DIGEST, **changes: Any) -> None:
        capture = PlannedCapture(percent=100, url=f"http://127.0.0.1:{self.port}/v1/events")
        self.references.served(plan(1, digest=digest, **({"capture": capture} | changes)))


def settings(**changes: Any) -> Settings:
    known = {"namespace": "shop", "deployment": "churn", "deployment_uid": "uid-1", "pool": "a"}
    return Settings(**(known | {"secrets": Secrets(capture_token="capture-token")} | changes))


@asynccontextmanager
async def bringing(folder: Path, collector: Collector, *, up: bool = True, **changes: Any) -> AsyncIterator[Bringing]:
    port = free_port()
    references = References(settings(**changes), lambda digest: folder, QUICK)
    try:
        if up:
            async with listening(collector, port):
                yield Bringing(references, collector, port)
                await references.close()
        else:
            yield Bringing(references, collector, port)
    finally:
        await references.close()


async def test_all_files_arrive_and_the_one_that_makes_them_whole_comes_last(folder: Path) -> None:
    async with bringing(folder, Collector()) as one:
        one.serve()
        await until(lambda: DESCRIPTOR_FILE in one.collector.held)
        assert one.collector.held == FILES
        assert one.collector.asked == [
            f"HEAD {DESCRIPTOR_FILE}",
            f"PUT {PROFILE_FILE}",
            f"PUT {REFERENCE_FILE}",
            f"PUT {DESCRIPTOR_FILE}",
        ]
        assert one.collector.sources == {("Bearer capture-token", "shop/churn/uid-1")}


async def test_what_the_package_lacks_is_not_sent(folder: Path) -> None:
    (folder / PROFILE_FILE).unlink()
    (folder / REFERENCE_FILE).unlink()
    async with bringing(folder, Collector()) as one:
        one.serve()
        await until(lambda: DESCRIPTOR_FILE in one.collector.held)
        assert list(one.collector.held) == [DESCRIPTOR_FILE]


async def test_what_is_there_is_not_sent_again_and_nothing_is_asked_twice(folder: Path) -> None:
    async with bringing(folder, Collector(held={DESCRIPTOR_FILE: b""})) as one:
        for _ in range(3):
            one.serve()
        await until(lambda: bool(one.collector.asked))
        await one.references.close()
        one.serve()
        assert one.collector.asked == [f"HEAD {DESCRIPTOR_FILE}"]


@pytest.mark.parametrize(
    ("changes", "planned"),
    [
        pytest.param({}, {"capture": PlannedCapture()}, id="without-capture"),
        pytest.param({}, {"pool": "another"}, id="the-champion-of-another-pool"),
        pytest.param({"secrets": Secrets()}, {}, id="without-a-credential"),
    ],
)
async def test_who_has_nothing_to_bring_asks_nothing(folder: Path, changes: dict[str, Any], planned: dict[str, Any]) -> None:
    async with bringing(folder, Collector(), **changes) as one:
        one.serve(**planned)
        assert asyncio.all_tasks() - {asyncio.current_task()} == set()


async def test_a_collector_that_comes_late_gets_it_and_its_absence_is_said_once(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "podium_serving.capture.references")
    async with bringing(folder, Collector(statuses=[503, 200, 429]), up=False) as one:
        one.serve()
        await until(lambda: "waits: cannot connect to 127.0.0.1" in caplog.text)
        async with listening(one.collector, one.port):
            await until(lambda: "the collector has the reference of churn-1111" in caplog.text)
            await one.references.close()
    assert one.collector.held == FILES
    assert caplog.text.count("waits") == 1


async def test_what_is_refused_for_good_is_said_and_left(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with bringing(folder, Collector(refusals={PROFILE_FILE: 400})) as one:
        one.serve()
        said = "is not brought to the collector: profile.json is answered with 400: {"
        await until(lambda: said in caplog.text)
        await one.references.close()
        assert one.collector.asked == [f"HEAD {DESCRIPTOR_FILE}", f"PUT {PROFILE_FILE}"]


async def test_a_package_that_left_the_cache_meanwhile_is_left(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in FILES:
        (folder / name).unlink()
    async with bringing(folder, Collector()) as one:
        one.serve()
        await until(lambda: "its package is no longer here" in caplog.text)


async def test_an_address_that_is_none_harms_nobody(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with bringing(folder, Collector()) as one:
        one.serve(capture=PlannedCapture(percent=1, url="collector"))
        await until(lambda: "is no address" in caplog.text)


@pytest.mark.parametrize(
    ("url", "there"),
    [
        ("http://podium-monitor.podium:8090/v1/events", "http://podium-monitor.podium:8090/v1/references/sha256:1"),
        ("https://collect.example/a/b?c=d", "https://collect.example/v1/references/sha256:1"),
        ("http://[::1]:8090", "http://[::1]:8090/v1/references/sha256:1"),
    ],
)
def test_references_go_to_the_origin_of_the_events(url: str, there: str) -> None:
    assert reference_url(url, "sha256:1") == there


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[CollectorProcess]:
    yield from collector_running(tmp_path)


async def test_the_real_collector_takes_it(tmp_path: Path, collector: CollectorProcess) -> None:
    digest = make_package(tmp_path / "package")
    profile = Profile(rows=2, inputs={}, outputs={})
    (tmp_path / "package" / PROFILE_FILE).write_text(profile.model_dump_json())
    pq.write_table(pa.table({"x0": [1.0, 2.0]}), tmp_path / "package" / REFERENCE_FILE)
    await collector.ready()
    references = References(
        settings(secrets=Secrets(capture_token=capture_token(KEY, SOURCE))), lambda digest: tmp_path / "package", QUICK
    )
    capture = PlannedCapture(percent=100, url=f"{collector.url}/v1/events")
    references.served(plan(1, digest=digest, capture=capture))
    kept = collector.lake / f"references/namespace=shop/deployment=churn/digest={digest.replace(':', '-')}"
    await until(lambda: (kept / DESCRIPTOR_FILE).is_file(), 60)
    await references.close()
    for name in FILES:
        assert (kept / name).read_bytes() == (tmp_path / "package" / name).read_bytes()


async def test_a_pod_brings_what_it_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podium_serving.capture.references.ReferenceLimits", lambda: QUICK)
    one, port = Collector(), free_port()
    async with FakeRegistry().running() as registry, listening(one, port), pods(tmp_path, registry) as group:
        digest = registry.add_made(tmp_path / "p")
        monkeypatch.setattr(__name__ + ".DIGEST", digest)
        capture = PlannedCapture(percent=100, url=f"http://127.0.0.1:{port}/v1/events")
        pod = await group.start("127.0.0.61")
        await group.swap_to(plan(1, digest=digest, uri=registry.uri, capture=capture))
        await until(lambda: DESCRIPTOR_FILE in one.held)
        assert one.held[DESCRIPTOR_FILE] == (pod.hot_swap.packages.cache.package(digest) / DESCRIPTOR_FILE).read_bytes()
