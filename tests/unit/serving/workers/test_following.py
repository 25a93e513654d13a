"""A worker's plans: held, flipped by the pod's word alone, and let go."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from podium_crds.package import DESCRIPTOR_FILE
from podium_crds.plan import Plan
from podium_serving.exchange import NotServing
from podium_serving.metrics import Metrics
from podium_serving.model.package import InvalidPackage, parse_descriptor
from podium_serving.model_interface import Model
from podium_serving.settings import ModelSettings, Settings
from podium_serving.swap.faults import PreparationFailed
from podium_serving.swap.loading import version_loader
from podium_serving.traffic.factory import make_responder_factory
from podium_serving.workers.following import Follower, FollowingState
from podium_serving.workers.words import Words
from serving_fixtures import make_package
from swap_fixtures import UID, eventually, plan, shadow


class Site:
    """A worker without ports."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.words = Words.create()
        self.state = FollowingState(self.words)
        self.loaded: list[Model] = []
        metrics = Metrics("retention", "churn", process=False)
        settings = Settings(namespace="retention", deployment="churn", deployment_uid=UID)
        loader = version_loader(ModelSettings(), lambda version: lambda rows: None, lambda version, model: self._note(model))
        responders = make_responder_factory(settings, metrics)
        self.follower = Follower("a", self.words, self.state, loader, parse_descriptor, responders, metrics)

    def _note(self, model: Model) -> None:
        self.loaded.append(model)

    def package(self, name: str, **more: float) -> str:
        return make_package(self.folder / name, **more)  # type: ignore[arg-type]

    async def hold(self, of: Plan, name: str = "") -> None:
        await self.follower.hold(of, str(self.folder / name) if name else "", b"")

    @property
    def epoch(self) -> int:
        return self.state.current.plan.epoch if self.state.current is not None else 0


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    made = Site(tmp_path)
    yield made
    await made.follower.close()
    made.words.close()


async def test_a_held_plan_answers_from_the_moment_that_the_pods_epoch_is_its_own(site: Site) -> None:
    one, two = plan(1, digest=site.package("one")), plan(2, digest=site.package("two", golden_offset=0.0))
    two = two.model_copy(update={"routes": [shadow()]})
    await site.hold(one, "one")
    assert site.epoch == 0
    site.words.epoch = 1
    assert site.epoch == 1
    await site.hold(two, "two")
    assert site.epoch == 1
    site.words.epoch = 2
    assert site.epoch == 2
    assert not site.state.retired or site.state.retired[0].plan == one
    await eventually(lambda: not site.state.retired)
    report = site.follower.report()
    assert (report.epoch, report.ready, report.open_requests) == (2, True, {2: 0})


async def test_what_is_held_after_the_pods_epoch_changed_answers_at_once(site: Site) -> None:
    site.words.epoch = 5
    assert site.epoch == 0
    await site.hold(plan(5, digest=site.package("one")), "one")
    assert site.epoch == 5


async def test_an_epoch_that_is_not_held_leaves_nothing_to_answer_with(site: Site) -> None:
    await site.hold(plan(1, digest=site.package("one")), "one")
    site.words.epoch = 1
    assert site.epoch == 1
    site.words.epoch = 3
    assert site.epoch == 0
    assert not site.follower.report().ready


async def test_new_routes_of_a_held_champion_use_its_model_and_need_no_package(site: Site) -> None:
    digest = site.package("one")
    await site.hold(plan(1, digest=digest), "one")
    site.words.epoch = 1
    assert site.epoch == 1
    await site.hold(plan(2, digest=digest, routes=[shadow()]))
    site.words.epoch = 2
    assert site.epoch == 2
    await eventually(lambda: not site.state.retired)
    assert len(site.loaded) == 1
    assert site.state.current is not None
    assert site.state.current.model is site.loaded[0]
    with pytest.raises(PreparationFailed, match="epoch 9: neither model nor package is here"):
        await site.hold(plan(9, digest="sha256:" + "9" * 64))


async def test_a_dropped_plan_is_closed_even_while_it_is_loaded(site: Site) -> None:
    first = plan(1, digest=site.package("one"))
    holding = asyncio.ensure_future(site.hold(first, "one"))
    await asyncio.sleep(0)
    site.follower.drop(1)
    await holding
    site.words.epoch = 1
    assert site.epoch == 0
    with pytest.raises(NotServing):
        await _closed(site)


async def _closed(site: Site) -> None:
    """Asks the model until it refuses."""
    columns = {"x0": np.zeros((1, 1), np.float32), "x1": np.zeros((1, 1), np.float32)}
    async with asyncio.timeout(60):
        while True:
            await site.loaded[0].infer(columns, 1, float("inf"))


async def test_a_version_that_fails_is_not_held(site: Site) -> None:
    with pytest.raises(PreparationFailed, match="golden rows are not reproduced"):
        await site.hold(plan(1, digest=site.package("bad", golden_offset=1.0)), "bad")
    (site.folder / "bad" / DESCRIPTOR_FILE).write_text("name: [")
    with pytest.raises(InvalidPackage):
        await site.hold(plan(2, digest="sha256:" + "2" * 64), "bad")
    site.words.epoch = 1
    assert site.epoch == 0
