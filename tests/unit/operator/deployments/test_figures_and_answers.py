"""Flip figures, answers of the control port, registry credentials."""

import base64
import json

import pytest

from deployment_fixtures import control_status
from podium_crds.plan import Flip
from podium_crds.v1alpha1.model_deployment import LastSwap
from podium_operator.deployments.control import read_answer
from podium_operator.deployments.credentials import credential_for
from podium_operator.deployments.last_swap import flip_milliseconds, last_swap
from podium_operator.deployments.steps import Silence
from podium_operator.manifests.record import Notes


def flip(old: float | None, new: float | None, at: float = 0.0, to_epoch: int = 5) -> Flip:
    return Flip(from_epoch=4, to_epoch=to_epoch, flipped_at=at, last_admitted_old=old, first_admitted_new=new)


@pytest.mark.parametrize(
    ("flips", "width"),
    [
        pytest.param([flip(10.000, 10.001), flip(10.030, 10.031)], 29, id="first under the new plan to last under the old"),
        pytest.param([flip(10.000, 10.005), flip(10.001, 10.006)], 0, id="nobody overlapped"),
        pytest.param([flip(None, None, 10.0), flip(None, None, 10.012)], 12, id="no requests: first flip to last flip"),
        pytest.param([flip(10.0, None, 10.0), flip(10.0, 10.1, 10.0)], 0, id="one pod saw no request yet"),
    ],
)
def test_the_width_of_a_flip(flips: list[Flip], width: int) -> None:
    assert flip_milliseconds(flips) == width


NOTES = Notes(since="2026-11-21T12:00:00Z", swap_epoch=5, from_version="churn-3")
DONE = LastSwap(from_version="churn-3", to_version="churn-4", at="2026-11-21T12:00:00Z", pods=2, flip_milliseconds=0)


def test_figures_of_a_swap_are_said_and_then_stay() -> None:
    flips = [flip(10.0, 10.1), flip(10.0, None)]
    assert last_swap(NOTES, "churn-4", flips, None) == DONE
    assert last_swap(NOTES, "churn-4", [], DONE) == DONE
    assert last_swap(Notes(), "churn-4", flips, None) is None


def test_flips_of_other_plans_do_not_count() -> None:
    assert last_swap(NOTES, "churn-4", [flip(1.0, 2.0, to_epoch=6)], None) is None


STATUS = control_status("uid-a").model_dump_json().encode()


@pytest.mark.parametrize(
    ("status", "body", "answer"),
    [
        pytest.param(200, STATUS, control_status("uid-a"), id="its status"),
        pytest.param(
            409,
            json.dumps({"error": "lower", "status": json.loads(STATUS)}).encode(),
            control_status("uid-a"),
            id="refused as lower",
        ),
        pytest.param(403, b"{}", Silence.DENIED, id="it does not take our signature"),
        pytest.param(
            200, control_status("uid-b").model_dump_json().encode(), Silence.UNREACHABLE, id="another pod has its address"
        ),
        pytest.param(500, b"oops", Silence.UNREACHABLE, id="no answer that means anything"),
        pytest.param(200, b"[]", Silence.UNREACHABLE, id="something else listens there"),
    ],
)
def test_an_answer_is_read(status: int, body: bytes, answer: object) -> None:
    assert read_answer(status, body, "uid-a") == answer


def docker_config(auths: object) -> dict[str, object]:
    return {"data": {".dockerconfigjson": base64.b64encode(json.dumps({"auths": auths}).encode()).decode()}}


AUTH = base64.b64encode(b"ada:se:cret").decode()


@pytest.mark.parametrize(
    ("auths", "found"),
    [
        pytest.param({"registry.test:5000": {"username": "ada", "password": "x"}}, ("ada", "x"), id="by host and port"),
        pytest.param({"https://registry.test:5000/v2/": {"auth": AUTH}}, ("ada", "se:cret"), id="by URL, with auth"),
        pytest.param({"registry.test": {"auth": AUTH}}, None, id="another port is another registry"),
        pytest.param({}, None, id="nothing is known"),
        pytest.param([], None, id="no docker configuration"),
    ],
)
def test_a_credential_for_a_registry(auths: object, found: tuple[str, str] | None) -> None:
    got = credential_for("oci://registry.test:5000/models/churn:3", docker_config(auths))
    assert (None if got is None else (got.username, got.password)) == found


def test_a_credential_does_not_show_in_logs() -> None:
    got = credential_for("oci://r/x", docker_config({"r": {"auth": AUTH}}))
    assert "cret" not in repr(got)
