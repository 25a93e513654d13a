"""Where a model runs, and what happens when it cannot run there. No test has a GPU: only what is refused is tested."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from podium_serving.model.loaded import LoadedModel
from podium_serving.model.package import InvalidPackage
from podium_serving.model.session import check_in_use, wanted_providers
from podium_serving.settings import ModelSettings, Provider
from podium_serving.swap.faults import failure_of
from serving_fixtures import make_package

CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"


@pytest.mark.parametrize(
    ("wanted", "available", "names"),
    [
        pytest.param(["Cpu"], [CPU], [CPU], id="cpu"),
        pytest.param(["TensorRt", "Cuda", "Cpu"], [TENSORRT, CUDA, CPU], [TENSORRT, CUDA, CPU], id="by-preference"),
        pytest.param(["Cuda", "Cpu"], [TENSORRT, CUDA, CPU], [CUDA, CPU], id="only-what-was-asked"),
    ],
)
def test_providers_are_asked_for_by_preference(wanted: list[Provider], available: list[str], names: Sequence[str]) -> None:
    assert wanted_providers(wanted, available) == names


def test_a_provider_that_the_image_lacks_is_the_versions_fault_and_the_sentence_says_what_is_there() -> None:
    with pytest.raises(InvalidPackage) as refused:
        wanted_providers(["TensorRt", "Cpu"], [CUDA, "AzureExecutionProvider", CPU])
    assert str(refused.value) == (
        "executionProviders asks for TensorRt, the ONNX Runtime of this image has Cpu, Cuda: "
        "use a scoring image with TensorRt, or take TensorRt out"
    )
    failure = failure_of(refused.value, "sha256:0")
    assert (failure.fault, failure.reason) == ("Version", "LoadFailed")


def test_a_provider_that_does_not_start_is_the_pods_fault() -> None:
    with pytest.raises(InvalidPackage, match="CUDAExecutionProvider did not start in this pod") as refused:
        check_in_use([CUDA, CPU], [CPU])
    failure = failure_of(refused.value, "sha256:0")
    assert (failure.fault, failure.reason) == ("Pod", "ProviderUnavailable")


async def test_a_package_is_not_loaded_on_a_provider_that_is_not_here(tmp_path: Path) -> None:
    make_package(tmp_path)
    with pytest.raises(InvalidPackage, match="executionProviders asks for Cuda"):
        await LoadedModel.load(tmp_path, ModelSettings(providers=("Cuda", "Cpu")))
