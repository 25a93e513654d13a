"""The API server, as the monitor asks it: the one module that imports the Kubernetes client. It reads and writes nothing.

The client's ApiClient is used for connections, TLS and token refresh; paths are written here, so there is no discovery.
"""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Self, cast
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio import config as client_config
from kubernetes.aio.client import ApiClient, Configuration

from podium_crds.names import GROUP, VERSION
from podium_monitor.access import AccessUnknown, Identity

_TIMEOUT = aiohttp.ClientTimeout(total=10)
_CONNECT_SECONDS = 10.0
_CONNECTIONS_BESIDE_WATCHES = 32
_MAX_LINE_BYTES = 16 * 1024 * 1024
"""Of one watch event. etcd takes objects of 1.5 MB."""


class ApiError(Exception):
    """The API server did not do as asked. `status` is 0 when there was no answer."""

    def __init__(self, what: str, status: int, message: str) -> None:
        super().__init__(what, status, message)
        self.what, self.status, self.message = what, status, message

    def __str__(self) -> str:
        return f"{self.what}: {self.status or 'no answer'} {self.message}"


class Cluster:
    """Connections to one API server. `await cluster.close()` at the end."""

    def __init__(self, client: Any) -> None:
        self._client = client  # kubernetes.aio's ApiClient, most of which has no annotations

    @classmethod
    async def connect(cls, *, kubeconfig: str | None = None, watches: int = 2) -> Self:
        """With the kubeconfig file, or in the cluster with the pod's service account. `watches`: streams at once."""
        configuration, load = Configuration(), cast(Any, client_config)
        if kubeconfig:
            await load.load_kube_config(config_file=kubeconfig, client_configuration=configuration)
        else:
            load.load_incluster_config(client_configuration=configuration)
        configuration.connection_pool_maxsize = watches + _CONNECTIONS_BESIDE_WATCHES
        return cls(ApiClient(configuration))

    async def close(self) -> None:
        await self._client.close()

    async def get(self, path: str, query: Mapping[str, str]) -> dict[str, Any]:
        """The JSON at `path`. Raises ApiError."""
        return await self._json("GET", path, query, None)

    async def lines(self, path: str, query: Mapping[str, str], silence_seconds: float) -> AsyncIterator[bytes]:
        """Lines of a stream until the server ends it, an empty one first, once it has begun. Raises ApiError, after
        `silence_seconds` without a byte too."""
        what = f"watch {path}"
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=silence_seconds)
        try:
            response = await self._request("GET", path, query, None, timeout)
            try:
                if response.status >= 300:
                    raise _error(what, response.status, await response.read())
                yield b""
                async for line in _lines(what, response.response.content):
                    yield line
            finally:
                _break_off(response.response)
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise ApiError(what, 0, repr(error)) from error

    async def may(self, user: str, groups: Sequence[str], verb: str, resource: str, namespace: str) -> bool:
        """Whether `user` may do `verb` (get, list) with `resource` (modeldeployments) of podium.dev in `namespace`; empty:
        in all. Raises AccessUnknown."""
        attributes = {"group": GROUP, "version": VERSION, "resource": resource, "verb": verb, "namespace": namespace}
        spec = {"user": user, "groups": list(groups), "resourceAttributes": attributes}
        status = await self._review("authorization.k8s.io", "SubjectAccessReview", "subjectaccessreviews", spec)
        return status.get("allowed") is True

    async def who(self, token: str) -> Identity | None:
        """Whose bearer token of this API server it is; None: of nobody. Raises AccessUnknown."""
        status = await self._review("authentication.k8s.io", "TokenReview", "tokenreviews", {"token": token})
        user = status.get("user", {})
        if status.get("authenticated") is not True or not user.get("username"):
            return None
        return Identity(str(user["username"]), tuple(map(str, user.get("groups", []))))

    async def _review(self, group: str, kind: str, plural: str, spec: Mapping[str, Any]) -> dict[str, Any]:
        body = {"apiVersion": f"{group}/v1", "kind": kind, "spec": dict(spec)}
        try:
            answer = await self._json("POST", f"/apis/{group}/v1/{plural}", {}, body)
        except ApiError as error:
            raise AccessUnknown(str(error)) from error
        return cast(dict[str, Any], answer.get("status") or {})

    async def _json(
        self, method: str, path: str, query: Mapping[str, str], body: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        what = f"{method} {path}"
        try:
            response = await self._request(method, path, query, body, _TIMEOUT)
            content = await response.read()
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise ApiError(what, 0, repr(error)) from error
        if response.status >= 300:
            raise _error(what, response.status, content)
        try:
            found = json.loads(content)
        except ValueError as error:
            raise ApiError(what, response.status, f"the answer is no JSON: {error}") from error
        if not isinstance(found, dict):
            raise ApiError(what, response.status, "the answer is no JSON object")
        return found

    async def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Mapping[str, Any] | None,
        timeout: aiohttp.ClientTimeout,
    ) -> Any:
        arguments = await self._client.param_serialize(
            method,
            path + ("?" + urlencode(query) if query else ""),
            header_params={"Accept": "application/json", "Content-Type": "application/json"},
            query_params=[],
            body=body,
            auth_settings=["BearerToken"],
        )
        return await self._client.call_api(*arguments, _request_timeout=timeout)


def _break_off(response: aiohttp.ClientResponse) -> None:
    """Of a stream that has not ended: at once, for a TLS farewell would outlive whoever closes the connections next."""
    if response.connection is not None and response.connection.transport is not None:
        response.connection.transport.abort()
    response.close()


async def _lines(what: str, content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Not the reader's own lines: those fail at its buffer's size."""
    rest = bytearray()
    async for part in content.iter_any():
        *whole, last = part.split(b"\n")
        for line in whole:
            yield bytes(rest) + line
            rest.clear()
        rest += last
        if len(rest) > _MAX_LINE_BYTES:
            raise ApiError(what, 200, f"an event has more than {_MAX_LINE_BYTES} bytes")


def _error(what: str, status: int, content: bytes) -> ApiError:
    """The API server's own words are kept."""
    try:
        message = str(json.loads(content)["message"])
    except (ValueError, KeyError, TypeError):
        message = content[:500].decode(errors="replace")
    return ApiError(what, status, message)
