"""`verify --uri U --digest D --image-type Generic|Built [--report PATH]`: may this package serve? Run by a Job.

The answer is a VerificationReport, passed or not, at `--report` (the container's termination message). Exit 0 whenever a
report was written; 1 when it could not be.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from podium_crds.names import SERVING_CONTRACT
from podium_crds.package import Descriptor
from podium_crds.verification import VerificationReport
from podium_serving.fetch.cache import Cache
from podium_serving.fetch.command import INSECURE_REGISTRIES, credential_from
from podium_serving.fetch.packages import Packages
from podium_serving.model.package import InvalidPackage, read_package
from podium_serving.settings import ModelSettings
from podium_serving.swap.faults import reason_of
from podium_serving.verify.measure import Measured, measure
from podium_serving.verify.report import (
    MAX_INPUTS,
    MAX_MESSAGE,
    MAX_OUTPUTS,
    cut,
    image_mismatch,
    report_bytes,
    schema_digest,
    tensors_text,
)
from podium_serving.web.client import Client

RETRYABLE_REASONS = frozenset({"FetchFailed", "PackageNotFound", "DiskFull", "PreparationFailed"})
"""What another attempt may find changed: the registry, a push that comes late, the node, or an error nobody foresaw."""


@dataclass(frozen=True, slots=True)
class Asked:
    uri: str
    digest: str
    image_type: str


def main(arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="podium_serving verify", description="Find out whether a model package may serve.")
    parser.add_argument("--uri", required=True, help="oci://registry[:port]/repository[:tag]")
    parser.add_argument("--digest", required=True, help="sha256:<hex> of the package's manifest")
    parser.add_argument("--image-type", required=True, choices=["Generic", "Built"], help="the ModelVersion's image type")
    parser.add_argument("--report", type=Path, default=Path("/dev/termination-log"), help="where the report goes")
    given = parser.parse_args(arguments)
    asked = Asked(given.uri, given.digest, given.image_type)
    report = asyncio.run(verify(asked, os.environ if environment is None else environment))
    print(f"{given.uri}@{given.digest}: {report.reason}: {report.message}")
    try:
        given.report.write_bytes(report_bytes(report))
    except OSError as error:
        print(f"the report cannot be written to {given.report}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


async def verify(asked: Asked, environment: Mapping[str, str]) -> VerificationReport:
    """Never raises: what goes wrong is the report."""
    descriptor: Descriptor | None = None
    try:
        with tempfile.TemporaryDirectory(prefix="verify-", dir=_scratch(environment)) as scratch:
            folder = await _fetched(asked, environment, Path(scratch))
            descriptor = (await asyncio.to_thread(read_package, folder)).descriptor
            if mismatch := image_mismatch(descriptor, asked.image_type):
                raise InvalidPackage(mismatch, "ImageTypeMismatch")
            measured = await measure(folder, ModelSettings(threads=_threads(environment)))
            size = sum(file.stat().st_size for file in folder.iterdir())
    except Exception as error:
        reason = reason_of(error)
        if reason == "PreparationFailed":
            traceback.print_exc()
        return _refused(reason, str(error) or type(error).__name__, descriptor)
    return _passed(measured, descriptor, size)


async def _fetched(asked: Asked, environment: Mapping[str, str], scratch: Path) -> Path:
    insecure = [host.strip() for host in environment.get(INSECURE_REGISTRIES, "").split(",") if host.strip()]
    async with Client(proxied=True) as client:
        packages = Packages(Cache(scratch), client, insecure)
        try:
            return await packages.folder(asked.uri, asked.digest, credential_from(asked.uri, environment))
        finally:
            await packages.close()


def _passed(measured: Measured, descriptor: Descriptor, size: int) -> VerificationReport:
    golden, milliseconds = measured.golden, measured.p99_seconds * 1000
    flips = f", {golden.flipped_labels} labels flipped within tolerance" if golden.flipped_labels else ""
    return VerificationReport(
        passed=True,
        reason="GoldenRowsReproduced",
        message=f"{golden.rows} golden rows reproduced{flips}; p99 {milliseconds:.2f} ms over {measured.calls} single rows",
        golden_rows=golden.rows,
        flipped_labels=golden.flipped_labels,
        worst_absolute_error=golden.worst_absolute_error,
        p99_milliseconds=round(milliseconds, 3),
        peak_memory_bytes=measured.peak_memory_bytes,
        model_bytes=size,
        schema_digest=schema_digest(descriptor),
        inputs=tensors_text(descriptor.inputs, "input", MAX_INPUTS),
        outputs=tensors_text(descriptor.outputs, "output", MAX_OUTPUTS),
        contract=SERVING_CONTRACT,
    )


def _refused(reason: str, message: str, descriptor: Descriptor | None) -> VerificationReport:
    return VerificationReport(
        passed=False,
        reason=reason[:64],
        message=cut(message, MAX_MESSAGE),
        schema_digest=schema_digest(descriptor) if descriptor else "",
        inputs=tensors_text(descriptor.inputs, "input", MAX_INPUTS) if descriptor else "",
        outputs=tensors_text(descriptor.outputs, "output", MAX_OUTPUTS) if descriptor else "",
        retryable=reason in RETRYABLE_REASONS,
    )


def _scratch(environment: Mapping[str, str]) -> str:
    """Where there is room for a package: the pod's cache volume if it is mounted, else the usual place."""
    volume = environment.get("PODIUM_CACHE_DIR") or "/var/lib/podium"
    return volume if os.access(volume, os.W_OK) else tempfile.gettempdir()


def _threads(environment: Mapping[str, str]) -> int:
    """As serving chooses them, so that the latency is the one it will have."""
    try:
        return max(1, int(float(environment.get("PODIUM_CPU_LIMIT") or 0)))
    except ValueError:
        return 1
