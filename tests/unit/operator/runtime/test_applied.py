from typing import Any

import pytest

from podium_operator.applied import AppliedMemory
from podium_operator.kinds import Manifest

WISH: Manifest = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "churn", "namespace": "retention"},
    "spec": {"replicas": 3},
}


def live(**changes: Any) -> Manifest:
    metadata = {"name": "churn", "namespace": "retention", "uid": "1", "resourceVersion": "7", "generation": 1}
    return {**WISH, "metadata": {**metadata, **changes.pop("metadata", {})}, **changes}


@pytest.mark.parametrize(
    ("seen", "stands"),
    [
        pytest.param(live(), True, id="untouched"),
        pytest.param(live(status={"readyReplicas": 3}, metadata={"resourceVersion": "9"}), True, id="status-moved"),
        pytest.param(live(spec={"replicas": 5}), False, id="somebody-scaled-it"),
        pytest.param(live(metadata={"labels": {"a": "b"}}), False, id="somebody-labelled-it"),
        pytest.param(live(metadata={"uid": "2"}), False, id="made-anew"),
    ],
)
def test_an_apply_stands_until_somebody_touches_the_object(seen: Manifest, stands: bool) -> None:
    memory = AppliedMemory()
    memory.remember(WISH, live())
    assert memory.stands(WISH, seen) is stands


def test_another_wish_does_not_stand() -> None:
    memory = AppliedMemory()
    memory.remember(WISH, live())
    assert not memory.stands({**WISH, "spec": {"replicas": 4}}, live())
    assert not AppliedMemory().stands(WISH, live())


def test_memory_is_bounded() -> None:
    memory = AppliedMemory(max_objects=1)
    other = {**WISH, "metadata": {"name": "other", "namespace": "retention"}}
    memory.remember(WISH, live())
    memory.remember(other, live())
    assert not memory.stands(WISH, live())
