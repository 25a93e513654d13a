"""Pushing a package to an OCI registry: blobs first, then the manifest's exact bytes, then a look whether it is there.

oras-py speaks to the registry (credentials of the docker config, tokens, certificates); the requests are ours, because its
own push writes a manifest of its own making, and ours is the version's identity.
"""

import ipaddress
import logging
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import oras.container
import oras.provider
import requests

from podium_cli.errors import RegistryUnreachable, UserError
from podium_cli.folder import PackageFolder
from podium_cli.references import Reference
from podium_crds.package import MANIFEST_MEDIA_TYPE, sha256_digest

_TIMEOUT_SECONDS = 30.0
_REQUEST = oras.provider.Registry.do_request.__wrapped__
"""do_request without its decorator, which repeats a wrong password for two minutes. A push that broke off is typed again."""


@dataclass(frozen=True)
class Pushed:
    digest: str
    uploaded: int
    """Blobs that the registry did not have yet."""
    reused: int


def check_insecure(host: str, insecure: bool) -> None:
    """Plain HTTP goes to this machine and private networks only: elsewhere anybody on the way could change the model."""
    if not insecure:
        return
    name = host.rsplit(":", 1)[0].strip("[]")
    try:
        addresses = {entry[4][0] for entry in socket.getaddrinfo(name, None)}
    except OSError as error:
        raise RegistryUnreachable(f"the registry's name {name!r} cannot be resolved: {error.strerror or error}") from error
    public = [a for a in addresses if not (ipaddress.ip_address(a).is_private or ipaddress.ip_address(a).is_loopback)]
    if public:
        raise UserError(
            f"--insecure is for registries on this machine or a private network; {host} is at {public[0]}: leave it out"
        )


def push(
    package: PackageFolder, reference: Reference, *, insecure: bool, report: Callable[[str], None] = lambda _: None
) -> Pushed:
    """Uploads what the registry lacks and tags the manifest. `report` gets a line per file.

    Raises RegistryUnreachable when nothing sensible answers, UserError when the registry refuses.
    """
    check_insecure(reference.host, insecure)
    client = _Client(reference, insecure)
    client.connect()
    uploaded = 0
    blobs = [(entry.name, entry.digest, (package.path / entry.name).read_bytes) for entry in package.files]
    blobs.append(("config", sha256_digest(package.config), lambda: package.config))
    for name, digest, read in blobs:
        if client.has_blob(digest):
            report(f"{name}: already there")
            continue
        client.upload_blob(name, digest, read())
        uploaded += 1
        report(f"{name}: uploaded")
    client.put_manifest(package.manifest, package.digest)
    client.verify(package.digest)
    return Pushed(package.digest, uploaded, len(blobs) - uploaded)


def _docker_configs() -> list[str]:
    """oras-py reads ~/.docker/config.json by itself and does not know the folder that DOCKER_CONFIG names."""
    folder = os.environ.get("DOCKER_CONFIG")
    path = Path(folder) / "config.json" if folder else None
    return [str(path)] if path is not None and path.is_file() else []


