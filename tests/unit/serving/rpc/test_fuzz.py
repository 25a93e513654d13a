"""A few hundred damaged calls of the fuzzer's: `make fuzz` sends many more."""

import asyncio
from pathlib import Path

import pytest

from fuzz.grpc_fuzz import run
from podium_crds.plan import Commit, SigningKey
from podium_serving.calls import PublicCalls
from podium_serving.http.gate import Gate
from podium_serving.model.loaded import LoadedModel
from podium_serving.rpc.server import RpcServer
from podium_serving.served import Serving
from podium_serving.settings import ModelSettings
from serving_fixtures import make_package
from serving_lane_fixtures import QUICK, DirectResponder, churn_plan, site

pytestmark = pytest.mark.process


async def test_damaged_calls_are_refused_and_the_next_good_one_is_answered_right(tmp_path: Path) -> None:
    digest = make_package(tmp_path / "sum", name="sum")
    async with site(tmp_path) as behind:
        model = await LoadedModel.load(tmp_path / "sum", ModelSettings())
        plan = churn_plan("1", digest)
        commit = SigningKey.generate().sign(Commit(plan=plan))
        behind.state.current = Serving(plan, commit, model, model.descriptor, DirectResponder(plan, model))
        behind.models.append(model)
        server = RpcServer(PublicCalls({"sum": behind.state}, behind.metrics), Gate.open_to_all(), QUICK)
        await server.start("127.0.0.1", 0)
        try:
            counts = await asyncio.to_thread(run, ("127.0.0.1", server.port), 0, 500)
            assert counts.good == 5
            assert behind.state.current.open_requests == 0
            assert server.load.buffered_bytes == 0
        finally:
            await server.stop(2.0)
