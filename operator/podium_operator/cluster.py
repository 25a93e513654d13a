"""The API server, as the operator uses it: the one module that imports the Kubernetes client.

Every call has a deadline, every write passes the fence first (a leader that lost its Lease must not write), and a write that
would change nothing is not sent. Errors are those of `errors`. The client's ApiClient is used for connections, TLS and
token refresh; paths come from `kinds`, so there is no discovery.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self, cast
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio import config as client_config
from kubernetes.aio.client import ApiClient, Configuration

from podium_crds.names import FIELD_MANAGER
from podium_operator.applied import AppliedMemory
from podium_operator.errors import (
    AlreadyExists,
    ClusterError,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    Unavailable,
)
from podium_operator.kinds import KINDS, Manifest
from podium_operator.runtime.metrics import Metrics

Fence = Callable[[], None]
"""Raises LeaseLost when this process may not write any more."""

Propagation = Literal["Background", "Foreground", "Orphan"]

_APPLY = "application/apply-patch+yaml"
_MERGE = "application/merge-patch+json"
_JSON = "application/json"
_METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_PAGE = 500
_MAX_LABELS = 10


@dataclass(frozen=True)
class Credentials:
    """How to reach the API server, for the watch, which has a client of its own. Paths are of PEM files."""

    server: str
    ca_path: str | None
    certificate_path: str | None
    private_key_path: str | None
    token: str | None = field(default=None, repr=False)


class Cluster:
    """Use as an async context manager, or `await cluster.close()`."""

    def __init__(self, client: Any, *, fence: Fence, metrics: Metrics, timeout_seconds: float = 10.0) -> None:
        self._client = client  # kubernetes.aio's ApiClient, most of which has no annotations
        self._fence = fence
        self._metrics = metrics
        self._timeout_seconds = timeout_seconds
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._applied = AppliedMemory()

    @classmethod
    async def connect(
        cls, *, fence: Fence, metrics: Metrics, timeout_seconds: float = 10.0, kubeconfig: str | None = None
    ) -> Self:
        """With the kubeconfig file, or in the cluster with the pod's service account."""
        configuration, load = Configuration(), cast(Any, client_config)
        if kubeconfig:
            await load.load_kube_config(config_file=kubeconfig, client_configuration=configuration)
        else:
            load.load_incluster_config(client_configuration=configuration)
        return cls(ApiClient(configuration), fence=fence, metrics=metrics, timeout_seconds=timeout_seconds)

    def fenced_by(self, fence: Fence) -> "Cluster":
        """The same connections, with every write behind this fence."""
        return Cluster(self._client, fence=fence, metrics=self._metrics, timeout_seconds=self._timeout_seconds)

    def within(self, timeout_seconds: float) -> "Cluster":
        """The same connections and fence, with another deadline for each call."""
        return Cluster(self._client, fence=self._fence, metrics=self._metrics, timeout_seconds=timeout_seconds)

    async def credentials(self) -> Credentials:
        """As they are now: a service account's token is read anew when it is old."""
        configuration = self._client.configuration
        key: str | None = await configuration.get_api_key_with_prefix("BearerToken")
        return Credentials(
            server=configuration.host,
            ca_path=configuration.ssl_ca_cert,
            certificate_path=configuration.cert_file,
            private_key_path=configuration.key_file,
            token=key.split(" ", 1)[-1] if key else None,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._client.close()

    async def get(self, kind: str, namespace: str, name: str) -> Manifest | None:
        """The object as it is now, or None."""
        try:
            return await self._call("get", kind, namespace, name)
        except NotFound:
            return None

    async def exists(self, kind: str, namespace: str, name: str) -> bool:
        """Whether the object is there. Its contents are not sent: for Secrets whose values are none of the operator's."""
        try:
            await self._call("get", kind, namespace, name, accept=_METADATA_ONLY)
        except NotFound:
            return False
        return True

    async def list(
        self, kind: str, namespace: str | None, labels: Mapping[str, str] | None = None, *, cached: bool = False
    ) -> list[Manifest]:
        """All objects with these labels; `namespace` None: everywhere. `cached`: from the API server's watch cache, cheap
        and possibly seconds old; never decide on it what must not be done twice. Items carry apiVersion and kind."""
        query = {"labelSelector": ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items()))}
        query |= {"resourceVersion": "0"} if cached else {"limit": str(_PAGE)}
        items: list[Manifest] = []
        while True:
            page = await self._call("list", kind, namespace, None, query=query)
            items += [{"apiVersion": KINDS[kind].api_version, "kind": kind, **item} for item in page["items"]]
            if not (token := page["metadata"].get("continue")):
                return items
            query["continue"] = token

    async def apply(self, manifest: Manifest, *, seen: Manifest | None = None, force: bool = True) -> Manifest:
        """Server-side apply as field manager podium-operator; the object afterwards.

        `seen` is the object as it was just read (else it is read here). Nothing is sent when the same manifest was applied
        before and the object, its status apart, has not changed since. With `metadata.uid` in the manifest an object made
        anew is a Conflict. `force` False: another manager's field is a Conflict too.
        """
        kind, namespace, name = _address(manifest)
        seen = seen if seen is not None else await self.get(kind, namespace, name)
        if seen is not None and self._applied.stands(manifest, seen):
            return seen
        query = {"fieldManager": FIELD_MANAGER, "force": "true" if force else "false"}
        after = await self._call("apply", kind, namespace, name, manifest, query=query, content_type=_APPLY, before=seen)
        self._applied.remember(manifest, after)
        return after

    async def apply_as(self, manager: str, manifest: Manifest) -> Manifest:
        """Server-side apply by another field manager: a field that podium-operator lets go of stays as that one says."""
        kind, namespace, name = _address(manifest)
        query = {"fieldManager": manager, "force": "true"}
        return await self._call("apply", kind, namespace, name, manifest, query=query, content_type=_APPLY)

    async def apply_status(self, seen: Manifest, status: Manifest) -> Manifest:
        """The whole status of `seen` becomes `status`, by server-side apply on the subresource. Nothing is sent when it says
        so already. An object made anew since `seen` was read is a Conflict."""
        if seen.get("status", {}) == status:
            return seen
        kind, namespace, name = _address(seen)
        body = {
            "apiVersion": seen["apiVersion"],
            "kind": kind,
            "metadata": {"name": name, "namespace": namespace, "uid": seen["metadata"]["uid"]},
            "status": status,
        }
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        return await self._call(
            "apply-status", kind, namespace, name, body, query=query, content_type=_APPLY, subresource="status", before=seen
        )

    async def create(self, manifest: Manifest) -> Manifest:
        """Raises AlreadyExists. `metadata.generateName` is possible."""
        kind, namespace, _ = _address(manifest)
        return await self._call("create", kind, namespace, None, manifest, query={"fieldManager": FIELD_MANAGER})

    async def replace(self, manifest: Manifest) -> Manifest:
        """Compare and swap: writes `manifest` if the object still has `metadata.resourceVersion`. Raises Conflict otherwise,
        and ValueError without a resourceVersion."""
        kind, namespace, name = _address(manifest)
        if not manifest["metadata"].get("resourceVersion"):
            raise ValueError(f"replace of {kind} {namespace}/{name} without a resourceVersion would overwrite blindly")
        return await self._call("replace", kind, namespace, name, manifest, query={"fieldManager": FIELD_MANAGER})

    async def delete(
        self, seen: Manifest, *, propagation: Propagation = "Background", grace_seconds: int | None = None
    ) -> None:
        """Deletes this very object (by uid). Already gone is fine; another object of the name is a Conflict."""
        kind, namespace, name = _address(seen)
        options: Manifest = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": propagation,
            "preconditions": {"uid": seen["metadata"]["uid"]},
        }
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        try:
            await self._call("delete", kind, namespace, name, options)
        except NotFound:
            return

    async def patch(self, kind: str, namespace: str, name: str, change: Manifest) -> Manifest:
        """JSON merge patch. For fields that apply cannot express, such as an Event's series."""
        return await self._call("patch", kind, namespace, name, change, content_type=_MERGE)

    async def _call(
        self,
        verb: str,
        kind: str,
        namespace: str | None,
        name: str | None,
        body: Manifest | None = None,
        *,
        query: Mapping[str, str] | None = None,
        content_type: str = _JSON,
        subresource: str | None = None,
        before: Manifest | None = None,
        accept: str = _JSON,
    ) -> Manifest:
        what = f"{verb} {kind} {namespace or '*'}/{name or '*'}"
        writes = verb not in ("get", "list")
        if writes:
            self._fence()
        path = KINDS[kind].path(namespace, name, subresource) + ("?" + urlencode(query) if query else "")
        try:
            headers = {"Accept": accept, "Content-Type": content_type}
            status, text = await self._request(_METHODS[verb], path, body, headers)
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            self._metrics.requests.labels(kind, verb, "none").inc()
            raise Unavailable(what, f"no answer from the API server: {error!r}", outcome_unknown=writes) from error
        self._metrics.requests.labels(kind, verb, str(status)).inc()
        if status >= 300:
            raise _error(what, status, text, writes)
        after = cast(Manifest, json.loads(text))
        if writes and not _same_version(before, after):
            self._metrics.writes.labels(kind, verb).inc()
        return after

    async def _request(self, method: str, path: str, body: Manifest | None, headers: Mapping[str, str]) -> tuple[int, str]:
        arguments = await self._client.param_serialize(
            method, path, header_params=dict(headers), query_params=[], body=body, auth_settings=["BearerToken"]
        )
        response = await self._client.call_api(*arguments, _request_timeout=self._timeout)
        content: bytes = await response.read()
        return response.status, content.decode(errors="replace")


