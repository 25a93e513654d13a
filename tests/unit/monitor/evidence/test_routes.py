"""The evidence API on a real socket: who may read it, and what others are told."""

from pathlib import Path

import aiohttp
import pytest
from fastapi import FastAPI

from evidence_lake_fixtures import START, Lake, traffic, watched
from podium_crds.evidence import DeploymentEvidence, monitor_token
from podium_monitor.access import AccessUnknown, Identity, NoReviews, Reviews
from podium_monitor.bearers import Bearers
from podium_monitor.evidence.routes import router
from podium_monitor.evidence.updating import update
from podium_monitor.lake.store import FolderStore
from web_fixtures import served

pytestmark = pytest.mark.process

KEY = b"collector-key-of-32-bytes-------"
OPERATOR = monitor_token(KEY)


class Team:
    """Of the namespace shop."""

    async def who(self, token: str, asker: str = "") -> Identity | None:
        if token == "api-server-is-away":
            raise AccessUnknown("no answer")
        return Identity("ann", ("analysts",)) if token == "ann's" else None

    async def may(self, user: str, groups: object, verb: str, resource: str, namespace: str) -> bool:
        return (user, verb, resource, namespace) == ("ann", "get", "modeldeployments", "shop")


async def asked(store: FolderStore, reviews: Reviews, path: str, token: str | None) -> tuple[int, bytes]:
    app = FastAPI()
    app.include_router(router(store, Bearers(KEY, reviews)))
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with (
        served(app) as url,
        aiohttp.ClientSession() as session,
        session.get(f"{url}/v1/namespaces/{path}/evidence", headers=headers) as response,
    ):
        return response.status, await response.read()


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    made = Lake(tmp_path)
    made.describe()
    found = traffic(100)
    made.labelled(made.shadowed(found), found, START)
    update(made.store, watched(), START)
    return made


@pytest.mark.parametrize(
    ("token", "path", "status", "says"),
    [
        pytest.param(None, "shop/deployments/churn", 401, "must be Bearer", id="no-token"),
        pytest.param("guess", "shop/deployments/churn", 401, "neither the operator's nor", id="nobodys-token"),
        pytest.param("ann's", "other/deployments/churn", 403, "ann may not get modeldeployments", id="not-her-namespace"),
        pytest.param("api-server-is-away", "shop/deployments/churn", 503, "cannot be asked", id="api-server-away"),
        pytest.param(OPERATOR, "shop/deployments/nothing", 404, "nothing is known", id="unknown"),
        pytest.param(OPERATOR, "shop/deployments/..%2F..", 404, "", id="no-way-out-of-the-folder"),
    ],
)
async def test_others_are_told_why_not(lake: Lake, token: str | None, path: str, status: int, says: str) -> None:
    got, body = await asked(lake.store, Team(), path, token)
    assert got == status
    assert says in body.decode()


@pytest.mark.parametrize("token", [OPERATOR, "ann's"])
async def test_the_operator_and_those_who_may_get_the_deployment_read_it(lake: Lake, token: str) -> None:
    status, body = await asked(lake.store, Team(), "shop/deployments/churn", token)
    assert status == 200
    found = DeploymentEvidence.model_validate_json(body)
    assert (found.uid, [one.name for one in found.challengers]) == ("uid-1", ["boosted"])


async def test_without_an_api_server_the_operator_alone_reads_it(lake: Lake) -> None:
    assert (await asked(lake.store, NoReviews(), "shop/deployments/churn", OPERATOR))[0] == 200
    assert (await asked(lake.store, NoReviews(), "shop/deployments/churn", "ann's"))[0] == 401
