"""Several models in one process over real sockets: which answers, loading, unloading and loading again under load."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from podium_serving.local.counting import Figures
from podium_serving.local.folders import Folders
from podium_serving.local.models import LocalModels
from podium_serving.local.running import local
from podium_serving.metrics import Metrics
from podium_serving.model.package import InvalidPackage
from podium_serving.settings import HttpSettings, Settings
from serving_fixtures import make_package
from serving_lane_fixtures import infer_body

pytestmark = pytest.mark.process

SETTINGS = Settings(
    namespace="local",
    deployment="local",
    deployment_uid="local",
    bind="127.0.0.1",
    http_port=0,
    grpc_port=None,
    http=HttpSettings(drain_grace_seconds=0.0, drain_limit_seconds=5.0),
)


@asynccontextmanager
async def serving(repository: Path, *, changeable: bool = True) -> AsyncIterator[aiohttp.ClientSession]:
    models = LocalModels(SETTINGS, Folders([], repository))
    figures = Figures(models.metrics, Metrics("local", "", process=False))
    try:
        await models.load_all()
        async with (
            local(models, SETTINGS, figures, figures.answer, changeable=changeable, shared=False) as ports,
            aiohttp.ClientSession(f"http://127.0.0.1:{ports.http}") as session,
        ):
            yield session
    finally:
        await models.close()


def two_models(folder: Path) -> None:
    make_package(folder / "one", name="sum", weights=[1, 1])
    make_package(folder / "two", name="double", weights=[2, 2])


async def asked(session: aiohttp.ClientSession, model: str, **more: Any) -> tuple[int, Any]:
    async with session.post(f"/v2/models/{model}/infer", data=infer_body(3, 4), **more) as response:
        return response.status, await response.json()


async def score(session: aiohttp.ClientSession, model: str) -> float:
    status, answer = await asked(session, model)
    assert status == 200, answer
    return float(answer["outputs"][0]["data"][0])


async def change(session: aiohttp.ClientSession, model: str, verb: str, body: str = "") -> tuple[int, Any]:
    async with session.post(f"/v2/repository/models/{model}/{verb}", data=body) as response:
        return response.status, await response.json()


async def listed(session: aiohttp.ClientSession, body: str = "") -> dict[str, tuple[str, str, str]]:
    async with session.post("/v2/repository/index", data=body) as response:
        entries = await response.json()
    return {entry["name"]: (entry["state"], entry["version"], entry["reason"]) for entry in entries}


async def test_the_path_says_which_model_answers(tmp_path: Path) -> None:
    two_models(tmp_path)
    async with serving(tmp_path) as session:
        assert await score(session, "sum") == 7.0
        assert await score(session, "double") == 14.0
        assert (await asked(session, "triple"))[0] == 404
        async with session.get("/v2/models/double") as response:
            assert (await response.json())["name"] == "double"
        async with session.get("/v1/models") as response:
            assert sorted((await response.json())["models"]) == ["double", "sum"]
        body = json.dumps({"instances": [[3, 4]]})
        async with session.post("/v1/models/double:predict", data=body) as response:
            assert await response.json() == {"predictions": [[14.0]]}
        async with session.get("/docs") as response:
            page = await response.text()
            assert ('href="models/sum/docs"' in page, 'href="models/double/docs"' in page) == (True, True)
        async with session.get("/models/double/docs") as response:
            assert "/v2/models/double/infer" in await response.text()


async def test_each_model_has_figures_of_its_own(tmp_path: Path) -> None:
    two_models(tmp_path)
    async with serving(tmp_path) as session:
        for model in ("sum", "double", "double", "triple"):
            await asked(session, model)
        async with session.get("/metrics") as response:
            text = await response.text()
    lines = [line for line in text.splitlines() if line.startswith("podium_requests_total")]
    assert sorted(lines) == [
        'podium_requests_total{code="200",deployment="double",namespace="local",role="champion",version="1"} 2.0',
        'podium_requests_total{code="200",deployment="sum",namespace="local",role="champion",version="1"} 1.0',
        'podium_requests_total{code="404",deployment="",namespace="local",role="champion",version=""} 1.0',
    ]
    assert text.count("# TYPE podium_requests_total counter") == 1
    assert "process_resident_memory_bytes" in text


async def test_models_are_unloaded_and_loaded_by_clients(tmp_path: Path) -> None:
    two_models(tmp_path)
    async with serving(tmp_path) as session:
        assert await change(session, "sum", "unload", '{"parameters": {"unload_dependents": false}}') == (200, {})
        assert (await asked(session, "sum"))[0] == 404
        assert await score(session, "double") == 14.0
        assert await listed(session) == {"double": ("READY", "1", ""), "sum": ("UNAVAILABLE", "", "unloaded")}
        assert await listed(session, '{"ready": true}') == {"double": ("READY", "1", "")}
        async with session.get("/v2/health/ready") as response:
            assert response.status == 200
        assert await change(session, "sum", "load") == (200, {})
        assert await score(session, "sum") == 7.0
        make_package(tmp_path / "three", name="triple", weights=[3, 3])
        assert (await listed(session))["triple"] == ("UNAVAILABLE", "", "unloaded")
        assert await change(session, "triple", "load", "{}") == (200, {})
        assert await score(session, "triple") == 21.0


@pytest.mark.parametrize(
    ("model", "verb", "body", "status", "text"),
    [
        pytest.param("nowhere", "load", "", 404, "no package named 'nowhere' is here; there are 'double', 'sum'", id="load"),
        pytest.param("nowhere", "unload", "", 404, "no model 'nowhere' is in memory", id="unload"),
        pytest.param("sum", "load", '{"parameters": {"config": "{}"}}', 400, "parameter 'config' is not taken", id="config"),
        pytest.param("sum", "load", "[", 400, "the body is not what this path takes", id="no-json"),
        pytest.param("sum", "load", "x" * 70_000, 413, "", id="too-large"),
    ],
)
async def test_a_change_that_cannot_be_made_is_refused(
    model: str, verb: str, body: str, status: int, text: str, tmp_path: Path
) -> None:
    two_models(tmp_path)
    async with serving(tmp_path) as session:
        got, answer = await change(session, model, verb, body)
        assert (got, text in answer["error"]) == (status, True)
        assert await score(session, "sum") == 7.0


async def test_clients_change_nothing_unless_the_server_was_told_so(tmp_path: Path) -> None:
    two_models(tmp_path)
    async with serving(tmp_path, changeable=False) as session:
        for verb in ("load", "unload"):
            status, answer = await change(session, "sum", verb)
            assert (status, "--model-control" in answer["error"]) == (403, True)
        assert await score(session, "sum") == 7.0


async def test_a_model_that_is_loaded_again_is_swapped_without_losing_a_request(tmp_path: Path) -> None:
    two_models(tmp_path)
    scores: list[float] = []
    async with serving(tmp_path) as session:
        stop = asyncio.Event()

        async def ask() -> None:
            while not stop.is_set():
                scores.append(await score(session, "sum"))

        asking = [asyncio.create_task(ask()) for _ in range(4)]
        for factor in (10, 100):
            shutil.rmtree(tmp_path / "one")
            make_package(tmp_path / "one", name="sum", version=str(factor), weights=[factor, factor])
            assert await change(session, "sum", "load") == (200, {})
            assert await score(session, "sum") == 7.0 * factor
        stop.set()
        await asyncio.gather(*asking)
        assert (await listed(session))["sum"] == ("READY", "100", "")
    assert set(scores) == {7.0, 70.0, 700.0}


async def test_a_version_that_fails_its_golden_rows_leaves_the_one_that_serves(tmp_path: Path) -> None:
    two_models(tmp_path)
    async with serving(tmp_path) as session:
        shutil.rmtree(tmp_path / "one")
        make_package(tmp_path / "one", name="sum", weights=[5, 5], golden_offset=1.0)
        status, answer = await change(session, "sum", "load")
        assert (status, "golden rows are not reproduced" in answer["error"]) == (400, True)
        assert await score(session, "sum") == 7.0


async def test_a_repository_without_a_package_that_serves_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(InvalidPackage, match="no package is here"):
        await LocalModels(SETTINGS, Folders([], tmp_path)).load_all()
    make_package(tmp_path / "a", name="churn")
    make_package(tmp_path / "b", name="churn")
    with pytest.raises(InvalidPackage, match="both hold a package named 'churn'"):
        await LocalModels(SETTINGS, Folders([], tmp_path)).load_all()
