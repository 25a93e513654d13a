"""The packager: from a fitted pipeline and a sample to a package folder whose answers are proven to be the pipeline's.

    from podium_cli.package import package_pipeline
    package_pipeline(pipeline, sample, target="churn", name="churn", version="1", out="churn-1")

The order is: read the columns, convert, ask library and ONNX Runtime the same rows, refuse on a difference, only then write.
"""

import importlib.metadata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import ValidationError
from sklearn.base import is_classifier

from podium_cli.answers import Answers, joined, library_answers, output_specs
from podium_cli.columns import Floats, input_spec, json_row, tensors
from podium_cli.convert import to_onnx
from podium_cli.errors import ModelRefused, UserError
from podium_cli.folder import PackageFolder, check_free, write_package
from podium_cli.golden import MAX_GOLDEN_ROWS, edge_positions, golden_bytes, output_row
from podium_cli.hooks import Hooks, hooked_answers, load_hooks
from podium_cli.metrics import training_metrics
from podium_cli.parameters import parameters_of
from podium_cli.parity import Parity, parity
from podium_cli.probes import probe_frames
from podium_cli.profiles import profile_bytes, reference_bytes
from podium_cli.requirements import checked_requirements
from podium_cli.runtime import run, session
from podium_cli.subject import Subject, asked, examined, split_target
from podium_crds.package import (
    GOLDEN_FILE,
    MODEL_FILE,
    PROFILE_FILE,
    REFERENCE_FILE,
    TRANSFORM_FILE,
    Descriptor,
    GoldenRow,
    Tolerances,
    Training,
)

PARITY_ROWS = 2_000
MAX_MODEL_BYTES = 2**31 - 1
"""protobuf's own limit."""


@dataclass(frozen=True)
class Identity:
    """What the author says about a version, beside the model itself."""

    name: str
    version: str
    tolerances: Tolerances = field(default_factory=Tolerances)
    requirements: Sequence[str] = ()
    transform: Path | None = None
    documentation: str = ""


@dataclass(frozen=True)
class Packaged:
    """A written package and what was found on the way."""

    folder: PackageFolder
    parity: Parity | None
    """None for a bare ONNX file: there is no library to compare with."""
    warnings: list[str]

    @property
    def digest(self) -> str:
        return self.folder.digest


class ParityFailed(ModelRefused):
    """ONNX Runtime does not answer as the training library. `rows` are the inputs of `parity.worst`, in its order."""

    def __init__(self, found: Parity, rows: list[dict[str, Any]], floats: Floats) -> None:
        super().__init__(found, rows, floats)
        self.parity, self.rows, self.floats = found, rows, floats

    def __str__(self) -> str:
        found = self.parity
        hint = "; leave out --floats so that no value is rounded on its way" if self.floats == "FP32" else ""
        return (
            f"ONNX Runtime answers {found.mismatched_rows} of {found.rows} rows differently than the training "
            f"library, so no package was written; change the step that differs, or widen the tolerances if it does not "
            f"matter{hint}"
        )


def package_pipeline(
    pipeline: Any,
    sample: Any,
    *,
    name: str,
    version: str,
    out: str | Path,
    target: str | None = None,
    validation: Any | None = None,
    requirements: Sequence[str] = (),
    transform: str | Path | None = None,
    tolerances: Tolerances | None = None,
    documentation: str = "",
    floats: Floats = "Sample",
    force: bool = False,
) -> Packaged:
    """Packages a fitted scikit-learn pipeline (XGBoost or LightGBM may be its last step) into the folder `out`.

    `sample` is a DataFrame with the columns that the pipeline was fitted on, and `target` if named: its ranges, categories,
    missing values and bins become the package's, so give the training rows. `validation` is a DataFrame of rows that
    training did not see, for the metrics; without it they are taken on the sample. Raises UserError; ParityFailed when the
    converted model answers differently than the pipeline.
    """
    identity = Identity(
        name,
        version,
        tolerances or Tolerances(),
        requirements,
        None if transform is None else Path(transform),
        documentation,
    )
    check_free(Path(out), force)
    subject = examined(pipeline, sample, target, floats)
    hooks = load_hooks(identity.transform) if identity.transform else None
    whole = asked(subject.pipeline, subject.frame)
    model = to_onnx(subject.pipeline, subject.columns, name)
    if len(model) > MAX_MODEL_BYTES:
        raise ModelRefused(f"the ONNX model has {len(model)} bytes; at most {MAX_MODEL_BYTES} can be stored")
    checked = _check_parity(subject, whole, model, identity.tolerances, floats)
    described = _descriptor(subject, whole, identity, _metrics(subject, whole, target, validation))
    contents = {
        MODEL_FILE: model,
        GOLDEN_FILE: _golden(subject, checked, model, hooks),
        PROFILE_FILE: profile_bytes(subject.frame, subject.columns, whole.outputs, described.outputs),
        REFERENCE_FILE: reference_bytes(subject.frame, subject.columns, whole.outputs, subject.target),
    }
    if identity.transform:
        contents[TRANSFORM_FILE] = identity.transform.read_bytes()
    folder = write_package(Path(out), described, contents, force=force)
    return Packaged(folder, checked.parity, subject.warnings)


