"""Makes responders, and holds what outlives a plan: links to challengers, the champion's latency, the recorder."""

import secrets
from collections.abc import Awaitable, Callable, Sequence

from podium_crds.package import Descriptor
from podium_crds.plan import Plan, PlannedRoute
from podium_serving.capture.recorder import Recorder
from podium_serving.metrics import Metrics
from podium_serving.model_interface import Model
from podium_serving.oip.codec import Codec
from podium_serving.served import Responder
from podium_serving.settings import Settings
from podium_serving.traffic.budget import RecentP99
from podium_serving.traffic.champion import Champion, LocalChampion, RemoteChampion
from podium_serving.traffic.forward import Peer
from podium_serving.traffic.limits import TrafficLimits
from podium_serving.traffic.link import Link, Links
from podium_serving.traffic.mirror import Mirror
from podium_serving.traffic.responder import Arm, PlanResponder
from podium_serving.traffic.splitter import Blocks, Splitter

_SEED_BYTES = 32
_CHAMPION = ""
"""The link to the champion's pool: no challenger has an empty name."""


class ResponderFactory:
    """Called with (plan, model, descriptor) once per plan, in the event loop. `close` ends capture, on drain."""

    def __init__(self, settings: Settings, metrics: Metrics, limits: TrafficLimits | None = None) -> None:
        self._settings = settings
        self._metrics = metrics
        self._limits = limits or TrafficLimits()
        self.recorder = Recorder(settings, metrics)
        self._links = Links(self._link)
        self._recent: dict[tuple[str, str], RecentP99] = {}
        self._blocks: tuple[dict[str, int], Blocks] | None = None

    def __call__(self, plan: Plan, model: Model | None, descriptor: Descriptor) -> Responder:
        """A responder for `plan`. `model` None: the champion lives in `plan.champion.pool`, which is another one."""
        codec = Codec(descriptor)
        held: list[tuple[str, str]] = []
        recent = self._recent_of(plan)
        champion: Champion
        if model is not None:
            champion = LocalChampion(plan, model, recent)
        else:
            held.append((_CHAMPION, plan.champion.host))
            link = self._links.hold(*held[-1])
            champion = RemoteChampion(plan, codec, link, recent, self._limits.max_champion_answer_bytes)
        arms = []
        for route in plan.routes:
            held.append((route.name, route.host))
            arms.append(Arm(plan, route, self._links.hold(*held[-1]), self._limits.max_answer_bytes))
        return PlanResponder(
            plan,
            champion=champion,
            recent=recent,
            codec=codec,
            arms=arms,
            splitter=self._splitter(plan),
            recorder=self.recorder,
            metrics=self._metrics,
            release=self._release(held),
        )

    async def close(self) -> None:
        """Lets shadows end and sends what is captured, within their bounds. Call it after the last request was answered."""
        await self._links.close_mirrors()
        await self.recorder.close()

    def _splitter(self, plan: Plan) -> Splitter | None:
        canaries = [route for route in plan.routes if route.mode == "Canary" and route.percent > 0]
        if not canaries:
            return None
        return Splitter(plan.sticky, canaries, self._settings.secrets.salt, self._blocks_of(canaries))

    def _blocks_of(self, canaries: Sequence[PlannedRoute]) -> Blocks:
        """The running blocks while the percentages stay; else new ones with a new seed."""
        percents = {route.name: route.percent for route in canaries}
        if self._blocks is None or self._blocks[0] != percents:
            self._blocks = percents, Blocks(secrets.token_bytes(_SEED_BYTES), percents)
        return self._blocks[1]

    def _recent_of(self, plan: Plan) -> RecentP99:
        """Kept while the champion is the same version in the same pool; only the newest champion's."""
        key = (plan.champion.version.digest, plan.champion.pool)
        self._recent = {key: self._recent.get(key) or RecentP99()}
        return self._recent[key]

    def _link(self, name: str, host: str) -> Link:
        peer = Peer(host, self._settings.forward_port, self._settings.secrets.token)
        return Link(peer, Mirror(name, peer, self._limits, self._metrics.shadow_requests), self._limits)

    def _release(self, held: list[tuple[str, str]]) -> Callable[[], Awaitable[None]]:
        async def release() -> None:
            while held:
                await self._links.release(*held.pop())

        return release


def make_responder_factory(settings: Settings, metrics: Metrics) -> ResponderFactory:
    return ResponderFactory(settings, metrics)
