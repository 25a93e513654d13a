"""Trains and packages the models of the churn example: `python examples/churn/train.py --out DIR`.

DIR then holds churn-1 (champion), churn-2 (its successor), churn-3 (a challenger that needs an image of its own),
churn-broken (a consistent package whose golden rows no model reproduces), requests.jsonl (production traffic) and labels.csv
(what became of its customers, which nobody knows yet when they are scored).
"""

import argparse
import json
from pathlib import Path
from typing import Any

import features
import numpy as np
from data import CUSTOMER, TARGET, Split, load, split
from requests_file import production_requests
from rich.console import Console
from sklearn.pipeline import Pipeline
from transform import before

from podium_cli.columns import Column, tensors
from podium_cli.display import show_package
from podium_cli.folder import read_package, write_package
from podium_cli.package import Packaged, package_pipeline
from podium_crds.package import GOLDEN_FILE, LAYER_MEDIA_TYPES, canonical_json

HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for the packages and requests.jsonl")
    out: Path = parser.parse_args().out
    console = Console(highlight=False)
    rows = split(load())
    console.print(
        f"{len(rows.training)} customers to train on, {len(rows.validation)} to validate, {len(rows.production)} for traffic"
    )
    for version, make in (("1", features.champion), ("2", features.successor), ("3", features.challenger)):
        packaged = train(version, make(), rows, out)
        show_package(console, packaged)
    broken = break_golden_rows(out / "churn-1", out / "churn-broken")
    console.print(f"churn-broken: golden rows altered, digest {broken}")
    count = production_requests(rows.production, out / "churn-1", out / "requests.jsonl")
    console.print(f"{out / 'requests.jsonl'}: {count} requests in fixed order")
    rows.production[[CUSTOMER, TARGET]].to_csv(out / "labels.csv", index=False)
    console.print(f"{out / 'labels.csv'}: what became of these customers")


def train(version: str, pipeline: Pipeline, rows: Split, out: Path) -> Packaged:
    """Fits and packages one version. churn-3 is fitted on what its hook makes of the rows."""
    hooked = version == "3"
    seen = as_the_model_sees_them(rows.training) if hooked else rows.training
    pipeline.fit(seen[features.FEATURES], seen[TARGET])
    return package_pipeline(
        pipeline,
        rows.training.drop(columns=CUSTOMER),
        target=TARGET,
        validation=as_the_model_sees_them(rows.validation) if hooked else rows.validation,
        name="churn",
        version=version,
        out=out / f"churn-{version}",
        requirements=["numpy-financial==1.0.0"] if hooked else [],
        transform=HERE / "transform.py" if hooked else None,
        documentation=(HERE / "README.md").read_text(),
        force=True,
    )


def as_the_model_sees_them(frame: Any) -> Any:
    """The rows as transform.py hands them to the model."""
    numbers = [Column(name, "FP64", nullable=True) for name in features.NUMBERS]
    changed = before(tensors(frame, [*numbers, Column("contract", "BYTES", nullable=True)]))
    return frame.assign(total_charges=changed["total_charges"][:, 0])


def break_golden_rows(source: Path, out: Path) -> str:
    """A package whose every digest is right and whose golden answers are not the model's. Returns its digest."""
    package = read_package(source)
    contents = {entry.name: (source / entry.name).read_bytes() for entry in package.files if entry.name in LAYER_MEDIA_TYPES}
    rows = [json.loads(line) for line in contents[GOLDEN_FILE].splitlines()]
    for row in rows:
        row["outputs"]["probabilities"] = [float(p) for p in np.round(row["outputs"]["probabilities"][::-1], 6)]
    contents[GOLDEN_FILE] = b"".join(canonical_json(row) + b"\n" for row in rows)
    descriptor = package.descriptor.model_copy(update={"version": "broken"})
    contents.pop("podium.yaml")
    return write_package(out, descriptor, contents, force=True).digest


if __name__ == "__main__":
    main()
