"""What the ports that clients reach share: who may ask, by which certificate they answer, and what is written of it."""

from collections.abc import Collection
from dataclasses import dataclass

from podium_serving.http.gate import Application, Gate
from podium_serving.metrics import Metrics
from podium_serving.observation.http import HttpObserver, Watched
from podium_serving.observation.observer import Observation
from podium_serving.security.tls import Certificate
from podium_serving.settings import Settings
from podium_serving.state import ServingState


@dataclass(frozen=True, slots=True)
class Entrance:
    """Of the public port and of gRPC. Start it before the ports, close it after them."""

    gate: Gate
    certificate: Certificate | None
    """None: they speak plain."""
    observation: Observation

    @classmethod
    def of(cls, settings: Settings, states: Collection[ServingState], metrics: Metrics) -> "Entrance":
        """The states are not ready until the gate knows somebody. Raises InvalidSettings; call it in the event loop."""

        def unlock() -> None:
            for state in states:
                state.locked = False

        for state in states:
            state.locked = True
        certificate = None
        if settings.tls.dir is not None:
            certificate = Certificate(settings.tls.dir, metrics.certificate_end.labels().set)
        return cls(Gate.of(settings.authentication, unlock), certificate, Observation(settings, metrics))

    @property
    def public_observer(self) -> HttpObserver | None:
        if not self.observation.public.active:
            return None
        return HttpObserver(self.observation.public, self.gate, "https" if self.certificate else "http")

    @property
    def forward_observer(self) -> HttpObserver | None:
        """Its callers are pods, which have no name."""
        return (
            HttpObserver(self.observation.forwarded, Gate.open_to_all(), "http")
            if self.observation.forwarded.active
            else None
        )

    def watched(self, application: Application) -> Application:
        """The application with its requests logged, if requests are logged."""
        return Watched(application, self.observation.public, self.gate) if self.observation.public.active else application

    def start(self) -> None:
        self.observation.start()
        self.gate.start()
        if self.certificate is not None:
            self.certificate.start()

    async def close(self) -> None:
        await self.gate.close()
        if self.certificate is not None:
            await self.certificate.close()
        await self.observation.close()