class _Client:
    """One repository of one registry."""

    def __init__(self, reference: Reference, insecure: bool) -> None:
        logging.getLogger("oras.logger").setLevel(logging.CRITICAL)
        self._reference = reference
        self._insecure = insecure
        self._base = f"{'http' if insecure else 'https'}://{reference.host}/v2/"
        self._registry = self._provider("token")

    def _provider(self, auth: str) -> Any:
        provider = oras.provider.Registry(self._reference.host, insecure=self._insecure, auth_backend=auth)
        container = oras.container.Container(f"{self._reference.host}/{self._reference.repository}")
        provider.auth.load_configs(container, configs=_docker_configs())
        return provider

    def connect(self) -> None:
        """Finds out whether a registry is there, and which kind of credential it asks for."""
        response = self._send("GET", self._base, authenticated=False)
        if response.status_code not in (200, 401, 403):
            raise RegistryUnreachable(
                f"{self._base} answers {response.status_code}; is {self._reference.host} really an OCI registry?"
            )
        if response.headers.get("Www-Authenticate", "").lower().startswith("basic"):
            self._registry = self._provider("basic")
            if not getattr(self._registry.auth, "_basic_auth", None):
                raise self._unauthorized()

    def has_blob(self, digest: str) -> bool:
        response = self._send("HEAD", self._url(f"blobs/{digest}"))
        self._expect(response, (200, 404), f"looking for blob {digest}")
        return bool(response.status_code == 200)

    def upload_blob(self, name: str, digest: str, content: bytes) -> None:
        started = self._send("POST", self._url("blobs/uploads/"), headers={"Content-Length": "0"})
        self._expect(started, (202,), f"starting the upload of {name}")
        location = urljoin(self._base, started.headers["Location"])
        joiner = "&" if "?" in location else "?"
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(len(content))}
        done = self._send("PUT", f"{location}{joiner}digest={digest}", data=content, headers=headers)
        self._expect(done, (201,), f"uploading {name}")

    def put_manifest(self, manifest: bytes, digest: str) -> None:
        response = self._send(
            "PUT",
            self._url(f"manifests/{self._reference.tag}"),
            data=manifest,
            headers={"Content-Type": MANIFEST_MEDIA_TYPE},
        )
        self._expect(response, (201,), "writing the manifest")
        stored = response.headers.get("Docker-Content-Digest", digest)
        if stored != digest:
            raise RegistryUnreachable(
                f"the registry stored {stored} instead of {digest}; it changes manifests, use another one"
            )

    def verify(self, digest: str) -> None:
        for name in (self._reference.tag, digest):
            response = self._send("HEAD", self._url(f"manifests/{name}"), headers={"Accept": MANIFEST_MEDIA_TYPE})
            self._expect(response, (200,), f"looking for manifest {name}")
            found = response.headers.get("Docker-Content-Digest", digest)
            if found != digest:
                raise RegistryUnreachable(
                    f"{self._reference} is {found} right after {digest} was pushed; somebody else pushes to this tag"
                )

    def _url(self, tail: str) -> str:
        return f"{self._base}{self._reference.repository}/{tail}"

    def _send(
        self,
        method: str,
        url: str,
        *,
        authenticated: bool = True,
        headers: dict[str, str] | None = None,
        data: bytes | None = None,
    ) -> Any:
        try:
            if not authenticated:
                return self._registry.session.request(method, url, timeout=_TIMEOUT_SECONDS)
            response = _REQUEST(self._registry, url, method, data=data, headers=dict(headers or {}))
            if response.status_code == 401 and getattr(self._registry.auth, "token", None):
                self._registry.auth.token = None  # the token was for pulling only: ask again with this request's scope
                response = _REQUEST(self._registry, url, method, data=data, headers=dict(headers or {}))
            return response
        except requests.exceptions.SSLError as error:
            raise RegistryUnreachable(
                f"{self._reference.host} shows no certificate that is trusted here; name its CA in REQUESTS_CA_BUNDLE, "
                "or use --insecure for a registry that speaks plain HTTP"
            ) from error
        except requests.exceptions.RequestException as error:
            raise RegistryUnreachable(
                f"the registry {self._reference.host} does not answer; is it running, and is the port right?"
            ) from error
        except (ValueError, AttributeError, KeyError) as error:
            raise self._unauthorized() from error

    def _expect(self, response: Any, codes: tuple[int, ...], doing: str) -> None:
        if response.status_code in codes:
            return
        if response.status_code in (401, 403):
            raise self._unauthorized()
        says = response.text.strip()[:300] or "nothing more"
        raise RegistryUnreachable(
            f"{doing}: the registry {self._reference.host} answers {response.status_code} and says {says}"
        )

    def _unauthorized(self) -> UserError:
        host = self._reference.host
        return UserError(
            f"the registry {host} refuses to let this user push to {self._reference.repository}; "
            f"log in with `docker login {host}`, or put its credentials into ~/.docker/config.json"
        )
