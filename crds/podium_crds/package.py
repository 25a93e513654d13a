"""The model package: what lies in its folder and how its identity is computed.

A package is a folder. `manifest.json` is an OCI image manifest with the media types of CNCF ModelPack: it lists each
file's sha256, and the sha256 of its exact bytes is the version's identity, whatever transport carries it. `config.json`
is the manifest's config blob. Nothing here reads or writes files: bytes in, bytes out.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

DESCRIPTOR_FILE = "podium.yaml"
MODEL_FILE = "model.onnx"
GOLDEN_FILE = "golden.jsonl"
PROFILE_FILE = "profile.json"
REFERENCE_FILE = "reference.parquet"
TRANSFORM_FILE = "transform.py"
MANIFEST_FILE = "manifest.json"
CONFIG_FILE = "config.json"

MANIFEST_MEDIA_TYPE = "application/vnd.oci.image.manifest.v1+json"
ARTIFACT_TYPE = "application/vnd.cncf.model.manifest.v1+json"
CONFIG_MEDIA_TYPE = "application/vnd.cncf.model.config.v1+json"
LAYER_MEDIA_TYPES: Mapping[str, str] = {
    MODEL_FILE: "application/vnd.cncf.model.weight.v1.raw",
    DESCRIPTOR_FILE: "application/vnd.cncf.model.weight.config.v1.raw",
    TRANSFORM_FILE: "application/vnd.cncf.model.code.v1.raw",
    GOLDEN_FILE: "application/vnd.cncf.model.dataset.v1.raw",
    PROFILE_FILE: "application/vnd.cncf.model.dataset.v1.raw",
    REFERENCE_FILE: "application/vnd.cncf.model.dataset.v1.raw",
}
"""Media type per file name. Files of a package lie flat in its folder and have exactly these names."""
FILEPATH_ANNOTATION = "org.cncf.model.filepath"

Datatype = Literal[
    "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64", "BYTES"
]
"""Datatypes of the Open Inference Protocol."""


class _Wire(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TensorSpec(_Wire):
    """One input or output of the model. A shape starts with -1, the number of rows."""

    name: str = Field(min_length=1, max_length=128)
    datatype: Datatype
    shape: list[int] = Field(min_length=1, max_length=8)


class InputSpec(TensorSpec):
    """An input column with what training saw of it."""

    nullable: bool = False
    """Whether null may be sent. NaN stands for it in floats, the empty string in BYTES."""
    minimum: float | None = None
    maximum: float | None = None
    categories: list[str] | None = Field(default=None, max_length=10_000)
    example: Any = None
    """A value (scalar, or nested list for wider tensors) that /docs shows and that answers when pasted."""


class OutputSpec(TensorSpec):
    kind: Literal["Label", "Probabilities", "Value", "Raw"] = "Raw"
    """What the numbers are: a class label, one probability per class, a regression value, or unknown."""
    classes: list[str] | None = None


class Tolerances(_Wire):
    """A golden number x may differ by absolute + relative * |x|."""

    absolute: float = Field(default=1e-5, ge=0)
    relative: float = Field(default=1e-4, ge=0)

    def allowance(self, expected: float) -> float:
        """How far an answer may lie from `expected`."""
        return self.absolute + self.relative * abs(expected)


class Training(_Wire):
    """Where the model comes from. `metrics` are means over the validation rows, keyed by their usual name."""

    framework: str = ""
    framework_version: str = ""
    rows: int | None = None
    metrics: dict[str, float] = Field(default_factory=dict)
    parameters: int | None = Field(default=None, ge=0)
    """Numbers that were fitted, where that is well-defined: what AIC and BIC count. Absent: they are not told."""


class Descriptor(_Wire):
    """The contents of podium.yaml."""

    schema_version: Literal[1] = 1
    name: Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]
    version: Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$")]
    task: Literal["Classification", "Regression", "Unknown"] = "Unknown"
    inputs: list[InputSpec] = Field(min_length=1, max_length=2_000)
    outputs: list[OutputSpec] = Field(min_length=1, max_length=200)
    tolerances: Tolerances = Tolerances()
    golden_source: Literal["TrainingLibrary", "OnnxRuntime"] = "TrainingLibrary"
    requirements: list[str] = Field(default_factory=list, max_length=200)
    """Pip requirement lines beyond the generic scoring image. Not empty: an image is built."""
    transform: bool = False
    """transform.py is there. Then an image is built and its hooks run before and after the model."""
    training: Training = Training()
    documentation: str = Field(default="", max_length=65_536)

    @property
    def needs_image(self) -> bool:
        return bool(self.requirements) or self.transform


class GoldenRow(_Wire):
    """One line of golden.jsonl: inputs as the client sends them (null for missing), one row per line.

    A value is a scalar where a row of the tensor holds one element (shape [-1] or [-1, 1]), else a list nested as shape[1:].
    In outputs null stands for NaN.
    `outputs` are the training library's answers before any transform hook. `margin` is the distance of the winning class's
    probability to the runner-up's; a flipped label is tolerated, and counted, only where margin is at most
    `Tolerances.allowance` of the winning probability. Absent: no flip is tolerated.
    `hooked_outputs` are the answers with transform.py's hooks; absent when there is no transform.py.
    """

    inputs: dict[str, Any]
    outputs: dict[str, Any]
    margin: float | None = None
    hooked_outputs: dict[str, Any] | None = None


def sha256_digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def canonical_json(value: Any) -> bytes:
    """Sorted keys, no spaces, UTF-8: equal values give equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


