"""What the commands print. Builds rich tables from findings; prints nothing itself but through the console it is given."""

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from podium_cli.package import Packaged, ParityFailed
from podium_crds.package import InputSpec

_SHOWN_INPUTS = 40


def show_package(console: Console, packaged: Packaged) -> None:
    """Inputs, outputs, parity, digest, and the next command to type."""
    described, folder = packaged.folder.descriptor, packaged.folder
    table = Table("input", "datatype", "may be null", "seen in the sample", title=f"{described.name} {described.version}")
    for spec in described.inputs[:_SHOWN_INPUTS]:
        table.add_row(escape(spec.name), spec.datatype, "yes" if spec.nullable else "no", escape(_seen(spec)))
    if len(described.inputs) > _SHOWN_INPUTS:
        table.add_row(f"… {len(described.inputs) - _SHOWN_INPUTS} more", "", "", "")
    console.print(table)
    outputs = ", ".join(f"{spec.name} {spec.datatype} {spec.shape}" for spec in described.outputs)
    console.print(f"outputs   {escape(outputs)}")
    if packaged.parity:
        found = packaged.parity
        flips = f", {found.flipped_labels} labels flipped within tolerance" if found.flipped_labels else ""
        console.print(
            f"parity    {found.rows} rows answered like {described.training.framework} "
            f"{described.training.framework_version}, worst difference {found.worst_absolute_error:.2g}{flips}"
        )
    if described.training.metrics:
        console.print("training  " + ", ".join(f"{name} {value:.4f}" for name, value in described.training.metrics.items()))
    if described.needs_image:
        console.print(
            f"image     is built in the cluster, for it needs {_needs(described.requirements, described.transform)}"
        )
    console.print(f"digest    {packaged.digest}")
    for warning in packaged.warnings:
        console.print(f"[yellow]note[/]      {escape(warning)}")
    shown = escape(str(folder.path))
    console.print(
        f"next      podium serve {shown}   or   podium push {shown} oci://<registry>/{described.name}:{described.version}",
        soft_wrap=True,
    )


def _needs(requirements: list[str], transform: bool) -> str:
    return " and ".join([*requirements, *(["transform.py"] if transform else [])])


def _seen(spec: InputSpec) -> str:
    if spec.categories is not None:
        shown = ", ".join(spec.categories[:6])
        return shown + (f", … {len(spec.categories)} in all" if len(spec.categories) > 6 else "")
    if spec.minimum is not None:
        return f"{spec.minimum:g} to {spec.maximum:g}"
    return "" if spec.example is None else f"e.g. {spec.example}"


def show_mismatches(console: Console, failed: ParityFailed) -> None:
    """The worst rows: what was expected, what came, and the inputs that made it."""
    table = Table("output", "expected", "got", "difference", "inputs", title="worst rows")
    for mismatch, row in zip(failed.parity.worst, failed.rows, strict=True):
        inputs = ", ".join(f"{name}={_short(value)}" for name, value in row.items())
        table.add_row(
            mismatch.output, _short(mismatch.expected), _short(mismatch.got), f"{mismatch.difference:.3g}", escape(inputs)
        )
    console.print(table)


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
