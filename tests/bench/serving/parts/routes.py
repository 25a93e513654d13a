"""A champion with a challenger beside it, whose routes are flipped by signed commits between runs."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from bench.serving.generator import Load
from bench.serving.pod import CHALLENGER_HOST, Pod, challenger_plan, plan, pod, route
from bench.serving.setting import Setting
from podium_crds.plan import Plan, PlannedRoute


@dataclass
class Routed:
    """`champion` serves rf-1 on the server's core, `challenger` rf-2 on the clients'."""

    setting: Setting
    champion: Pod
    challenger: Pod
    current: Plan
    load: Load

    def to_challenger(self, mode: Literal["Shadow", "Canary"], percent: int, milliseconds: int) -> PlannedRoute:
        return route(self.setting.version("rf-2"), CHALLENGER_HOST, mode, percent, milliseconds)

    def flip(self, routes: Sequence[PlannedRoute]) -> None:
        """The same champion under other routes."""
        self.current = self.current.model_copy(update={"epoch": self.current.epoch + 1, "routes": list(routes)})
        self.champion.swap(self.current)


@contextmanager
def routed(setting: Setting) -> Iterator[Routed]:
    with setting.podium() as champion:
        other = setting.version("rf-2")
        first = challenger_plan(1, other)
        with pod(champion.site, setting.cores.clients, first, other, CHALLENGER_HOST) as challenger:
            load = setting.asked.load("json", 1, champion.address, "probabilities", ("rf-1", "rf-2"))
            current = plan(1, setting.version("rf-1"), capture_url=champion.capture_url)
            yield Routed(setting, champion, challenger, current, load)