@dataclass(frozen=True)
class _Checked:
    """Rows on which both were asked: `frame` as objects, for probes mix types that the sample's columns do not."""

    frame: Any
    answers: Answers
    parity: Parity


def _check_parity(subject: Subject, whole: Answers, model: bytes, tolerances: Tolerances, floats: Floats) -> _Checked:
    positions = edge_positions(subject.frame, subject.columns, whole.margins, PARITY_ROWS)
    rows = subject.frame.iloc[positions]
    frames, answers = [rows], [asked(subject.pipeline, rows)]
    for probe in probe_frames(rows, subject.columns):
        try:
            answers.append(library_answers(subject.pipeline, probe))
        except (ValueError, TypeError):
            continue  # the library refuses what the probe tries, so there is nothing to be equal to
        frames.append(probe)
    expected = joined(answers)
    both = pd.concat([frame.astype(object) for frame in frames], ignore_index=True)
    got = run(session(model), tensors(both, subject.columns))
    found = parity(expected, got, tolerances)
    if not found.holds:
        raise ParityFailed(found, [json_row(both, mismatch.row, subject.columns) for mismatch in found.worst], floats)
    return _Checked(both, expected, found)


def _golden(subject: Subject, checked: _Checked, model: bytes, hooks: Hooks | None) -> bytes:
    positions = edge_positions(checked.frame, subject.columns, checked.answers.margins, MAX_GOLDEN_ROWS)
    rows = checked.frame.iloc[positions]
    hooked = hooked_answers(hooks, session(model), tensors(rows, subject.columns)) if hooks else None
    margins = checked.answers.margins
    return golden_bytes(
        GoldenRow(
            inputs=json_row(checked.frame, position, subject.columns),
            outputs=output_row(checked.answers.outputs, position),
            margin=None if margins is None else float(margins[position]),
            hooked_outputs=output_row(hooked, index) if hooked else None,
        )
        for index, position in enumerate(positions)
    )


def _metrics(subject: Subject, whole: Answers, target: str | None, validation: Any | None) -> dict[str, float]:
    if validation is None:
        return {} if subject.target is None else training_metrics(subject.pipeline, whole, subject.target)
    if target is None:
        raise UserError("validation rows are given, but not which column is the target; name it with --target")
    frame, truth = split_target(subject.pipeline, validation, target)
    return training_metrics(subject.pipeline, asked(subject.pipeline, frame), truth)


def _descriptor(subject: Subject, whole: Answers, identity: Identity, found: dict[str, float]) -> Descriptor:
    model = subject.pipeline.steps[-1][1]
    library = type(model).__module__.split(".")[0]
    framework = {"sklearn": "scikit-learn"}.get(library, library)
    return descriptor(
        identity,
        task="Classification" if is_classifier(subject.pipeline) else "Regression",
        inputs=[input_spec(subject.frame[column.name], column) for column in subject.columns],
        outputs=output_specs(subject.pipeline, whole),
        training=Training(
            framework=framework,
            framework_version=_version(library),
            rows=subject.sample_rows,
            metrics=found,
            parameters=parameters_of(model),
        ),
    )


def _version(library: str) -> str:
    try:
        return str(__import__(library).__version__)
    except (ImportError, AttributeError):
        return importlib.metadata.version(library)


def descriptor(identity: Identity, **seen: Any) -> Descriptor:
    """The package's description. Raises UserError for a bad name, version or requirement."""
    try:
        return Descriptor(
            name=identity.name,
            version=identity.version,
            tolerances=identity.tolerances,
            requirements=checked_requirements(identity.requirements),
            transform=identity.transform is not None,
            documentation=identity.documentation,
            **seen,
        )
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UserError(f"{where} {first['input']!r} does not fit: {first['msg']}") from error
