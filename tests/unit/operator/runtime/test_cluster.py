"""Against a scripted server on a real socket: what a real API server does only when it is ill, or by chance."""

import asyncio
from pathlib import Path

import pytest
from aiohttp import web

from operator_fixtures import scripted_cluster
from podium_operator.errors import (
    AlreadyExists,
    ClusterError,
    Conflict,
    Forbidden,
    Invalid,
    LeaseLost,
    NotFound,
    Unavailable,
)
from podium_operator.kinds import Manifest

pytestmark = pytest.mark.process

CONFIG: Manifest = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "record", "namespace": "retention", "resourceVersion": "7", "uid": "u1"},
    "data": {"a": "1"},
}


def status(code: int, reason: str = "", message: str = "said the server") -> web.Response:
    return web.json_response({"kind": "Status", "reason": reason, "message": message}, status=code)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        pytest.param(status(409, "Conflict"), Conflict, id="conflict"),
        pytest.param(status(409, "AlreadyExists"), AlreadyExists, id="already-exists"),
        pytest.param(status(404, "NotFound"), NotFound, id="not-found"),
        pytest.param(status(403, "Forbidden"), Forbidden, id="forbidden"),
        pytest.param(status(422, "Invalid"), Invalid, id="invalid"),
        pytest.param(status(400), Invalid, id="bad-request"),
        pytest.param(status(429), Unavailable, id="too-many-requests"),
        pytest.param(status(503), Unavailable, id="unavailable"),
        pytest.param(web.Response(status=502, text="<html>a proxy"), Unavailable, id="a-proxy-in-between"),
    ],
)
async def test_an_answer_becomes_the_error_that_says_what_to_do_next(
    answer: web.Response, error: type[ClusterError], tmp_path: Path
) -> None:
    async def answers(_: web.Request) -> web.Response:
        return answer

    async with scripted_cluster(tmp_path, answers) as (cluster, _, _):
        with pytest.raises(error, match="replace ConfigMap retention/record") as caught:
            await cluster.replace(CONFIG)
    assert type(caught.value) is error


async def test_whether_a_secret_is_there_is_asked_without_its_contents(tmp_path: Path) -> None:
    accepted = []

    async def answers(request: web.Request) -> web.Response:
        accepted.append(request.headers["Accept"])
        found = request.path.endswith("/there")
        return web.json_response({"kind": "PartialObjectMetadata"}) if found else status(404, "NotFound")

    async with scripted_cluster(tmp_path, answers) as (cluster, _, _):
        assert await cluster.exists("Secret", "retention", "there")
        assert not await cluster.exists("Secret", "retention", "gone")
    assert set(accepted) == {"application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"}


async def test_a_silent_server_costs_the_deadline_and_leaves_the_outcome_open(tmp_path: Path) -> None:
    async def never(_: web.Request) -> web.Response:
        await asyncio.sleep(30)
        raise AssertionError("the client waited too long")

    async with scripted_cluster(tmp_path, never, timeout_seconds=0.1) as (cluster, _, _):
        with pytest.raises(Unavailable) as write:
            await cluster.replace(CONFIG)
        with pytest.raises(Unavailable) as read:
            await cluster.get("ConfigMap", "retention", "record")
    assert write.value.outcome_unknown
    assert not read.value.outcome_unknown


