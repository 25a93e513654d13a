"""ModelVersion: the immutable record of one packaged model."""

from typing import Annotated, Literal

from pydantic import Field

from podium_crds.v1alpha1.meta import Condition, Digest, Kubernetes, SecretRef, text

_HOST = r"([A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(:[0-9]{1,5})?"
_COMPONENT = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}"

ArtifactUri = Annotated[
    str,
    text(
        rf"^oci://{_HOST}(/{_COMPONENT})+(:{_TAG})?$",
        "is no artifact: write oci://<registry>/<repository>, the repository in lower case, with :<tag> if you like",
        unless="self.contains('@')",
        max_length=512,
    ),
]


class Artifact(Kubernetes):
    """Where the package lies and what it is. The digest is the version's identity; a tag in the uri is for people only."""

    uri: ArtifactUri
    """Where the package lies, without credentials and without a digest: oci://registry.example.com/models/churn:3."""
    digest: Digest
    """sha256 of the package's manifest, as `podium push` prints it."""
    pull_secret_ref: SecretRef | None = None
    """A kubernetes.io/dockerconfigjson Secret in the namespace."""


class Image(Kubernetes):
    """What the version runs in.

    Generic: the scoring image as shipped. Built: the package has requirements or transform.py and gets its own image.
    """

    type: Literal["Generic", "Built"] = "Generic"


class ModelVersionSpec(Kubernetes):
    """What the version is. It never changes: other bits are another version, with another name."""

    artifact: Artifact
    image: Image = Image()


class VerifiedFacts(Kubernetes):
    """What the verification Job measured."""

    golden_rows: int
    flipped_labels: int
    """Golden rows whose label differs though their margin lies within tolerance."""
    worst_absolute_error: Annotated[str, Field(max_length=32)]
    p99_milliseconds: Annotated[str, Field(max_length=32)]
    peak_memory_bytes: int
    schema_digest: Annotated[str, Field(max_length=71)]
    inputs: Annotated[str, Field(max_length=1024)]
    outputs: Annotated[str, Field(max_length=1024)]
    contract: int = 1
    """What its image understands of spec.serving and of forwards. An upgrade of Podium verifies versions of a lower one anew
    once a ModelDeployment names them."""


class ModelVersionStatus(Kubernetes):
    """What the operator found. It can be rebuilt from nothing."""

    observed_generation: int | None = None
    conditions: Annotated[list[Condition], Field(max_length=16)] = []
    image: Annotated[str, Field(max_length=512)] = ""
    """The scoring image by digest."""
    verification: VerifiedFacts | None = None
    used_by: Annotated[list[Annotated[str, Field(max_length=63)]], Field(max_length=100)] = []
    """Names of the ModelDeployments whose spec names this version."""
    reason: Annotated[str, Field(max_length=256)] = ""
    """The reason of Ready, for the printer column."""
