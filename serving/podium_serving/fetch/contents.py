"""What a manifest lists, checked before any of it becomes a path: names, digests and sizes come from outside. Pure."""

import json
from dataclasses import dataclass

from podium_crds.package import CONFIG_FILE, DESCRIPTOR_FILE, MODEL_FILE, FileEntry, manifest_files, sha256_digest
from podium_serving.fetch.errors import DigestMismatch, InvalidPackage
from podium_serving.fetch.references import hex_of

MAX_MANIFEST_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Contents:
    """The files of a package. `files` has the config blob too, under its own name."""

    digest: str
    manifest: bytes
    files: tuple[FileEntry, ...]

    def entry(self, name: str) -> FileEntry:
        return next(entry for entry in self.files if entry.name == name)


def read_contents(digest: str, manifest: bytes) -> Contents:
    """The contents that `manifest` lists. Raises DigestMismatch or InvalidPackage."""
    if (got := sha256_digest(manifest)) != digest:
        raise DigestMismatch(f"the manifest's digest is {got}, wanted {digest}")
    try:
        files = manifest_files(manifest)
        config = json.loads(manifest)["config"]
        files.append(FileEntry(name=CONFIG_FILE, digest=config["digest"], size=config["size"]))
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidPackage(f"package {digest}: {error}") from error
    names = [entry.name for entry in files]
    if len(names) != len(set(names)):
        raise InvalidPackage(f"package {digest} lists a file twice: {', '.join(sorted(names))}")
    for needed in (DESCRIPTOR_FILE, MODEL_FILE):
        if needed not in names:
            raise InvalidPackage(f"package {digest} has no {needed}")
    for entry in files:
        hex_of(entry.digest)
        if entry.size < 0:
            raise InvalidPackage(f"package {digest}: {entry.name} has the size {entry.size}")
    return Contents(digest, manifest, tuple(files))
