"""Reads a model package from its folder. Nothing is believed before its sha256 is what the manifest says."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import ValidationError

from podium_crds.package import (
    CONFIG_FILE,
    DESCRIPTOR_FILE,
    GOLDEN_FILE,
    MANIFEST_FILE,
    MODEL_FILE,
    TRANSFORM_FILE,
    Descriptor,
    GoldenRow,
    manifest_files,
    sha256_digest,
)


class InvalidPackage(ValueError):
    """The folder holds no package that could be served. `reason` is one CamelCase word for conditions and reports."""

    def __init__(self, message: str, reason: str = "InvalidPackage") -> None:
        super().__init__(message, reason)
        self.message = message
        self.reason = reason

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True)
class Package:
    """A verified package on disk."""

    folder: Path
    digest: str
    descriptor: Descriptor
    golden: tuple[GoldenRow, ...]
    size_bytes: int
    """All files together."""

    @property
    def model_file(self) -> Path:
        return self.folder / MODEL_FILE

    @property
    def transform_file(self) -> Path:
        return self.folder / TRANSFORM_FILE


def read_package(folder: Path) -> Package:
    """Reads and verifies all files. Blocks: call it in a thread. Raises InvalidPackage naming file and cause."""
    manifest = _content(folder, MANIFEST_FILE)
    try:
        entries = manifest_files(manifest)
    except ValueError as error:
        raise InvalidPackage(f"{MANIFEST_FILE}: {error}") from error
    for entry in entries:
        _verify(folder, entry.name, entry.digest, entry.size)
    names = {entry.name for entry in entries}
    for name in (DESCRIPTOR_FILE, MODEL_FILE):
        if name not in names:
            raise InvalidPackage(f"the manifest lists no {name}; it lists {', '.join(sorted(names)) or 'nothing'}")
    descriptor = parse_descriptor(_content(folder, DESCRIPTOR_FILE))
    if descriptor.transform != (TRANSFORM_FILE in names):
        state = "there" if TRANSFORM_FILE in names else "missing"
        raise InvalidPackage(f"{DESCRIPTOR_FILE} says transform: {descriptor.transform}, but {TRANSFORM_FILE} is {state}")
    golden = parse_golden(_content(folder, GOLDEN_FILE)) if GOLDEN_FILE in names else ()
    size = sum(entry.size for entry in entries)
    return Package(folder=folder, digest=sha256_digest(manifest), descriptor=descriptor, golden=golden, size_bytes=size)


def parse_descriptor(content: bytes) -> Descriptor:
    """podium.yaml's contents. Raises InvalidPackage naming the first field that is wrong."""
    try:
        return Descriptor.model_validate(yaml.safe_load(content))
    except yaml.YAMLError as error:
        raise InvalidPackage(f"{DESCRIPTOR_FILE} is not YAML: {error}") from error
    except ValidationError as error:
        raise InvalidPackage(f"{DESCRIPTOR_FILE}: {_first(error)}") from error


def parse_golden(content: bytes) -> tuple[GoldenRow, ...]:
    """golden.jsonl's contents. Raises InvalidPackage naming line and field."""
    rows = []
    for number, line in enumerate(content.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            rows.append(GoldenRow.model_validate_json(line))
        except ValidationError as error:
            raise InvalidPackage(f"{GOLDEN_FILE} line {number}: {_first(error)}") from error
    return tuple(rows)


def _first(error: ValidationError) -> str:
    detail = error.errors(include_url=False)[0]
    place = ".".join(map(str, detail["loc"])) or "the whole"
    return f"{place}: {detail['msg']}"


def _verify(folder: Path, name: str, digest: str, size: int) -> None:
    path = folder / name
    try:
        with path.open("rb") as file:
            got = "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
            got_size = file.tell()
    except FileNotFoundError as error:
        raise InvalidPackage(f"{name} is listed in {MANIFEST_FILE} but missing from {folder}") from error
    if got != digest or got_size != size:
        raise InvalidPackage(
            f"{name} has {got_size} bytes with {got}, {MANIFEST_FILE} says {size} bytes with {digest}", "DigestMismatch"
        )


def _content(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except OSError as error:
        known = ", ".join((MANIFEST_FILE, CONFIG_FILE, DESCRIPTOR_FILE, MODEL_FILE))
        raise InvalidPackage(f"cannot read {name} in {folder}: {error.strerror}; a package holds {known}") from error
