"""ModelDeployments and ModelVersions as JSON become what the monitor watches.

The kinds may be newer than this process: fields that it does not know are dropped. A value that it does not know makes the
object unreadable, for a guess could leave out a guardrail; what was read of it before stays, and all others are there.
"""

import logging
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar, cast, get_args

from pydantic import BaseModel, ValidationError

from podium_crds.names import GROUP
from podium_crds.v1alpha1.model_deployment import ModelDeploymentSpec, ModelDeploymentStatus
from podium_crds.v1alpha1.model_version import ModelVersionSpec, ModelVersionStatus
from podium_monitor.lenient import first_error, without_unknown_fields
from podium_monitor.world import Watched, WatchedVersion

log = logging.getLogger(__name__)

Kind = Literal["ModelDeployment", "ModelVersion"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_M = TypeVar("_M", bound=BaseModel)
_DEFAULT_NAMESPACE = "default"
_LONG_AGO = "1970-01-01T00:00:00Z"


class Unreadable(ValueError):
    """The object does not fit its kind. The text says where and why."""


@dataclass(frozen=True)
class Address:
    kind: Kind
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


def address_of(manifest: Mapping[str, Any]) -> Address | None:
    """None: it is of another kind. Raises Unreadable when it has no name."""
    kind, group = manifest.get("kind"), str(manifest.get("apiVersion", "")).partition("/")[0]
    if kind not in KINDS or group != GROUP:
        return None
    metadata = manifest.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    if not isinstance(metadata, Mapping) or not isinstance(name, str) or not name:
        raise Unreadable(f"a {kind} has no metadata.name")
    return Address(cast(Kind, kind), str(metadata.get("namespace") or _DEFAULT_NAMESPACE), name)


def watched(manifest: Mapping[str, Any]) -> Watched:
    """A ModelDeployment without its versions. Raises Unreadable."""
    metadata = manifest["metadata"]
    return Watched(
        namespace=str(metadata.get("namespace") or _DEFAULT_NAMESPACE),
        name=str(metadata["name"]),
        uid=str(metadata.get("uid") or metadata["name"]),
        created_at=str(metadata.get("creationTimestamp") or _LONG_AGO),
        spec=_spec(ModelDeploymentSpec, manifest),
        status=_status(ModelDeploymentStatus, manifest),
        annotations=_texts(metadata.get("annotations")),
    )


def _texts(found: object) -> dict[str, str]:
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, Mapping) else {}


def watched_version(manifest: Mapping[str, Any]) -> WatchedVersion:
    """A ModelVersion. Raises Unreadable."""
    return WatchedVersion(
        str(manifest["metadata"]["name"]), _spec(ModelVersionSpec, manifest), _status(ModelVersionStatus, manifest)
    )


def _spec(model: type[_M], manifest: Mapping[str, Any]) -> _M:
    try:
        return without_unknown_fields(model, manifest.get("spec"))
    except ValidationError as error:
        raise Unreadable(f"spec: {first_error(error)}") from error


def _status(model: type[_M], manifest: Mapping[str, Any]) -> _M | None:
    """None when there is none, or none that can be read: nothing depends on it alone."""
    if not manifest.get("status"):
        return None
    try:
        return without_unknown_fields(model, manifest["status"])
    except ValidationError as error:
        metadata = manifest["metadata"]
        log.warning("%s %s: status is left out: %s", manifest.get("kind"), metadata.get("name"), first_error(error))
        return None


def versions_named(deployment: Watched) -> set[str]:
    """Those that its spec wishes, and those that its status says are serving."""
    spec, status = deployment.spec, deployment.status
    names = {spec.champion.model_version_ref.name, *(entry.model_version_ref.name for entry in spec.challengers)}
    if status is not None:
        names |= {entry.model_version for entry in status.challengers}
        names |= {status.champion.model_version} if status.champion else set()
    return names


class Catalogue:
    """All that is watched, by address. May be asked by any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._deployments: dict[Address, Watched] = {}
        self._versions: dict[Address, WatchedVersion] = {}
        self._unreadable: dict[Address, str] = {}
        self._view: tuple[Watched, ...] | None = None

    @property
    def unreadable(self) -> Mapping[str, str]:
        """Objects that do not fit their kind, `ModelDeployment shop/churn`, and why."""
        with self._lock:
            return {str(address): why for address, why in self._unreadable.items()}

    def put(self, manifest: Mapping[str, Any]) -> None:
        """An object as it is now. Other kinds are passed over."""
        with self._lock:
            self._put(manifest)
            self._view = None

    def remove(self, address: Address) -> None:
        with self._lock:
            self._remove(address)
            self._view = None

    def replace(self, manifests: Iterable[Mapping[str, Any]], kinds: Collection[Kind], namespace: str | None) -> None:
        """All objects of `kinds` in `namespace` (None: everywhere) are these."""
        with self._lock:
            known = {*self._deployments, *self._versions, *self._unreadable}
            gone = {at for at in known if at.kind in kinds and namespace in (None, at.namespace)}
            for manifest in manifests:
                gone.discard(self._put(manifest) or Address("ModelVersion", "", ""))
            for address in gone:
                self._remove(address)
            self._view = None

    def _put(self, manifest: Mapping[str, Any]) -> Address | None:
        address: Address | None = None
        try:
            address = address_of(manifest)
            if address is None:
                return None
            if address.kind == "ModelDeployment":
                self._deployments[address] = watched(manifest)
            else:
                self._versions[address] = watched_version(manifest)
            self._unreadable.pop(address, None)
        except (
            Unreadable,
            KeyError,
            IndexError,
            TypeError,
            AttributeError,
            RecursionError,
        ) as error:  # none hides the others
            if address is None or self._unreadable.get(address) != str(error):
                log.warning("%s cannot be read: %s", address or "an object", error)
            if address is not None:
                self._unreadable[address] = str(error)
        return address

    def _remove(self, address: Address) -> None:
        self._deployments.pop(address, None)
        self._versions.pop(address, None)
        self._unreadable.pop(address, None)

    def deployments(self) -> Sequence[Watched]:
        """By namespace and name, each with the versions that it names."""
        with self._lock:
            if self._view is None:
                found = sorted(self._deployments.values(), key=lambda one: (one.namespace, one.name))
                self._view = tuple(replace(one, versions=self._versions_of(one)) for one in found)
            return self._view

    def _versions_of(self, deployment: Watched) -> dict[str, WatchedVersion]:
        named = sorted(versions_named(deployment))
        at = {name: Address("ModelVersion", deployment.namespace, name) for name in named}
        return {name: self._versions[address] for name, address in at.items() if address in self._versions}

    def find(self, namespace: str, name: str) -> Watched | None:
        return next((one for one in self.deployments() if (one.namespace, one.name) == (namespace, name)), None)


class Catalogued:
    """What a World answers from its catalogue."""

    def __init__(self) -> None:
        self._catalogue = Catalogue()

    @property
    def unreadable(self) -> Mapping[str, str]:
        return self._catalogue.unreadable

    def deployments(self) -> Sequence[Watched]:
        return self._catalogue.deployments()

    def find(self, namespace: str, name: str) -> Watched | None:
        return self._catalogue.find(namespace, name)
