"""What a version was trained on, as its package says: kept per deployment and digest, brought by the pods that serve it.

    references/namespace=shop/deployment=churn/digest=sha256-<hex>/{podium.yaml, profile.json, reference.parquet}

The monitor reads no registry: pods hold the package anyway. Files are written once and never changed; podium.yaml is the
last one, and with it the reference is whole.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from pydantic import ValidationError

from podium_crds.package import DESCRIPTOR_FILE, PROFILE_FILE, REFERENCE_FILE, Descriptor
from podium_crds.profile import Profile
from podium_monitor.budgeted import Budgeted
from podium_monitor.lake.store import Store
from podium_monitor.lenient import first_error, without_unknown_fields

MAX_BYTES = {DESCRIPTOR_FILE: 8 * 1024 * 1024, PROFILE_FILE: 64 * 1024 * 1024, REFERENCE_FILE: 64 * 1024 * 1024}
"""Of the files that a reference may have. A pod takes a podium.yaml of 8 MiB at most."""
_MAX_ROWS = 100_000
"""The packager writes 10,000."""
_MAX_COLUMNS = 10_000
_MAX_UNPACKED_BYTES = 128 * 1024 * 1024
"""10,000 rows of 1,500 numbers."""
_REMEMBERED_BYTES = 32 * 1024 * 1024
"""Where nobody says otherwise."""
_BYTES_OF_BYTE = 8
"""Of memory, for each of a file: objects are larger than their text. Measured: 7."""
_MAX_DEPTH = 50
_MAX_DIGITS = 100
_BEGIN_NUMBERS = frozenset("+-.0123456789")
_MERGE = "tag:yaml.org,2002:merge"

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same, ten times as fast, where libyaml is


class InvalidReference(ValueError):
    """The file is not what its name says. The text says why."""


class Differs(Exception):
    """There is another file of the name, or the reference is whole without it: nothing is changed."""


@dataclass(frozen=True)
class Reference:
    """Of one version as one deployment serves it."""

    descriptor: Descriptor
    profile: Profile | None
    """None: the package has none."""
    table: Path | None
    """reference.parquet, for reading now: it may be gone later. None: the package has none."""


def reference_of(store: Store, namespace: str, deployment: str, digest: str) -> Reference | None:
    """None: no pod has brought it whole yet. Blocking; read once, then remembered. Raises OSError."""
    try:
        found = _documents(store, namespace, deployment, digest)
        path = f"{folder_of_reference(namespace, deployment, digest)}/{REFERENCE_FILE}"
        return Reference(found.descriptor, found.profile, store.local(path) if found.has_table else None)
    except FileNotFoundError:
        return None


@dataclass(frozen=True)
class _Documents:
    descriptor: Descriptor
    profile: Profile | None
    has_table: bool


_REMEMBERED: Budgeted[tuple[Store, str, str, str], _Documents] = Budgeted(_REMEMBERED_BYTES)


def remember_at_most(most_bytes: int) -> None:
    """Of descriptors and profiles, together, in this process."""
    _REMEMBERED.limit(most_bytes)


def _documents(store: Store, namespace: str, deployment: str, digest: str) -> _Documents:
    """Raises FileNotFoundError."""
    key = store, namespace, deployment, digest
    if (known := _REMEMBERED.get(key)) is not None:
        return known
    folder = folder_of_reference(namespace, deployment, digest)
    described = store.read(f"{folder}/{DESCRIPTOR_FILE}")
    names = {entry.path.rpartition("/")[2] for entry in store.list(folder)}
    profiled = store.read(f"{folder}/{PROFILE_FILE}") if PROFILE_FILE in names else b""
    found = _Documents(_descriptor(described), _profile(profiled) if profiled else None, REFERENCE_FILE in names)
    _REMEMBERED.put(key, found, _BYTES_OF_BYTE * (len(described) + len(profiled)))
    return found


def folder_of_reference(namespace: str, deployment: str, digest: str) -> str:
    """`digest` is sha256:<hex>."""
    return f"references/namespace={namespace}/deployment={deployment}/digest={digest.replace(':', '-')}"


def is_there(store: Store, folder: str, name: str) -> bool:
    return any(entry.path == f"{folder}/{name}" for entry in store.list(folder))


def keep(store: Store, folder: str, name: str, content: bytes) -> bool:
    """Whether it is new; durable when it returns. `content` was checked. Raises Differs, or OSError. Blocking."""
    path = f"{folder}/{name}"
    if name != DESCRIPTOR_FILE and not is_there(store, folder, name) and is_there(store, folder, DESCRIPTOR_FILE):
        raise Differs(f"the reference is whole without {name}: {DESCRIPTOR_FILE} is the last file")
    try:
        store.create(path, content)
    except FileExistsError as error:
        if store.read(path) != content:
            raise Differs(f"there is another {name} of this digest") from error
        return False
    return True


def check(name: str, content: bytes) -> None:
    """Raises InvalidReference if the content is not what the name says. `name` is one of MAX_BYTES.

    It may take any memory: podium_monitor.reference_checks bounds it."""
    if name == DESCRIPTOR_FILE:
        _descriptor(content)
    elif name == PROFILE_FILE:
        _profile(content)
    else:
        _check_table(content)


def _descriptor(content: bytes) -> Descriptor:
    try:
        return without_unknown_fields(Descriptor, _yaml(content))
    except ValidationError as error:
        raise InvalidReference(f"{DESCRIPTOR_FILE}: {first_error(error)}") from error


def _yaml(content: bytes) -> Any:
    """The document. A few kilobytes of YAML can take a parser hours: such are refused first. Raises InvalidReference."""
    try:
        _check_cheap(yaml.parse(content, Loader=_Loader))
        return yaml.load(content, Loader=_Loader)  # noqa: S506  a safe loader
    except InvalidReference:
        raise
    except (yaml.YAMLError, ValueError, ArithmeticError, LookupError, AttributeError, TypeError, RecursionError) as error:
        # PyYAML lets through what is raised by a date without a day, an empty !!int, a number of 5,000 digits.
        raise InvalidReference(f"{DESCRIPTOR_FILE} is not YAML: {error}") from error


def _check_cheap(events: Iterable[yaml.Event]) -> None:
    """Time grows with the square of depth, of a number's length, and with 2 to the power of merges."""
    depth = 0
    for event in events:
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.ScalarEvent) and (event.implicit[0] or event.tag):
            number = event.value[:1] in _BEGIN_NUMBERS and len(event.value) > _MAX_DIGITS and " " not in event.value
            if number or event.value == "<<" or event.tag == _MERGE:
                raise InvalidReference(f"{DESCRIPTOR_FILE} has a merge key or a long number{event.start_mark}: write it out")
        if depth > _MAX_DEPTH:
            raise InvalidReference(f"{DESCRIPTOR_FILE} is more than {_MAX_DEPTH} levels deep{event.start_mark}")


