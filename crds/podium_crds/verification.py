"""The report of a verification: how a Job in the scoring image tells the operator what it found.

It travels as the container's termination message, at most 4,096 bytes, so it is small by construction.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

MAX_REPORT_BYTES = 4096


class VerificationReport(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    passed: bool
    reason: str = Field(max_length=64)
    """One CamelCase word: GoldenRowsReproduced, DigestMismatch, FetchFailed, GoldenRowsFailed, LoadFailed,
    ImageTypeMismatch, TransformFailed, OutOfMemory, InvalidPackage, SchemaMismatch, PackageNotFound, DiskFull,
    PreparationFailed (an error that nobody foresaw)."""
    message: str = Field(max_length=1200)
    """For people: what, where, and what would be right."""
    golden_rows: int = 0
    flipped_labels: int = 0
    worst_absolute_error: float = 0.0
    p99_milliseconds: float = 0.0
    peak_memory_bytes: int = 0
    model_bytes: int = 0
    schema_digest: str = ""
    """sha256 over names, datatypes and shapes of inputs and outputs: equal schemas have equal digests."""
    inputs: str = Field(default="", max_length=900)
    """Short text for status: `tenure FP32 [-1,1], contract BYTES [-1,1], ... (19 inputs)`."""
    outputs: str = Field(default="", max_length=300)
    contract: int = 1
    """SERVING_CONTRACT of the image that wrote this. Images from before there was one do not say."""
    retryable: bool = False
    """The registry did not answer, has no such package yet, or the node failed: try again later. Anything else is the
    version's fault."""


class BuildReport(BaseModel):
    """Termination message of a build Job."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    status: Literal["Built", "Failed"]
    image: str = ""
    """repository@sha256:... when built."""
    inputs_hash: str = ""
    reused: bool = False
    """An image with the same hash of inputs was there already."""
    message: str = Field(default="", max_length=3000)
    """When failed: the last lines of the build."""
    size_bytes: int = 0
    retryable: bool = False
