"""A lake in which a champion and a challenger answered, in shadow or by a split, with labels of what was true."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import yaml

from evaluation_fixtures import INPUTS, OUTPUTS, LakeFolder
from podium_crds.package import Descriptor
from podium_crds.v1alpha1.model_deployment import ModelDeploymentSpec, ModelDeploymentStatus
from podium_monitor.references import folder_of_reference
from podium_monitor.world import Watched

START = datetime(2026, 11, 20, 8, tzinfo=UTC)
CHAMPION, CHALLENGER = "sha256:" + "3" * 64, "sha256:" + "4" * 64
HORIZON = 3600
SPLIT = json.dumps({"champion": {"percent": 80, "digest": CHAMPION}, "boosted": {"percent": 20, "digest": CHALLENGER}})
SHADOW = {"name": "boosted", "modelVersionRef": {"name": "churn-4"}, "mode": "Shadow"}
CANARY = {"name": "boosted", "modelVersionRef": {"name": "churn-4"}, "mode": "Canary", "percent": 20}


def watched(challenger: dict[str, Any] = SHADOW, *, percent: int = 20, epoch: int = 7, **spec: Any) -> Watched:
    """Served as wished: champion churn-3, challenger churn-4."""
    promotion = {"metric": {"type": "LogLoss"}}
    whole = {
        "champion": {"modelVersionRef": {"name": "churn-3"}},
        "challengers": [challenger],
        "promotion": promotion,
        "monitoring": {"labels": {"horizonSeconds": HORIZON}},
        **spec,
    }
    shown = {
        "name": challenger["name"],
        "modelVersion": challenger["modelVersionRef"]["name"],
        "digest": CHALLENGER,
        "mode": challenger["mode"],
        "percent": percent if challenger["mode"] == "Canary" else 0,
        "state": "Serving",
    }
    since = "2026-11-20T00:00:00Z"
    serving = {"modelVersion": "churn-3", "digest": CHAMPION, "since": since, "replicas": 1}
    status = {"epoch": epoch, "champion": serving, "challengers": [shown]}
    return Watched(
        "shop",
        "churn",
        "uid-1",
        since,
        ModelDeploymentSpec.model_validate(whole),
        ModelDeploymentStatus.model_validate(status),
    )


@dataclass
class Traffic:
    """Rows of an hour, with what both versions said and what was true."""

    truth: np.ndarray[Any, Any]
    champion: np.ndarray[Any, Any]
    """Probability of yes."""
    challenger: np.ndarray[Any, Any]

    def __len__(self) -> int:
        return len(self.truth)


def traffic(count: int, seed: int = 0, *, champion_noise: float = 1.0, challenger_noise: float = 0.3) -> Traffic:
    """Less noise on the odds is a better model."""
    chance = np.random.default_rng(seed)
    odds = chance.normal(-1.0, 1.2, count)
    truth = chance.random(count) < 1 / (1 + np.exp(-odds))

    def said(noise: float) -> np.ndarray[Any, Any]:
        found: np.ndarray[Any, Any] = 1 / (1 + np.exp(-(odds + chance.normal(0, noise, count))))
        return found

    return Traffic(truth, said(champion_noise), said(challenger_noise))


def outputs(scores: np.ndarray[Any, Any]) -> list[str]:
    return [
        json.dumps({"label": "yes" if p >= 0.5 else "no", "probabilities": [1 - p, p]}) for p in np.round(scores, 6).tolist()
    ]


class Lake(LakeFolder):
    """With the descriptions of both versions, once `describe` was called."""

    def describe(self) -> None:
        for digest in (CHAMPION, CHALLENGER):
            descriptor = Descriptor(name="churn", version="3", task="Classification", inputs=INPUTS, outputs=OUTPUTS)
            folder = folder_of_reference("shop", "churn", digest)
            self.store.create(f"{folder}/podium.yaml", yaml.safe_dump(descriptor.model_dump(mode="json")).encode())

    def shadowed(self, found: Traffic, hour: datetime = START, shadow_seconds: float = 0.0, **changes: Any) -> list[str]:
        """Predictions of the champion with the challenger's as shadow, received so much later. Returns the join keys."""
        ids = [f"{hour:%d%H}-{index:x}-0" for index in range(len(found))]
        regions = [json.dumps({"region": ["north", "south"][index % 2]}) for index in range(len(found))]
        facts = {"event_id": ids, "join_key": ids, "received_at": self._times(found, hour), **changes}
        self.put_captured(regions, outputs(found.champion), hour, **facts)
        times = self._times(found, hour)
        self._put(
            "shadows",
            {
                "event_id": [f"{one}-boosted" for one in facts["event_id"]],
                "time": times,
                "received_at": [one + timedelta(seconds=shadow_seconds) for one in times],
                "prediction_id": facts["event_id"],
                "version": "churn-4",
                "digest": CHALLENGER,
                "outputs": outputs(found.challenger),
                "error": "",
            },
            len(found),
            hour,
        )
        return list(facts["join_key"])

    def split(self, found: Traffic, arms: np.ndarray[Any, Any], hour: datetime = START, **changes: Any) -> list[str]:
        """Predictions that went to the challenger where `arms` is True."""
        ids = [f"{hour:%d%H}-{index:x}-0" for index in range(len(found))]
        scores = np.where(arms, found.challenger, found.champion)
        regions = [json.dumps({"region": ["north", "south"][index % 2]}) for index in range(len(found))]
        facts = {
            "event_id": ids,
            "join_key": ids,
            "received_at": self._times(found, hour),
            "arm_assigned": np.where(arms, "boosted", "champion").tolist(),
            "arm_answered": np.where(arms, "boosted", "champion").tolist(),
            "digest": np.where(arms, CHALLENGER, CHAMPION).tolist(),
            "split": SPLIT,
            **changes,
        }
        self.put_captured(regions, outputs(scores), hour, **facts)
        return list(facts["join_key"])

    def labelled(self, keys: list[str], found: Traffic, at: datetime, **changes: Any) -> None:
        self.put_labels(keys, ["yes" if truth else "no" for truth in found.truth], at, **changes)

    def _times(self, found: Traffic, hour: datetime) -> list[datetime]:
        step = timedelta(hours=1) / (len(found) + 1)
        return [hour + step * index for index in range(len(found))]