async def test_a_refused_connection_leaves_the_outcome_open_too(tmp_path: Path) -> None:
    async def cut(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with scripted_cluster(tmp_path, cut) as (cluster, _, _):
        with pytest.raises(Unavailable) as caught:
            await cluster.create(CONFIG)
    assert caught.value.outcome_unknown


async def test_a_process_that_may_not_act_sends_no_write_but_may_read(tmp_path: Path) -> None:
    async def answers(_: web.Request) -> web.Response:
        return web.json_response(CONFIG)

    def fence() -> None:
        raise LeaseLost("frozen for too long")

    async with scripted_cluster(tmp_path, answers, fence=fence) as (cluster, api, _):
        assert await cluster.get("ConfigMap", "retention", "record") == CONFIG
        for write in (
            cluster.replace(CONFIG),
            cluster.create(CONFIG),
            cluster.delete(CONFIG),
            cluster.apply(CONFIG, seen=CONFIG),
            cluster.apply_status(CONFIG, {"x": "y"}),
            cluster.patch("ConfigMap", "retention", "record", {}),
        ):
            with pytest.raises(LeaseLost):
                await write
    assert [method for method, _ in api.asked] == ["GET"]


async def test_the_same_apply_is_sent_once_and_only_changes_count_as_writes(tmp_path: Path) -> None:
    async def answers(_: web.Request) -> web.Response:
        return web.json_response(CONFIG)

    wish = {**CONFIG, "metadata": {"name": "record", "namespace": "retention"}}
    async with scripted_cluster(tmp_path, answers) as (cluster, api, metrics):
        for _ in range(3):
            await cluster.apply(wish, seen=CONFIG)
        await cluster.apply(wish, seen={**CONFIG, "data": {"a": "edited"}})
    assert [method for method, _ in api.asked] == ["PATCH", "PATCH"]
    assert api.asked[0][1].endswith("/namespaces/retention/configmaps/record?fieldManager=podium-operator&force=true")
    assert metrics.registry.get_sample_value("podium_operator_writes_total", {"kind": "ConfigMap", "verb": "apply"}) is None
    labels = {"kind": "ConfigMap", "verb": "apply", "code": "200"}
    assert metrics.registry.get_sample_value("podium_operator_requests_total", labels) == 2


async def test_a_status_that_says_it_already_is_not_sent(tmp_path: Path) -> None:
    async def answers(_: web.Request) -> web.Response:
        return web.json_response({**CONFIG, "metadata": {**CONFIG["metadata"], "resourceVersion": "8"}})

    seen = {**CONFIG, "status": {"reason": "Verified"}}
    async with scripted_cluster(tmp_path, answers) as (cluster, api, metrics):
        await cluster.apply_status(seen, {"reason": "Verified"})
        assert api.asked == []
        await cluster.apply_status(seen, {"reason": "Other"})
    assert api.asked[0][1].split("?")[0].endswith("/configmaps/record/status")
    written = {"kind": "ConfigMap", "verb": "apply-status"}
    assert metrics.registry.get_sample_value("podium_operator_writes_total", written) == 1


async def test_a_long_list_comes_in_pages_and_items_know_their_kind(tmp_path: Path) -> None:
    async def answers(request: web.Request) -> web.Response:
        second = request.query.get("continue") == "more"
        items = [{"metadata": {"name": "b" if second else "a"}}]
        return web.json_response({"metadata": {} if second else {"continue": "more"}, "items": items})

    async with scripted_cluster(tmp_path, answers) as (cluster, api, _):
        found = await cluster.list("ModelVersion", None, {"x": "y", "a": "b"})
    assert [item["metadata"]["name"] for item in found] == ["a", "b"]
    assert (found[0]["apiVersion"], found[0]["kind"]) == ("podium.dev/v1alpha1", "ModelVersion")
    assert api.asked[0][1] == "/apis/podium.dev/v1alpha1/modelversions?labelSelector=a%3Db,x%3Dy&limit=500"


async def test_deleting_what_is_gone_is_done_and_another_object_of_the_name_is_not_deleted(tmp_path: Path) -> None:
    answers = iter([status(404, "NotFound"), status(409, "Conflict", "the UID in the precondition does not match")])

    async def answer(request: web.Request) -> web.Response:
        assert (await request.json())["preconditions"] == {"uid": "u1"}
        return next(answers)

    async with scripted_cluster(tmp_path, answer) as (cluster, _, _):
        await cluster.delete(CONFIG)
        with pytest.raises(Conflict):
            await cluster.delete(CONFIG)


async def test_a_blind_overwrite_is_refused_before_it_is_sent(tmp_path: Path) -> None:
    async def answers(_: web.Request) -> web.Response:
        raise AssertionError("nothing should be sent")

    async with scripted_cluster(tmp_path, answers) as (cluster, _, _):
        with pytest.raises(ValueError, match="would overwrite blindly"):
            await cluster.replace({**CONFIG, "metadata": {"name": "record", "namespace": "retention"}})
