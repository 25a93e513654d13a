"""One version from its folder into memory, proven: loaded, warmed, and its golden rows reproduced."""

from collections.abc import Callable
from pathlib import Path

from podium_crds.plan import PlannedVersion
from podium_serving.model.golden import GoldenResult
from podium_serving.model.loaded import LoadedModel
from podium_serving.model_interface import Model
from podium_serving.settings import ModelSettings
from podium_serving.swap.assembly import LoadVersion
from podium_serving.swap.faults import PreparationFailed

OnBatch = Callable[[int], None]
OnLoaded = Callable[[PlannedVersion, Model], None]


def version_loader(settings: ModelSettings, on_batch: Callable[[PlannedVersion], OnBatch], loaded: OnLoaded) -> LoadVersion:
    """The loader of a pod. `on_batch` gives, per version, what is told the rows of each run; `loaded` is told each model."""

    async def load(folder: Path, version: PlannedVersion) -> Model:
        model = await LoadedModel.load(folder, settings, on_batch(version))
        loaded(version, model)
        try:
            if model.digest != version.digest:
                raise PreparationFailed("DigestMismatch", f"{folder} holds {model.digest}, wanted {version.digest}")
            check_golden(await model.reproduce(), version.name)
        except BaseException:
            await model.close()
            raise
        return model

    return load


def check_golden(result: GoldenResult, version: str) -> None:
    """Raises PreparationFailed with GoldenRowsFailed, naming the worst row."""
    if not result.passed:
        message = f"{version}: {result.failed_rows} of {result.rows} golden rows are not reproduced; {result.worst}"
        raise PreparationFailed("GoldenRowsFailed", message)