def _profile(content: bytes) -> Profile:
    try:
        return without_unknown_fields(Profile, json.loads(content))
    except (ValueError, RecursionError) as error:
        why = first_error(error) if isinstance(error, ValidationError) else str(error)
        raise InvalidReference(f"{PROFILE_FILE}: {why}") from error


def _check_table(content: bytes) -> None:
    """Reads all of it: a footer may say anything."""
    try:
        file = pq.ParquetFile(pa.BufferReader(content))
        _check_size(file.metadata)
        unpacked = 0
        for group in range(file.num_row_groups):
            unpacked += file.read_row_group(group, use_threads=False).nbytes
            _check_unpacked(unpacked)
    except MemoryError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, InvalidReference):
            raise
        raise InvalidReference(f"{REFERENCE_FILE} is not Parquet: {error}") from error


def _check_size(found: Any) -> None:
    """What the footer says: an honest one is refused with a better sentence."""
    if found.num_rows > _MAX_ROWS or found.num_columns > _MAX_COLUMNS:
        raise InvalidReference(
            f"{REFERENCE_FILE} has {found.num_rows} rows of {found.num_columns} columns, "
            f"may have {_MAX_ROWS} of {_MAX_COLUMNS}"
        )
    _check_unpacked(sum(found.row_group(index).total_byte_size for index in range(found.num_row_groups)))


def _check_unpacked(unpacked: int) -> None:
    if unpacked > _MAX_UNPACKED_BYTES:
        raise InvalidReference(f"{REFERENCE_FILE} unpacks to {unpacked} bytes, may have {_MAX_UNPACKED_BYTES}")
