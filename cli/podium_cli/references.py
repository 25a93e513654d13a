"""Where a package goes, and the ModelVersion that says so. Pure."""

import re
from dataclasses import dataclass

import yaml
from pydantic import TypeAdapter, ValidationError

from podium_cli.errors import UserError
from podium_crds.names import API_VERSION
from podium_crds.package import Descriptor
from podium_crds.v1alpha1.meta import ObjectName
from podium_crds.v1alpha1.model_version import ModelVersionSpec

_REFERENCE = re.compile(
    r"^oci://(?P<host>[a-z0-9.-]+(:[0-9]+)?|\[[0-9a-f:]+\](:[0-9]+)?)/"
    r"(?P<repository>[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*)"
    r"(:(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?$"
)


@dataclass(frozen=True)
class Reference:
    """oci://host/repository:tag"""

    host: str
    repository: str
    tag: str

    def __str__(self) -> str:
        return f"oci://{self.host}/{self.repository}:{self.tag}"


def parsed_reference(text: str, default_tag: str) -> Reference:
    """Raises UserError when `text` is no address of a package in a registry."""
    match = _REFERENCE.match(text)
    if match is None:
        raise UserError(f"{text!r} is no registry address; write oci://<host>[:<port>]/<repository>[:<tag>], in lower case")
    return Reference(match["host"], match["repository"], match["tag"] or default_tag)


def model_version(descriptor: Descriptor, digest: str, reference: Reference, name: str | None, namespace: str | None) -> str:
    """A ModelVersion that is ready to be applied, as YAML. Raises UserError when its name cannot be one."""
    called = name or f"{descriptor.name}-{descriptor.version}"
    try:
        TypeAdapter(ObjectName).validate_python(called)
    except ValidationError as error:
        raise UserError(
            f"{called!r} cannot name a ModelVersion; give --name with lower-case letters, digits and '-', at most 63"
        ) from error
    spec = {
        "artifact": {"uri": str(reference), "digest": digest},
        "image": {"type": "Built" if descriptor.needs_image else "Generic"},
    }
    try:
        ModelVersionSpec.model_validate(spec)
    except ValidationError as error:
        raise UserError(
            f"{reference} cannot stand in a ModelVersion: {error.errors()[0]['msg']}; use another address"
        ) from error
    metadata = {"name": called} | ({"namespace": namespace} if namespace else {})
    document = {"apiVersion": API_VERSION, "kind": "ModelVersion", "metadata": metadata, "spec": spec}
    return yaml.safe_dump(document, sort_keys=False)
