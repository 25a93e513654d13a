"""A package on disk: written whole with its manifest, read back and checked before it travels."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import ValidationError

from podium_cli.errors import UserError
from podium_crds.package import (
    CONFIG_FILE,
    DESCRIPTOR_FILE,
    LAYER_MEDIA_TYPES,
    MANIFEST_FILE,
    MODEL_FILE,
    Descriptor,
    FileEntry,
    config_bytes,
    manifest_bytes,
    manifest_files,
    sha256_digest,
)


@dataclass(frozen=True)
class PackageFolder:
    path: Path
    digest: str
    """sha256 of the manifest's bytes: the version's identity."""
    descriptor: Descriptor
    manifest: bytes
    config: bytes
    files: list[FileEntry]


def check_free(out: Path, force: bool) -> None:
    """Raises UserError when `out` holds something that may not be replaced."""
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file; --out takes a folder")
    if not force and out.is_dir() and any(out.iterdir()):
        raise UserError(f"{out} is not empty; choose another --out, or replace the package in it with --force")


def write_package(out: Path, descriptor: Descriptor, contents: Mapping[str, bytes], *, force: bool = False) -> PackageFolder:
    """Writes podium.yaml, `contents` (file name to bytes), config and manifest. Equal arguments write equal bytes.

    With `force` an older package in `out` is replaced; files that no package holds are left alone.
    """
    check_free(out, force)
    files = {**contents, DESCRIPTOR_FILE: descriptor_bytes(descriptor)}
    entries = [
        FileEntry(name=name, digest=sha256_digest(content), size=len(content)) for name, content in sorted(files.items())
    ]
    config = config_bytes(descriptor, entries)
    manifest = manifest_bytes(config, entries)
    out.mkdir(parents=True, exist_ok=True)
    for name in (*LAYER_MEDIA_TYPES, CONFIG_FILE, MANIFEST_FILE):
        (out / name).unlink(missing_ok=True)
    for name, content in {**files, CONFIG_FILE: config}.items():
        (out / name).write_bytes(content)
    (out / MANIFEST_FILE).write_bytes(manifest)  # last: a folder with a manifest is whole
    return PackageFolder(out, sha256_digest(manifest), descriptor, manifest, config, entries)


def descriptor_bytes(descriptor: Descriptor) -> bytes:
    """podium.yaml, in the order of the type's fields, for people read it."""
    document = descriptor.model_dump(mode="json", exclude_none=True)
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)
    return text.encode()


def read_package(path: Path) -> PackageFolder:
    """A package whose files are what its manifest says. Raises UserError naming the file that is not."""
    if not path.is_dir():
        raise UserError(f"there is no folder {path}; make a package with `podium package`")
    manifest = _read(path, MANIFEST_FILE)
    try:
        entries = manifest_files(manifest)
    except ValueError as error:
        raise UserError(f"{path / MANIFEST_FILE} is broken: {error}; package the model again") from error
    contents = {entry.name: _read(path, entry.name) for entry in entries}
    for entry in entries:
        if sha256_digest(contents[entry.name]) != entry.digest:
            raise UserError(
                f"{path / entry.name} was changed after packaging: its digest is not the manifest's; package the model again"
            )
    for needed in (DESCRIPTOR_FILE, MODEL_FILE):
        if needed not in contents:
            raise UserError(f"{path / MANIFEST_FILE} lists no {needed}; package the model again")
    config = _read(path, CONFIG_FILE)
    if manifest_bytes(config, entries) != manifest:
        raise UserError(f"{path / CONFIG_FILE} is not the one that the manifest was made with; package the model again")
    return PackageFolder(
        path, sha256_digest(manifest), _descriptor(path, contents[DESCRIPTOR_FILE]), manifest, config, entries
    )


def _read(path: Path, name: str) -> bytes:
    try:
        return (path / name).read_bytes()
    except FileNotFoundError as error:
        raise UserError(f"{path} has no {name}; it is no whole package: make one with `podium package`") from error


def _descriptor(path: Path, content: bytes) -> Descriptor:
    try:
        return Descriptor.model_validate(yaml.safe_load(content))
    except (yaml.YAMLError, ValidationError) as error:
        first = str(error).splitlines()[0]
        raise UserError(f"{path / DESCRIPTOR_FILE} is no package description: {first}; package the model again") from error