_METHODS = {
    "get": "GET",
    "list": "GET",
    "create": "POST",
    "replace": "PUT",
    "apply": "PATCH",
    "apply-status": "PATCH",
    "patch": "PATCH",
    "delete": "DELETE",
}


def _address(manifest: Manifest) -> tuple[str, str, str]:
    metadata = manifest["metadata"]
    return manifest["kind"], metadata["namespace"], metadata.get("name", "")


def _same_version(before: Manifest | None, after: Manifest) -> bool:
    """Whether a write changed nothing: the API server keeps the resourceVersion then."""
    if before is None:
        return False
    version: Any = before["metadata"].get("resourceVersion")
    return bool(version == after.get("metadata", {}).get("resourceVersion"))


def _error(what: str, status: int, text: str, writes: bool) -> ClusterError:
    """By HTTP status, and for 409 by the Status' reason. The API server's own words are kept."""
    try:
        said = json.loads(text)
        reason, message = str(said.get("reason", "")), str(said.get("message", text))
    except (ValueError, AttributeError):
        reason, message = "", text[:500]
    if status == 409:
        return AlreadyExists(what, message) if reason == "AlreadyExists" else Conflict(what, message)
    if status in (401, 429) or status >= 500:
        return Unavailable(what, f"{status} {message}", outcome_unknown=writes and status >= 500)
    by_status: dict[int, type[ClusterError]] = {403: Forbidden, 404: NotFound, 410: NotFound}
    return by_status.get(status, Invalid)(what, f"{status} {message}" if status != 404 else message)
