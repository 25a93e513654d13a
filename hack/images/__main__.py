"""`python hack/images`: builds the images of the parts, pushes them, and writes their digests to .build/images.json.

Environment, as `python3 hack/cluster env` prints it: DOCKER_HOST, DOCKER_TLS_VERIFY and DOCKER_CERT_PATH name the Docker
Engine, PODIUM_REGISTRY where to push, PODIUM_BASE_IMAGE what to build on (python:3.11-slim-bookworm where it is not given).
PIP_CONFIG_FILE and PIP_CERT, files on this machine, are used while packages are installed and left behind.
"""

import io
import json
import os
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

if __package__ in {None, ""}:  # run as a folder: make the folder the package that its modules say they are in
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import docker
from docker.errors import DockerException
from urllib3.exceptions import HTTPError

from images.context import PARTS, context, image_tag
from images.registry import Pushed, pushed

ROOT = Path(__file__).resolve().parents[2]
DEFAULT_BASE_IMAGE = "python:3.11-slim-bookworm"
BUILD_TIMEOUT_SECONDS = 1800
LINES_OF_A_FAILURE = 40


class BuildFailed(Exception):
    """The Docker Engine could not build or push. The message ends with the last lines it said."""


def pip_files(environment: Mapping[str, str]) -> dict[str, bytes]:
    given = {"pip.conf": environment.get("PIP_CONFIG_FILE"), "ca.crt": environment.get("PIP_CERT")}
    return {name: Path(path).read_bytes() for name, path in given.items() if path}


def build(client: docker.APIClient, part: str, reference: str, base_image: str, pip: Mapping[str, bytes]) -> None:
    follow(
        client.build(
            fileobj=io.BytesIO(context(ROOT, pip)),
            custom_context=True,
            target=part,
            tag=reference,
            buildargs={"BASE_IMAGE": base_image},
            rm=True,
            forcerm=True,
            decode=True,
        ),
        f"building {part}",
    )


def follow(events: Iterable[dict[str, Any]], doing: str) -> None:
    """Reads what the Engine says to the end. Raises BuildFailed with its last lines."""
    lines: list[str] = []
    for event in events:
        if "error" in event:
            raise BuildFailed("\n".join([f"{doing} failed:", *lines[-LINES_OF_A_FAILURE:], event["error"].strip()]))
        said = event.get("stream", "").strip()
        if said:
            lines.append(said)
        if said.startswith("Step ") and " : RUN " in said:
            print(f"    {said}", flush=True)


def publish(client: docker.APIClient, part: str, registry: str, base_image: str, pip: Mapping[str, bytes]) -> str:
    """Builds and pushes unless the registry has the same. Returns repository@digest."""
    repository, tag = f"podium/{part}", image_tag(ROOT, part, base_image)
    reference = f"{registry}/{repository}:{tag}"
    started = time.monotonic()
    found = pushed(registry, repository, tag)
    if found is None:
        print(f"{part}: building {reference}", flush=True)
        build(client, part, reference, base_image, pip)
        size: int = client.inspect_image(reference)["Size"]  # type: ignore[no-untyped-call]
        unpacked = f"{size / 1e6:.0f} MB unpacked, "
        found = push(client, registry, repository, tag)
    else:
        unpacked = ""
    took = time.monotonic() - started
    print(f"{part}: {found.digest} ({unpacked}{found.compressed_bytes / 1e6:.0f} MB to pull, {took:.0f} s)", flush=True)
    return f"{registry}/{repository}@{found.digest}"


def push(client: docker.APIClient, registry: str, repository: str, tag: str) -> Pushed:
    events: list[dict[str, Any]] = list(client.push(f"{registry}/{repository}", tag=tag, stream=True, decode=True))
    follow(events, f"pushing {repository}")
    found = pushed(registry, repository, tag)
    if found:
        return found
    [said] = [event["aux"] for event in events if "Digest" in event.get("aux", {})]
    return Pushed(said["Digest"], said["Size"])


def main(environment: Mapping[str, str]) -> int:
    if "PODIUM_REGISTRY" not in environment:
        print('PODIUM_REGISTRY is not set: eval "$(python3 hack/cluster env)" names the local cluster\'s', file=sys.stderr)
        return 2
    registry, base_image = environment["PODIUM_REGISTRY"], environment.get("PODIUM_BASE_IMAGE", DEFAULT_BASE_IMAGE)
    try:
        client = docker.from_env(timeout=BUILD_TIMEOUT_SECONDS, environment=dict(environment)).api
        digests = {part: publish(client, part, registry, base_image, pip_files(environment)) for part in PARTS}
    except (BuildFailed, DockerException, HTTPError, OSError) as failure:
        print(failure, file=sys.stderr)
        return 1
    written = ROOT / ".build" / "images.json"
    written.parent.mkdir(exist_ok=True)
    written.write_text(json.dumps(digests, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        os.environ.pop(name, None)  # the HTTP library would take it in place of the Docker Engine's own CA
    sys.exit(main(os.environ))
