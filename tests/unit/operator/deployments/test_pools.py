"""What fits into a pod: quantities, peaks, workers."""

from typing import Any

import pytest

from podium_crds.v1alpha1.model_deployment import Serving
from podium_operator.deployments.pools import Room, fits_twice, quantity_bytes, running_room, wished_room

LIMITED = {"resources": {"limits": {"memory": "1Gi"}}}


@pytest.mark.parametrize(
    ("text", "size"), [("1Gi", 2**30), ("500M", 500_000_000), ("1.5Ki", 1536), ("1e3", 1000), ("2Ti", 2**41), ("0", 0)]
)
def test_a_quantity_in_bytes(text: str, size: int) -> None:
    assert quantity_bytes(text) == size


def test_a_quantity_that_is_none() -> None:
    with pytest.raises(ValueError, match="'much' is no quantity"):
        quantity_bytes("much")


@pytest.mark.parametrize(
    ("serving", "wished", "rooms", "fits"),
    [
        pytest.param(400, 400, [Room(1000)], True, id="exactly a fifth to spare"),
        pytest.param(400, 401, [Room(1000)], False, id="a byte too much"),
        pytest.param(400, 400, [Room(2000), Room(900)], False, id="the smallest limit counts"),
        pytest.param(100, 100, [Room(1000, copies=4)], True, id="four workers fit"),
        pytest.param(100, 101, [Room(1000, copies=4)], False, id="each of four workers holds both"),
        pytest.param(100, 100, [Room(1000), Room(900, copies=4)], False, id="a pod that still has four workers counts"),
        pytest.param(0, 400, [Room(1000)], False, id="an unknown peak fits no limit"),
        pytest.param(0, 0, [Room(0, copies=4), Room(0)], True, id="without a limit everything fits"),
    ],
)
def test_two_versions_in_one_pod(serving: int, wished: int, rooms: list[Room], fits: bool) -> None:
    assert fits_twice(serving, wished, rooms) is fits


@pytest.mark.parametrize(
    ("fields", "room"),
    [
        pytest.param({}, Room(0), id="no limit, one process"),
        pytest.param({"workers": 4, "template": LIMITED}, Room(2**30, copies=4), id="four workers share the limit"),
        pytest.param(
            {"workers": 2, "hooks": {"processes": 3}}, Room(0, copies=6), id="each worker has its hooks' processes"
        ),
        pytest.param({"hooks": {"timeoutMilliseconds": 10}}, Room(0), id="hooks that say nothing of processes"),
    ],
)
def test_the_room_of_a_wished_pod(fields: dict[str, Any], room: Room) -> None:
    assert wished_room(Serving.model_validate(fields)) == room


@pytest.mark.parametrize(
    ("container", "room"),
    [
        pytest.param({}, Room(0), id="of an earlier Podium"),
        pytest.param(
            {
                "resources": {"limits": {"memory": "1Gi"}},
                "env": [
                    {"name": "PODIUM_WORKERS", "value": "2"},
                    {"name": "PODIUM_HOOK_PROCESSES", "value": "2"},
                    {"name": "PODIUM_POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                ],
            },
            Room(2**30, copies=4),
            id="with two workers of two hook processes",
        ),
        pytest.param({"env": [{"name": "PODIUM_WORKERS", "value": "many"}]}, Room(0), id="somebody changed it by hand"),
    ],
)
def test_the_room_of_a_running_pod(container: dict[str, Any], room: Room) -> None:
    assert running_room(container) == room
