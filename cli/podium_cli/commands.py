"""What `package` and `push` do once their options are read. Apart from `main`: `podium --help` imports no model library."""

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from rich.console import Console
from rich.markup import escape

from podium_cli.columns import Floats
from podium_cli.display import show_mismatches, show_package
from podium_cli.errors import UserError
from podium_cli.folder import read_package
from podium_cli.loading import load_document, load_model, load_table
from podium_cli.onnx_file import package_onnx
from podium_cli.package import Identity, Packaged, ParityFailed, package_pipeline
from podium_cli.references import model_version, parsed_reference
from podium_cli.registry import push as push_package
from podium_crds.package import Tolerances


@dataclass(frozen=True)
class PackageOptions:
    """As typed. `absolute` and `relative` are the tolerances."""

    model: str
    name: str
    version: str
    out: Path
    sample: Path | None
    target: str | None
    validation: Path | None
    requirements: list[str]
    transform: Path | None
    absolute: float
    relative: float
    documentation: Path | None
    floats: str
    force: bool


def package(options: PackageOptions, console: Console) -> None:
    """Writes the package and prints its summary; on a parity failure prints the worst rows first."""
    try:
        packaged = _packaged(options)
    except ParityFailed as failed:
        show_mismatches(console, failed)
        raise
    show_package(console, packaged)


def _packaged(options: PackageOptions) -> Packaged:
    tolerances = Tolerances(absolute=options.absolute, relative=options.relative)
    sample = None if options.sample is None else load_table(options.sample)
    if Path(options.model).suffix == ".onnx":
        _refuse_pipeline_options(options)
        identity = Identity(
            options.name,
            options.version,
            tolerances,
            options.requirements,
            options.transform,
            load_document(options.documentation),
        )
        return package_onnx(options.model, identity, options.out, sample=sample, force=options.force)
    model, notes = load_model(options.model)
    if sample is None:
        raise UserError(
            "a pipeline is packaged with rows that it was trained on; name them with --sample rows.csv or rows.parquet"
        )
    packaged = package_pipeline(
        model,
        sample,
        name=options.name,
        version=options.version,
        out=options.out,
        target=options.target,
        validation=None if options.validation is None else load_table(options.validation),
        requirements=options.requirements,
        transform=options.transform,
        tolerances=tolerances,
        documentation=load_document(options.documentation),
        floats=_floats(options.floats),
        force=options.force,
    )
    return replace(packaged, warnings=[*notes, *packaged.warnings])


def _refuse_pipeline_options(options: PackageOptions) -> None:
    """What means nothing for a bare ONNX file is refused: accepted and ignored it would be a broken promise."""
    given = {"--target": options.target, "--validation": options.validation, "--floats": options.floats != "Sample"}
    for name, value in given.items():
        if value:
            raise UserError(
                f"{name} is for pipelines; of a bare ONNX file there is no training library to ask: leave it out"
            )


def _floats(text: str) -> Floats:
    for choice in get_args(Floats):
        if choice == text:
            return choice  # type: ignore[no-any-return]  # get_args forgets that these are the literals
    raise UserError(f"--floats {text!r} is none of {', '.join(get_args(Floats))}")


@dataclass(frozen=True)
class PushOptions:
    folder: Path
    address: str
    manifest: str | None
    name: str | None
    namespace: str | None
    cluster_registry: str | None
    insecure: bool


def push(options: PushOptions, console: Console, errors: Console) -> None:
    """Pushes and prints the digest alone on standard output (or the manifest, with '-'); progress goes to standard error."""
    folder = read_package(options.folder)
    reference = parsed_reference(options.address, default_tag=folder.descriptor.version)
    seen_by_cluster = replace(reference, host=options.cluster_registry or reference.host)
    manifest = model_version(folder.descriptor, folder.digest, seen_by_cluster, options.name, options.namespace)
    pushed = push_package(folder, reference, insecure=options.insecure, report=lambda line: errors.print(escape(line)))
    errors.print(f"{reference}: {pushed.uploaded} files uploaded, {pushed.reused} were there", soft_wrap=True)
    if options.manifest == "-":
        sys.stdout.write(manifest)
        return
    console.print(pushed.digest, soft_wrap=True)
    if options.manifest:
        Path(options.manifest).write_text(manifest)
        errors.print(f"next: kubectl apply -f {escape(options.manifest)}", soft_wrap=True)
