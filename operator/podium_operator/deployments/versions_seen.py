"""A ModelVersion as the deployments side needs it: may it serve, as what, and what was measured. Pure.

The versions side says it in conditions; here they are read once, so that no other module knows their names.
"""

from dataclasses import dataclass
from enum import Enum

from podium_crds.names import SERVING_CONTRACT
from podium_crds.plan import PlannedVersion
from podium_crds.v1alpha1.model_version import ModelVersionSpec, ModelVersionStatus
from podium_operator.conditions import READY, STALLED, find, is_true
from podium_operator.kinds import Manifest

_OUTDATED = "VerifiedByEarlierPodium"
_OUTDATED_MESSAGE = "it was verified in a scoring image of an earlier Podium, and is verified anew in this installation's"


class Verdict(Enum):
    VERIFIED = "Verified"
    PENDING = "Pending"
    """Not judged yet: it is being built or verified, or a registry did not answer."""
    FAILED = "Failed"


@dataclass(frozen=True)
class VersionSeen:
    name: str
    uri: str
    digest: str
    verdict: Verdict
    reason: str = ""
    message: str = ""
    image: str = ""
    """The scoring image by digest; empty until it is known."""
    peak_memory_bytes: int = 0
    schema_digest: str = ""
    inputs: str = ""
    outputs: str = ""
    contract: int = 1
    """What its image understands: SERVING_CONTRACT when it was verified by an image of today."""
    pull_secret: str = ""
    """Name of the dockerconfigjson Secret for the registry; empty: none."""

    @property
    def planned(self) -> PlannedVersion:
        return PlannedVersion(name=self.name, uri=self.uri, digest=self.digest, image=self.image)


def version_seen(manifest: Manifest) -> VersionSeen:
    """Raises pydantic.ValidationError for a manifest that the CRD would not admit."""
    spec = ModelVersionSpec.model_validate(manifest["spec"])
    status = ModelVersionStatus.model_validate(manifest.get("status") or {})
    ready = find(status.conditions, READY)
    facts = status.verification
    outdated = facts is not None and facts.contract < SERVING_CONTRACT
    return VersionSeen(
        name=manifest["metadata"]["name"],
        uri=spec.artifact.uri,
        digest=spec.artifact.digest,
        verdict=_verdict(status),
        reason=_OUTDATED if outdated else ready.reason if ready else "",
        message=_OUTDATED_MESSAGE if outdated else ready.message if ready else "",
        image=status.image,
        peak_memory_bytes=facts.peak_memory_bytes if facts else 0,
        schema_digest=facts.schema_digest if facts else "",
        inputs=facts.inputs if facts else "",
        outputs=facts.outputs if facts else "",
        contract=facts.contract if facts else 1,
        pull_secret=spec.artifact.pull_secret_ref.name if spec.artifact.pull_secret_ref else "",
    )


def _verdict(status: ModelVersionStatus) -> Verdict:
    if is_true(status.conditions, READY) and status.image:
        current = status.verification is not None and status.verification.contract >= SERVING_CONTRACT
        return Verdict.VERIFIED if current else Verdict.PENDING
    return Verdict.FAILED if is_true(status.conditions, STALLED) else Verdict.PENDING
