"""The builder behind one interface, and its one implementation: a Docker Engine over TLS, by the classic builder.

The interface is what a successor would implement. Nothing here knows what is built.
"""

import base64
import io
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import docker
from docker.errors import APIError, DockerException, ImageNotFound

_SILENCE_SECONDS = 900
"""Per read of the Engine's answer, not for the whole: a step may be silent for long."""

Told = Callable[[str], None]
"""Called with each line of output."""


class EngineFault(Exception):
    """The Engine or the registry did not do it. `retryable`: it may, later."""

    def __init__(self, why: str, *, retryable: bool) -> None:
        super().__init__(why)
        self.retryable = retryable


class StepFailed(Exception):
    """A step of the Dockerfile failed; its output was told."""


@dataclass(frozen=True)
class RegistryLogins:
    """Credentials by registry host, from a dockerconfigjson file."""

    by_host: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)

    def of(self, repository: str) -> dict[str, str] | None:
        found = self.by_host.get(repository.split("/", 1)[0])
        return dict(found) if found else None


class Builder(Protocol):
    def digest_of(self, repository: str, tag: str) -> str | None:
        """`sha256:...` of the image in the registry, or None."""

    def build(self, context: bytes, image: str, base_image: str, labels: Mapping[str, str], told: Told) -> int:
        """Builds and names it; the size in bytes. Raises StepFailed or EngineFault."""

    def push(self, repository: str, tag: str) -> str:
        """The digest that the registry has it under. Raises EngineFault."""


class DockerEngine:
    """Where it is and who we are comes from DOCKER_HOST, DOCKER_TLS_VERIFY and DOCKER_CERT_PATH."""

    def __init__(self, logins: RegistryLogins, network: str) -> None:
        self._logins = logins
        self._network = network
        # requests prefers these to the authority that it is given: a company's bundle would replace the Engine's.
        for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
            os.environ.pop(variable, None)
        try:
            self._api: Any = docker.from_env(timeout=_SILENCE_SECONDS).api
            self._api.ping()
        except (DockerException, OSError) as error:
            raise EngineFault(f"the Docker Engine cannot be reached: {error}", retryable=True) from error

    def digest_of(self, repository: str, tag: str) -> str | None:
        try:
            found = self._api.inspect_distribution(f"{repository}:{tag}", auth_config=self._logins.of(repository))
        except APIError:
            return None  # absent, or not allowed to look: then the push tells
        digest: str = found["Descriptor"]["digest"]
        return digest

    def build(self, context: bytes, image: str, base_image: str, labels: Mapping[str, str], told: Told) -> int:
        try:
            self._ensure(base_image)
            output = self._api.build(
                fileobj=io.BytesIO(context),
                custom_context=True,
                tag=image,
                labels=dict(labels),
                network_mode=self._network,
                rm=True,
                forcerm=True,
                decode=True,
            )
            _follow(output, told)
            size: int = self._api.inspect_image(image)["Size"]
        except (DockerException, OSError) as error:
            raise EngineFault(f"the Docker Engine did not build: {error}", retryable=True) from error
        return size

    def push(self, repository: str, tag: str) -> str:
        try:
            login = self._logins.of(repository)
            events = list(self._api.push(repository, tag=tag, stream=True, decode=True, auth_config=login))
        except (DockerException, OSError) as error:
            raise EngineFault(f"the image could not be pushed to {repository}: {error}", retryable=True) from error
        return pushed_digest(repository, events)

    def _ensure(self, image: str) -> None:
        try:
            self._api.inspect_image(image)
        except ImageNotFound:
            repository = image.split("@", 1)[0]
            try:
                self._api.pull(image, auth_config=self._logins.of(repository))
            except APIError as error:
                raise EngineFault(f"the base image {image} could not be pulled: {error}", retryable=True) from error


def pushed_digest(repository: str, events: list[dict[str, Any]]) -> str:
    """From the Engine's account of a push. Pure. Raises EngineFault."""
    for event in events:
        if "error" in event:
            refused = any(word in event["error"].lower() for word in ("denied", "unauthorized", "forbidden"))
            raise EngineFault(
                f"the registry did not take the image for {repository}: {event['error']}", retryable=not refused
            )
    for event in events:
        if digest := (event.get("aux") or {}).get("Digest"):
            return str(digest)
    raise EngineFault(f"the push to {repository} ended without a digest", retryable=True)


def read_logins(path: Path | None) -> RegistryLogins:
    """Raises ValueError naming the file when it is no dockerconfigjson."""
    if path is None:
        return RegistryLogins()
    try:
        entries = json.loads(path.read_bytes())["auths"]
        return RegistryLogins(
            {host.removeprefix("https://").split("/", 1)[0]: _login(entry) for host, entry in entries.items()}
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} should be a dockerconfigjson with an entry 'auths' and is not") from error


def _login(entry: Mapping[str, str]) -> dict[str, str]:
    if "username" in entry:
        return {"username": entry["username"], "password": entry["password"]}
    username, _, password = base64.b64decode(entry["auth"]).decode().partition(":")
    return {"username": username, "password": password}


def _follow(output: Iterator[dict[str, Any]], told: Told) -> None:
    for event in output:
        for line in str(event.get("stream", "")).splitlines():
            told(line)
        if "error" in event:
            told(event["error"])
            raise StepFailed(event["error"])
