"""What a plan looks like on its way to pods of this release and of the one before."""

import pytest

from deployment_fixtures import plan
from podium_crds.plan import Plan, PlannedCapture, PlannedJoinKey

URL = "http://monitor:8090/v1/events"


@pytest.mark.parametrize(
    ("capture", "dumped"),
    [
        pytest.param(PlannedCapture(), {"percent": 0, "url": ""}, id="nothing is captured"),
        pytest.param(PlannedCapture(percent=100, url=URL), {"percent": 100, "url": URL}, id="all of it"),
        pytest.param(
            PlannedCapture(percent=5, url=URL, hash=["customer"], join_key=PlannedJoinKey(type="Input", name="customer")),
            {"percent": 5, "url": URL, "hash": ["customer"], "join_key": {"type": "Input", "name": "customer"}},
            id="what an earlier pod has to refuse, because it would send customers in the clear",
        ),
    ],
)
def test_a_plan_holds_no_word_of_capture_that_is_not_needed(capture: PlannedCapture, dumped: dict[str, object]) -> None:
    made = plan(capture=capture)
    assert made.model_dump(mode="json")["capture"] == dumped
    read = Plan.model_validate_json(made.model_dump_json())
    assert (read, read.digest) == (made, made.digest)


def test_plans_with_other_names_to_leave_out_are_other_plans() -> None:
    made = plan(capture=PlannedCapture(percent=5, url=URL, redact=["email"]))
    assert not made.says_the_same(plan(capture=PlannedCapture(percent=5, url=URL)))
