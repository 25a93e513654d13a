"""From captured rows to the page: what the engine writes of a lake with a planted error is what people see."""

import os
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from fastapi import FastAPI

from chromium import PROGRAM, chromium
from dashboard_fixtures import StillWorld
from evaluation_fixtures import HOUR, NAME, NAMESPACE, LakeFolder, evaluations_of, rows, watched
from podium_crds.v1alpha1.model_deployment import ModelDeploymentSpec
from podium_monitor.access import NoReviews
from podium_monitor.dashboard.glances import Glances
from podium_monitor.dashboard.routes import dashboard
from podium_monitor.dashboard.sources import Sources
from podium_monitor.evaluations.findings import findings
from podium_monitor.evaluations.reading import latest, outlined
from podium_monitor.references import reference_of
from podium_monitor.sign_in.opening import reception
from podium_monitor.sign_in.settings import Open
from podium_monitor.world import Watched
from web_fixtures import served

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="there is no Chromium on this machine")

DAYS, BROKEN_DAYS, ROWS = 12, 4, 600


def deployment() -> Watched:
    one = watched(
        performance=[{"metric": "Auc", "minimum": "0.7"}],
        segments=["region"],
        fairness={"protected": ["region"]},
        business=[{"name": "money", "unit": "EUR", "expression": "if(prediction = label, 1, -2)", "minimum": "0"}],
    )
    wished = {"name": "next", "modelVersionRef": {"name": "churn-4"}, "mode": "Shadow"}
    spec = {**one.spec.model_dump(by_alias=True, exclude_none=True), "challengers": [wished]}
    return replace(one, spec=ModelDeploymentSpec.model_validate(spec))


def fill(lake: LakeFolder) -> None:
    """Twelve days; in the last four tenure comes in hours instead of minutes, and labels lag by two days."""
    lake.put_reference(rows(4000, 1))
    for day in range(DAYS):
        hour = HOUR - timedelta(days=DAYS - 1 - day)
        found = rows(ROWS, 10 + day, unit=60.0 if day >= DAYS - BROKEN_DAYS else 1.0)
        keys = lake.put_predictions(found, hour, key=f"day{day}")
        lake.put_shadows(found, [f"day{day}-{hour:%d%H}-{index}" for index in range(ROWS)], hour)
        if day < DAYS - 2:
            truth = ["yes" if one else "no" for one in found.truth]
            lake.put_labels(keys, truth, hour + timedelta(days=2))


async def test_a_planted_unit_error_is_seen_on_every_part_of_the_page(tmp_path: Path) -> None:
    lake, one = LakeFolder(tmp_path / "lake"), deployment()
    glances = Glances(lake.store)
    fill(lake)
    with evaluations_of(lake) as evaluate:
        document = evaluate(one)
        assert document is not None
        glances.note(one, document, findings(one, document))

    def card(namespace: str, name: str, digest: str) -> object:
        found = reference_of(lake.store, namespace, name, digest)
        return found.descriptor if found else None

    read = partial(latest, lake.store), partial(outlined, lake.store)
    sources = Sources(*read, glances.of, lambda *_: None, findings, card)  # type: ignore[arg-type]
    app = FastAPI()
    app.include_router(dashboard(reception(Open()), StillWorld([one]), sources, NoReviews()))
    async with served(app) as url, chromium() as tab:
        await tab.size(1400, 1000)
        await tab.open(url)
        await tab.until("document.querySelector('.fleet tbody tr') !== null")
        row = await tab.value("document.querySelector('.fleet tbody tr').innerText")
        assert "churn-3" in row
        assert "Performance degraded" in row
        assert "PSI" in row
        await tab.open(f"{url}/deployments/{NAMESPACE}/{NAME}")
        text = await tab.value("document.body.innerText")
        assert "tenure" in await tab.value("document.getElementById('diagnosis').innerText")
        for identity in ("traffic", "performance", "drift", "fairness", "value", "quality", "segments"):
            charts = await tab.value(f"document.querySelectorAll('#{identity} svg.chart').length")
            assert charts > 0, f"{identity}: {text}"
        assert "champion churn-3, estimated" in text
        assert await tab.value("document.querySelectorAll('#timeline li').length") > 0
        assert tab.problems == []
        if pictures := os.environ.get("PODIUM_PICTURES"):
            await tab.picture(Path(pictures))
