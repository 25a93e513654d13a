"""ModelVersion: the immutable record of one packaged model."""

from typing import Annotated, Literal

from pydantic import Field

from podium_crds.v1alpha1.meta import Condition, Digest, Kubernetes, NameRef


class Artifact(Kubernetes):
    """Where the package lies and what it is. The digest is the version's identity."""

    uri: Annotated[str, Field(pattern=r"^oci://[^/\s@]+(/[a-z0-9._-]+)+(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?$", max_length=512)]
    digest: Digest
    pull_secret_ref: NameRef | None = None
    """A kubernetes.io/dockerconfigjson Secret in the namespace."""


class Image(Kubernetes):
    """Generic: the scoring image as shipped. Built: the package has requirements or transform.py and gets its own image."""

    type: Literal["Generic", "Built"] = "Generic"


class ModelVersionSpec(Kubernetes):
    artifact: Artifact
    image: Image = Image()


class VerifiedFacts(Kubernetes):
    """What the verification Job measured."""

    golden_rows: int
    flipped_labels: int
    worst_absolute_error: Annotated[str, Field(max_length=32)]
    p99_milliseconds: Annotated[str, Field(max_length=32)]
    peak_memory_bytes: int
    schema_digest: Annotated[str, Field(max_length=71)]
    inputs: Annotated[str, Field(max_length=1024)]
    outputs: Annotated[str, Field(max_length=1024)]


class ModelVersionStatus(Kubernetes):
    observed_generation: int | None = None
    conditions: Annotated[list[Condition], Field(max_length=16)] = []
    image: Annotated[str, Field(max_length=512)] = ""
    """The scoring image by digest."""
    verification: VerifiedFacts | None = None
    used_by: Annotated[list[Annotated[str, Field(max_length=63)]], Field(max_length=100)] = []
    """Names of the ModelDeployments whose spec names this version."""
    reason: Annotated[str, Field(max_length=256)] = ""
    """The reason of Ready, for the printer column."""