class FileEntry(_Wire):
    """A file of the package: `digest` is sha256:<hex>, `size` is in bytes."""

    name: str
    digest: str
    size: int


def config_bytes(descriptor: Descriptor, files: Sequence[FileEntry]) -> bytes:
    """The ModelPack config blob. Raw layers are their own diff ids. Carries no time, so equal packages are equal bytes."""
    return canonical_json(
        {
            "descriptor": {"name": descriptor.name, "version": descriptor.version, "title": descriptor.name},
            "config": {"format": "onnx", "precision": "mixed"},
            "modelfs": {"type": "layers", "diffIds": [entry.digest for entry in _ordered(files)]},
        }
    )


def manifest_bytes(config: bytes, files: Sequence[FileEntry]) -> bytes:
    """The OCI manifest whose sha256 is the version's identity. Files are ordered by name."""
    unknown = sorted({entry.name for entry in files} - set(LAYER_MEDIA_TYPES))
    if unknown:
        raise ValueError(f"a package holds no file named {unknown[0]!r}; it may hold {', '.join(sorted(LAYER_MEDIA_TYPES))}")
    return canonical_json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_MEDIA_TYPE,
            "artifactType": ARTIFACT_TYPE,
            "config": {"mediaType": CONFIG_MEDIA_TYPE, "digest": sha256_digest(config), "size": len(config)},
            "layers": [
                {
                    "mediaType": LAYER_MEDIA_TYPES[entry.name],
                    "digest": entry.digest,
                    "size": entry.size,
                    "annotations": {FILEPATH_ANNOTATION: entry.name, "org.opencontainers.image.title": entry.name},
                }
                for entry in _ordered(files)
            ],
        }
    )


def manifest_files(manifest: bytes) -> list[FileEntry]:
    """The files that a manifest lists. Raises ValueError naming what is wrong with it."""
    try:
        layers = json.loads(manifest)["layers"]
        entries = [
            FileEntry(name=layer["annotations"][FILEPATH_ANNOTATION], digest=layer["digest"], size=layer["size"])
            for layer in layers
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"not a model package manifest: {error!r}") from error
    for entry in entries:
        if entry.name not in LAYER_MEDIA_TYPES:
            raise ValueError(f"the manifest lists a file named {entry.name!r}, which no model package holds")
    return entries


def _ordered(files: Sequence[FileEntry]) -> list[FileEntry]:
    return sorted(files, key=lambda entry: entry.name)
