"""From a ModelVersion's status to what may serve, and what an upgrade of Podium changes in it."""

from typing import Any

import pytest

from deployment_fixtures import IMAGE, OTHER_IMAGE, digest, planned, version
from podium_crds.plan import PlannedVersion
from podium_operator.deployments.resolved import Refusal, resolved
from podium_operator.deployments.versions_seen import Verdict, VersionSeen, version_seen

FACTS = {
    "goldenRows": 20,
    "flippedLabels": 0,
    "worstAbsoluteError": "1e-07",
    "p99Milliseconds": "1.5",
    "peakMemoryBytes": 100,
    "schemaDigest": "sha256:schema",
    "inputs": "tenure FP32",
    "outputs": "score FP32",
}


def manifest(ready: str = "True", **status: Any) -> dict[str, Any]:
    said = {"type": "Ready", "status": ready, "reason": "Verified", "message": "fine", "lastTransitionTime": "t"}
    artifact = {"uri": "oci://registry.test:5000/models/churn-3", "digest": digest("churn-3")}
    return {
        "metadata": {"name": "churn-3"},
        "spec": {"artifact": artifact},
        "status": {"conditions": [said], "image": IMAGE, **status},
    }


@pytest.mark.parametrize(
    ("found", "verdict", "reason"),
    [
        pytest.param(
            manifest(verification={**FACTS, "contract": 2}), Verdict.VERIFIED, "Verified", id="verified in an image of today"
        ),
        pytest.param(
            manifest(verification=FACTS), Verdict.PENDING, "VerifiedByEarlierPodium", id="verified by an earlier Podium"
        ),
        pytest.param(manifest("Unknown"), Verdict.PENDING, "Verified", id="not judged yet"),
    ],
)
def test_what_a_status_says(found: dict[str, Any], verdict: Verdict, reason: str) -> None:
    seen = version_seen(found)
    assert (seen.verdict, seen.reason) == (verdict, reason)


SERVES = planned("churn-3")
ANEW = planned("churn-3", OTHER_IMAGE)


@pytest.mark.parametrize(
    ("found", "serving", "moves", "chosen"),
    [
        pytest.param(
            version("churn-3", image=OTHER_IMAGE), SERVES, True, ANEW, id="it goes to the image of its verification"
        ),
        pytest.param(version("churn-3", image=OTHER_IMAGE), SERVES, False, SERVES, id="it stays where it is"),
        pytest.param(
            version("churn-3", Verdict.PENDING, image=OTHER_IMAGE), SERVES, True, SERVES, id="it stays until it is verified"
        ),
        pytest.param(None, SERVES, True, SERVES, id="its ModelVersion is deleted: it stays"),
        pytest.param(version("churn-3"), None, True, SERVES, id="nothing serves yet"),
    ],
)
def test_the_image_of_a_version_that_serves(
    found: VersionSeen | None, serving: PlannedVersion | None, moves: bool, chosen: PlannedVersion
) -> None:
    assert resolved("churn-3", found, serving, moves=moves) == chosen


def test_a_version_of_an_earlier_podium_is_waited_for() -> None:
    seen = version_seen(manifest(verification=FACTS))
    refusal = resolved("churn-3", seen, None, moves=True)
    assert refusal == Refusal(
        "VersionNotVerified",
        "version 'churn-3' is not verified yet (VerifiedByEarlierPodium: it was verified in a scoring image of an earlier "
        "Podium, and is verified anew in this installation's)",
        terminal=False,
    )
