"""What the ports that clients reach share: who may ask, and by which certificate they answer."""

from collections.abc import Collection
from dataclasses import dataclass

from podium_serving.http.gate import Gate
from podium_serving.metrics import Metrics
from podium_serving.security.tls import Certificate
from podium_serving.settings import Settings
from podium_serving.state import ServingState


@dataclass(frozen=True, slots=True)
class Entrance:
    """Of the public port and of gRPC. Start it before the ports, close it after them."""

    gate: Gate
    certificate: Certificate | None
    """None: they speak plain."""

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
        return cls(Gate.of(settings.authentication, unlock), certificate)

    def start(self) -> None:
        self.gate.start()
        if self.certificate is not None:
            self.certificate.start()

    async def close(self) -> None:
        await self.gate.close()
        if self.certificate is not None:
            await self.certificate.close()
