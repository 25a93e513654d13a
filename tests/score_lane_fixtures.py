"""A port over a real socket with the small classifier behind it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from podium_crds.plan import Commit, SigningKey
from podium_serving.model.loaded import LoadedModel
from podium_serving.served import Serving
from podium_serving.settings import ModelSettings, OutsideTraining
from score_fixtures import make_classifier
from serving_lane_fixtures import DirectResponder, Reply, Site, churn_plan, client, infer_request, site


@asynccontextmanager
async def classifier(
    folder: Path, outside: OutsideTraining = "Warn", timeout_milliseconds: int = 20_000, **package: Any
) -> AsyncIterator[Site]:
    async with site(folder) as here:
        digest = make_classifier(folder / "package", **package)
        model = await LoadedModel.load(folder / "package", ModelSettings())
        here.models.append(model)
        plan = churn_plan("churn-1", digest, 1, timeout_milliseconds)
        commit = SigningKey.generate().sign(Commit(plan=plan))
        here.state.current = Serving(plan, commit, model, model.descriptor, DirectResponder(plan, model))
        here.public.lane.port.outside_training = outside
        yield here


async def ask(here: Site, path: str, body: Any, **headers: str) -> Reply:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with client(here.public) as connection:
        return await connection.ask(infer_request(content, path, **headers))


def told(reply: Reply) -> Any:
    return json.loads(reply.body)
