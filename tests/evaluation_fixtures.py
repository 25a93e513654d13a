"""A lake as the collector leaves it: captured predictions of a small model, labels, and the model's reference."""

import io
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from podium_cli.columns import infer_columns
from podium_cli.profiles import profile_bytes, reference_bytes
from podium_crds.package import Descriptor, InputSpec, OutputSpec, Training
from podium_crds.profile import Profile
from podium_crds.v1alpha1.model_deployment import ModelDeploymentSpec
from podium_evaluation.documents import DeploymentEvaluation
from podium_monitor.evaluations.evaluating import Evaluations
from podium_monitor.evaluations.reading import latest
from podium_monitor.lake.store import FolderStore
from podium_monitor.lake.tables import SCHEMAS, Place, new_name
from podium_monitor.lake.values import values_of_objects
from podium_monitor.references import folder_of_reference
from podium_monitor.world import Watched

NAMESPACE, NAME, UID = "shop", "churn", "uid-1"
DIGEST = "sha256:" + "3" * 64
HOUR = datetime(2026, 11, 21, 13, tzinfo=UTC)
REGIONS = ("north", "south", "west")
OUTPUTS = [
    OutputSpec(name="label", datatype="BYTES", shape=[-1], kind="Label", classes=["no", "yes"]),
    OutputSpec(name="probabilities", datatype="FP32", shape=[-1, 2], kind="Probabilities", classes=["no", "yes"]),
]
INPUTS = [
    InputSpec(name="tenure", datatype="FP64", shape=[-1], nullable=True),
    InputSpec(name="charge", datatype="FP64", shape=[-1]),
    InputSpec(name="region", datatype="BYTES", shape=[-1], categories=list(REGIONS)),
]


@dataclass
class Rows:
    """Predictions with their truth."""

    frame: pd.DataFrame
    """tenure, charge, region."""
    score: np.ndarray[Any, Any]
    truth: np.ndarray[Any, Any]

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def outputs(self) -> list[dict[str, Any]]:
        return [{"label": "yes" if p >= 0.5 else "no", "probabilities": [1 - p, p]} for p in self.score.tolist()]


def rows(count: int, seed: int = 0, *, unit: float = 1.0, noise: float = 0.0) -> Rows:
    """`unit` multiplies tenure as it is captured, and the score with it; `noise` is the share of flipped truths."""
    random = np.random.default_rng(seed)
    tenure = random.exponential(20, count).round(3)
    charge = random.normal(50, 10, count).round(3)
    region = np.array(REGIONS)[random.integers(0, 3, count)]
    logit = 1.5 - tenure / 10 + (charge - 50) / 10 + (region == "west")
    truth = random.random(count) < 1 / (1 + np.exp(-logit))
    truth = np.where(random.random(count) < noise, ~truth, truth)
    seen = tenure * unit
    said = 1 / (1 + np.exp(-np.clip(1.5 - seen / 10 + (charge - 50) / 10 + (region == "west"), -30, 30)))
    frame = pd.DataFrame({"tenure": seen, "charge": charge, "region": region})
    return Rows(frame, said, truth)


def reference_of_rows(found: Rows) -> tuple[Profile, pa.Table]:
    """profile.json and reference.parquet, as the packager writes them."""
    profile, table = _reference_files(found)
    return Profile.model_validate_json(profile), pq.read_table(io.BytesIO(table))


def _reference_files(found: Rows) -> tuple[bytes, bytes]:
    columns = infer_columns(found.frame, (), "FP64")
    outputs = {
        "label": np.where(found.score >= 0.5, "yes", "no").astype(object),
        "probabilities": np.stack([1 - found.score, found.score], axis=1),
    }
    truth = np.where(found.truth, "yes", "no")
    return profile_bytes(found.frame, columns, outputs, OUTPUTS), reference_bytes(found.frame, columns, outputs, truth)


