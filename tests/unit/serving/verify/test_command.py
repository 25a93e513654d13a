"""`verify`, from a registry to the report that the operator reads."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from podium_crds.verification import VerificationReport
from podium_serving.verify import command
from swap_fixtures import FakeRegistry

pytestmark = pytest.mark.process

CHANGES_ANSWERS = "def after(outputs, inputs):\n    return {'score': outputs['score'] + 1}\n"
KEEPS_ANSWERS = "def before(columns):\n    return columns\n"
RAISES = "def before(columns):\n    raise ValueError('no such column')\n"


@pytest.fixture
async def registry() -> AsyncIterator[FakeRegistry]:
    async with FakeRegistry().running() as running:
        yield running


async def verified(registry: FakeRegistry, tmp_path: Path, digest: str, image_type: str = "Generic") -> VerificationReport:
    path = tmp_path / "report"
    arguments = ["--uri", registry.uri, "--digest", digest, "--image-type", image_type, "--report", str(path)]
    environment = {"PODIUM_INSECURE_REGISTRIES": registry.address, "PODIUM_CACHE_DIR": str(tmp_path)}
    assert await asyncio.to_thread(command.main, arguments, environment) == 0
    return VerificationReport.model_validate_json(path.read_bytes())


async def test_a_good_package_passes_with_its_measurements(registry: FakeRegistry, tmp_path: Path) -> None:
    report = await verified(registry, tmp_path, registry.add_made(tmp_path / "p"))
    assert (report.passed, report.reason, report.golden_rows, report.flipped_labels) == (True, "GoldenRowsReproduced", 8, 0)
    assert 0 < report.p99_milliseconds < 1000
    assert report.peak_memory_bytes > 10_000_000
    assert report.model_bytes > 100
    assert report.inputs == "x0 FP32 [-1,1], x1 FP32 [-1,1] (2 inputs)"
    assert "8 golden rows reproduced; p99" in report.message
    assert "over 200 single rows" in report.message
    assert not [name for name in os.listdir(tmp_path) if name.startswith("verify-")], "nothing is left on the disk"


async def test_golden_rows_that_differ_are_refused_with_the_worst_row(registry: FakeRegistry, tmp_path: Path) -> None:
    report = await verified(registry, tmp_path, registry.add_made(tmp_path / "p", golden_offset=0.5))
    assert (report.passed, report.reason, report.retryable) == (False, "GoldenRowsFailed", False)
    assert "8 of 8 golden rows are not reproduced; row " in report.message


async def test_a_package_without_golden_rows_proves_nothing(registry: FakeRegistry, tmp_path: Path) -> None:
    registry.add_made(tmp_path / "p")
    report = await verified(registry, tmp_path, registry.add_edited(tmp_path / "p", "golden.jsonl", b""))
    assert (report.passed, report.reason) == (False, "InvalidPackage")
    assert "golden.jsonl has no rows" in report.message


async def test_a_model_that_is_no_onnx_file_is_refused(registry: FakeRegistry, tmp_path: Path) -> None:
    registry.add_made(tmp_path / "p")
    report = await verified(registry, tmp_path, registry.add_edited(tmp_path / "p", "model.onnx", b"pickle"))
    assert (report.passed, report.reason) == (False, "LoadFailed")


async def test_a_wrong_digest_is_refused(registry: FakeRegistry, tmp_path: Path) -> None:
    digest = registry.add_made(tmp_path / "p")
    registry.manifests[digest] += b" "
    report = await verified(registry, tmp_path, digest)
    assert (report.passed, report.reason, report.retryable) == (False, "DigestMismatch", False)


async def test_a_missing_package_may_still_be_pushed(registry: FakeRegistry, tmp_path: Path) -> None:
    report = await verified(registry, tmp_path, "sha256:" + "a" * 64)
    assert (report.passed, report.reason, report.retryable) == (False, "PackageNotFound", True)


async def test_a_registry_that_is_down_is_tried_again_later(registry: FakeRegistry, tmp_path: Path) -> None:
    digest = registry.add_made(tmp_path / "p")
    registry.failures = 1_000
    report = await verified(registry, tmp_path, digest)
    assert (report.passed, report.reason, report.retryable) == (False, "FetchFailed", True)


async def test_a_package_that_needs_an_image_says_what_to_write(registry: FakeRegistry, tmp_path: Path) -> None:
    digest = registry.add_made(tmp_path / "p", transform=KEEPS_ANSWERS)
    report = await verified(registry, tmp_path, digest)
    assert (report.passed, report.reason) == (False, "ImageTypeMismatch")
    assert "write spec.image.type: Built" in report.message
    assert report.inputs, "what is known of it is said"


async def test_hooks_are_run_and_checked(registry: FakeRegistry, tmp_path: Path) -> None:
    good = await verified(registry, tmp_path, registry.add_made(tmp_path / "p1", transform=KEEPS_ANSWERS), "Built")
    assert (good.passed, good.reason) == (True, "GoldenRowsReproduced")
    bad = await verified(registry, tmp_path, registry.add_made(tmp_path / "p2", transform=CHANGES_ANSWERS), "Built")
    assert (bad.passed, bad.reason) == (False, "GoldenRowsFailed")
    broken = await verified(registry, tmp_path, registry.add_made(tmp_path / "p3", transform=RAISES), "Built")
    assert (broken.passed, broken.reason) == (False, "TransformFailed")
    assert "no such column" in broken.message


async def test_a_report_that_cannot_be_written_fails_the_command(registry: FakeRegistry, tmp_path: Path) -> None:
    digest = registry.add_made(tmp_path / "p")
    arguments = ["--uri", registry.uri, "--digest", digest, "--image-type", "Generic", "--report", "/proc/none/report"]
    environment = {"PODIUM_INSECURE_REGISTRIES": registry.address}
    assert await asyncio.to_thread(command.main, arguments, environment) == 1
