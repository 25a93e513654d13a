"""The cluster's own images, written as files and pushed with plain HTTP: no Docker is needed, and the bytes are the same.

An image here is one compressed layer, made once and kept in the cache, and a small configuration. Four exist: the pause
image, CoreDNS and metrics-server (each a static program alone) and a base image with Python for images that are built.
A fifth is made when it is asked for: prometheus.py.
"""

import gzip
import hashlib
import http.client
import io
import json
import platform
import shutil
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from cluster.build import fingerprint
from cluster.console import Failure, run, step
from cluster.kernel import unmount_below
from cluster.layout import NODE_ADDRESS, REGISTRY, REGISTRY_PORT

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
BASE_PACKAGES = ("ca-certificates", "libpython3-dev", "python3", "python3-pip", "python3-venv")
"""As `python:3.11-slim` has them: libpython3-dev for the headers, by which the serving package is compiled."""
BASE_RECIPE = 1
"""Counted up when the steps below change: part of the base image's tag."""
BASE_LEFT_OUT = (
    "dev/",
    "proc/",
    "sys/",
    "var/cache/apt/",
    "var/lib/apt/lists/",
    "var/log/",
    "usr/share/doc/",
    "usr/share/man/",
    "usr/share/locale/",
)
BASE_LEFT_OUT_ENDS = (".a",)
"""Libraries to link programs with: nothing here is."""
MEDIA = "application/vnd.docker"


@dataclass(frozen=True)
class Image:
    """A repository and tag, its layer in the cache, and how it runs."""

    repository: str
    tag: str
    layer: Path
    run: Mapping[str, object]

    @property
    def reference(self) -> str:
        return f"{REGISTRY}/{self.repository}:{self.tag}"


class CountingHash(io.RawIOBase):
    """A file that hashes what is written to it and passes it on."""

    def __init__(self, inner: IO[bytes]) -> None:
        self.inner = inner
        self.digest = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, block: bytes) -> int:  # type: ignore[override]  # tarfile and gzip write bytes alone
        self.digest.update(block)
        self.inner.write(block)
        return len(block)


def write_layer(layer: Path, fill: Callable[[tarfile.TarFile], None]) -> None:
    """Writes <layer> (tar.gz) and <layer>.json with the digests of the plain and the packed bytes; whole or not at all."""
    if layer.exists() and layer_facts(layer).exists():
        return
    layer.parent.mkdir(parents=True, exist_ok=True)
    partial = layer.with_name(f"{layer.name}.partial")
    with partial.open("wb") as file:
        outer = CountingHash(file)
        with gzip.GzipFile(filename="", fileobj=outer, mode="wb", compresslevel=1, mtime=0) as packed:
            inner = CountingHash(packed)  # type: ignore[arg-type]  # GzipFile writes bytes, but is no IO[bytes] by name
            with tarfile.open(fileobj=inner, mode="w|", format=tarfile.PAX_FORMAT) as archive:
                fill(archive)
    facts = {"plain": inner.digest.hexdigest(), "packed": outer.digest.hexdigest(), "size": partial.stat().st_size}
    layer_facts(layer).write_text(json.dumps(facts))
    partial.rename(layer)


def layer_facts(layer: Path) -> Path:
    return layer.with_name(f"{layer.name}.json")


def program_image(name: str, program: Path, entrypoint: str, user: str) -> Image:
    """An image with one static program and nothing else."""
    layer = program.parent / "layer.tar.gz"

    def fill(archive: tarfile.TarFile) -> None:
        entry = tarfile.TarInfo(entrypoint.lstrip("/"))
        entry.size, entry.mode = program.stat().st_size, 0o755
        with program.open("rb") as content:
            archive.addfile(entry, content)

    write_layer(layer, fill)
    tag = program.parent.name.rpartition("-")[2]
    return Image(f"podium/{name}", tag, layer, {"Entrypoint": [entrypoint], "User": user})


def own_release() -> str:
    """The code name of this machine's distribution, such as bookworm."""
    name = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    if not name:
        raise Failure("/etc/os-release has no VERSION_CODENAME: which Debian release should the base image be?")
    return name


def mirror(targets: str, release: str) -> str:
    """The archive that apt itself uses for a release, from `apt-get indextargets` with the format below."""
    for line in targets.splitlines():
        address, codename, component = line.split("|")
        if codename == release and component == "main":
            return address
    raise Failure(f"apt's own configuration names no archive for '{release} main'; the base image is made from it")