@dataclass
class LakeFolder:
    """Files of one deployment."""

    path: Path
    written: int = 0
    store: FolderStore = field(init=False)

    def __post_init__(self) -> None:
        self.store = FolderStore(self.path)

    def put_reference(self, found: Rows, digest: str = DIGEST, parameters: int | None = None) -> None:
        training = Training(parameters=parameters)
        descriptor = Descriptor(
            name=NAME, version="3", task="Classification", inputs=INPUTS, outputs=OUTPUTS, training=training
        )
        profile, table = _reference_files(found)
        folder = folder_of_reference(NAMESPACE, NAME, digest)
        self.store.create(f"{folder}/profile.json", profile)
        self.store.create(f"{folder}/reference.parquet", table)
        text = yaml.safe_dump(descriptor.model_dump(mode="json"))
        self.store.create(f"{folder}/podium.yaml", text.encode())

    def put_predictions(self, found: Rows, hour: datetime = HOUR, key: str = "k", **changes: Any) -> list[str]:
        """Join keys of the rows."""
        inputs = [
            json.dumps({name: None if value != value else value for name, value in row.items()})
            for row in found.frame.to_dict("records")
        ]
        outputs = [json.dumps(one) for one in found.outputs]
        return self.put_captured(inputs, outputs, hour, key, **changes)

    def put_captured(
        self, inputs: Sequence[str], outputs: Sequence[str], hour: datetime = HOUR, key: str = "k", **changes: Any
    ) -> list[str]:
        count = len(inputs)
        keys = [f"{key}-{index}" for index in range(count)]
        step = timedelta(hours=1) / (count + 1)
        columns = {
            "event_id": [f"{key}-{hour:%d%H}-{index}" for index in range(count)],
            "time": [hour + step * index for index in range(count)],
            "join_key": keys,
            "version": "churn-3",
            "digest": DIGEST,
            "arm_assigned": "champion",
            "arm_answered": "champion",
            "fallback": "",
            "latency_seconds": 0.01,
            "inputs": inputs,
            "outputs": outputs,
            **changes,
        }
        self._put("predictions", columns, count, hour)
        return keys

    def put_shadows(self, found: Rows, ids: Sequence[str], hour: datetime = HOUR, **changes: Any) -> None:
        columns = {
            "event_id": [f"shadow-{one}" for one in ids],
            "time": hour,
            "prediction_id": list(ids),
            "version": "churn-4",
            "digest": DIGEST,
            "outputs": [json.dumps(one) for one in found.outputs],
            "error": "",
            **changes,
        }
        self._put("shadows", columns, len(ids), hour)

    def put_labels(self, keys: Sequence[str], labels: Sequence[Any], at: datetime, **changes: Any) -> None:
        self.written += 1
        columns = {
            "event_id": [f"label-{self.written}-{index}" for index in range(len(keys))],
            "time": at,
            "received_at": at,
            "join_key": list(keys),
            "label": [json.dumps(one) for one in labels],
            "outcomes": "{}",
            "labelled_by": "test",
            **changes,
        }
        self._put("labels", columns, len(keys), at.replace(minute=0, second=0, microsecond=0))

    def _put(self, table: Any, columns: dict[str, Any], count: int, hour: datetime) -> None:
        filled = {
            one.name: value if isinstance(value := columns.get(one.name), list) else [value] * count
            for one in SCHEMAS[table]
        }
        filled["deployment_uid"] = [UID] * count
        if "received_at" not in columns:
            filled["received_at"] = [hour] * count
        written = pa.table(filled, schema=SCHEMAS[table])
        for side in ("input", "output"):
            for name, values in values_of_objects(side, _objects(columns.get(f"{side}s"), count)).items():
                written = written.append_column(name, values)
        sink = pa.BufferOutputStream()
        pq.write_table(written, sink, compression="zstd")
        self.store.create(f"{Place(table, NAMESPACE, NAME, hour).folder}/{new_name(hour)}", sink.getvalue().to_pybytes())


def _objects(given: Any, count: int) -> list[Any]:
    """Of JSON texts; None: there are none."""
    texts = given if isinstance(given, list) else [given] * count
    return [None if text is None else json.loads(text) for text in texts]


def watched(**monitoring: Any) -> Watched:
    spec = ModelDeploymentSpec.model_validate(
        {"champion": {"modelVersionRef": {"name": "churn-3"}}, "monitoring": monitoring}
    )
    return Watched(NAMESPACE, NAME, UID, "2026-11-01T00:00:00Z", spec)


@contextmanager
def evaluations_of(lake: LakeFolder, days: int = 90) -> Iterator[Callable[..., DeploymentEvaluation | None]]:
    """Evaluates a deployment, two hours after HOUR's day unless `at` says when, and reads what everybody reads then."""
    evaluations = Evaluations(lake.store, days, threads=1, memory_bytes=256 * 1024 * 1024)

    def evaluated(one: Watched, at: datetime = HOUR + timedelta(hours=26)) -> DeploymentEvaluation | None:
        evaluations.evaluate(one, at)
        return latest(lake.store, one.namespace, one.name)

    try:
        yield evaluated
    finally:
        evaluations.close()
