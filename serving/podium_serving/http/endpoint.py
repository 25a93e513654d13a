"""What /docs and /openapi.json describe: a model while one version serves it, and how it is reached. Data only."""

from dataclasses import dataclass

from podium_crds.package import Descriptor, GoldenRow
from podium_serving.served import Serving
from podium_serving.settings import Settings


@dataclass(frozen=True, slots=True)
class Access:
    """How clients reach this process."""

    authentication: str = "Open"
    """Open, ApiKey or Jwt."""
    grpc_port: int | None = None
    """None: no gRPC."""
    tls: bool = False

    @classmethod
    def of(cls, settings: Settings) -> "Access":
        return cls(settings.authentication.type, settings.grpc_port, settings.tls.dir is not None)


OPEN_ACCESS = Access()


@dataclass(frozen=True, slots=True)
class Endpoint:
    model: str
    version: str
    descriptor: Descriptor
    golden: tuple[GoldenRow, ...] = ()
    """Empty where the version does not live in this process, too: then examples are made up, and nothing is explained."""
    access: Access = OPEN_ACCESS
    named: bool = False
    """Its page is /models/{model}/docs, as where there are several models: then all paths name it."""

    @property
    def root(self) -> str:
        """From the page to what paths begin at, which need not be the host's: a gateway may put a prefix in front."""
        return "../.." if self.named else "."

    @property
    def score_path(self) -> str:
        return f"/models/{self.model}/score" if self.named else "/score"

    @property
    def explain_path(self) -> str:
        return f"/models/{self.model}/explain" if self.named else "/explain"

    @property
    def infer_path(self) -> str:
        return f"/v2/models/{self.model}/infer"

    @property
    def predict_path(self) -> str:
        return f"/v1/models/{self.model}:predict"


def endpoint_of(model: str, serving: Serving, access: Access, *, named: bool) -> Endpoint:
    golden = serving.model.golden if serving.model else ()
    return Endpoint(model, serving.plan.champion.version.name, serving.descriptor, golden, access, named)