def apt_mirror(release: str) -> str:
    form = "$(REPO_URI)|$(CODENAME)|$(COMPONENT)"
    return mirror(run(["apt-get", "indextargets", "--format", form, "Identifier: Packages"]), release)


def base_image(cache: Path) -> Image:
    """Python on a minimal system of this machine's own release, made by debootstrap once."""
    release = own_release()
    parts = [release, platform.machine(), str(BASE_RECIPE), *BASE_PACKAGES, *BASE_LEFT_OUT, *BASE_LEFT_OUT_ENDS]
    tag = f"{release}-{fingerprint([part.encode() for part in parts])[:12]}"
    folder = cache / f"base-{tag}"
    layer = folder / "layer.tar.gz"
    if not layer.exists():
        with step(f"making the base image {tag} (about a minute, once)"):
            make_base_layer(folder, layer, release)
    settings = {
        "Cmd": ["/usr/bin/python3"],
        "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"],
    }
    return Image("podium/base", tag, layer, settings)


def make_base_layer(folder: Path, layer: Path, release: str) -> None:
    root = folder / "root"
    unmount_below(folder)  # a run that was killed leaves the root's /proc mounted
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    command = ["debootstrap", "--variant=minbase", f"--include={','.join(BASE_PACKAGES)}"]
    run([*command, release, root, apt_mirror(release)])
    unmount_below(folder)

    def wanted(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
        name = entry.name.removeprefix("./")
        return None if name.startswith(BASE_LEFT_OUT) or name.endswith(BASE_LEFT_OUT_ENDS) else entry

    write_layer(layer, lambda archive: archive.add(root, ".", filter=wanted))
    shutil.rmtree(root)


def push(image: Image) -> None:
    """Puts the image into the registry, unless it is there."""
    facts = json.loads(layer_facts(image.layer).read_text())
    config = json.dumps(
        {
            "architecture": ARCHITECTURES[platform.machine()],
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": image.run,
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{facts['plain']}"]},
        }
    ).encode()
    config_digest = hashlib.sha256(config).hexdigest()
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": f"{MEDIA}.distribution.manifest.v2+json",
            "config": {
                "mediaType": f"{MEDIA}.container.image.v1+json",
                "digest": f"sha256:{config_digest}",
                "size": len(config),
            },
            "layers": [
                {
                    "mediaType": f"{MEDIA}.image.rootfs.diff.tar.gzip",
                    "digest": f"sha256:{facts['packed']}",
                    "size": facts["size"],
                }
            ],
        }
    ).encode()
    connection = http.client.HTTPConnection(NODE_ADDRESS, REGISTRY_PORT, timeout=120)
    upload(connection, image.repository, config_digest, io.BytesIO(config), len(config))
    with image.layer.open("rb") as content:
        upload(connection, image.repository, facts["packed"], content, int(facts["size"]))
    headers = {"Content-Type": f"{MEDIA}.distribution.manifest.v2+json"}
    ask(connection, "PUT", f"/v2/{image.repository}/manifests/{image.tag}", 201, manifest, headers)
    connection.close()


def upload(connection: http.client.HTTPConnection, repository: str, digest: str, content: IO[bytes], size: int) -> None:
    connection.request("HEAD", f"/v2/{repository}/blobs/sha256:{digest}")
    answer = connection.getresponse()
    answer.read()
    if answer.status == 200:
        return
    location = ask(connection, "POST", f"/v2/{repository}/blobs/uploads/", 202).partition(REGISTRY)[2]
    joint = "&" if "?" in location else "?"
    headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
    ask(connection, "PUT", f"{location}{joint}digest=sha256:{digest}", 201, content, headers)


def ask(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    wanted: int,
    body: bytes | IO[bytes] | None = None,
    headers: Mapping[str, str] | None = None,
) -> str:
    """Sends one request and returns the Location of the answer. Raises Failure with the registry's words."""
    connection.request(method, path, body=body, headers=dict(headers or {}))
    answer = connection.getresponse()
    text = answer.read().decode(errors="replace")
    if answer.status != wanted:
        raise Failure(f"the registry answered {method} {path} with {answer.status}: {text[:300]}")
    return answer.getheader("Location") or ""
