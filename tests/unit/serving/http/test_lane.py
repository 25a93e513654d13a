"""The lane over real sockets: who is answered, in which order, and what a client reads when it is not."""

import asyncio
import json
import time
from pathlib import Path

import pytest

from podium_serving.http.dialects.dialect import Arrived
from podium_serving.http.dialects.infer import Infer
from serving_lane_fixtures import client, infer_body, infer_request, site, until

pytestmark = pytest.mark.process


async def test_an_inference_is_answered_with_the_headers_that_say_who_answered(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        await here.serve("3", epoch=7, weights=[2, 3])
        async with client(here.public) as connection:
            reply = await connection.ask(infer_request(infer_body(1, 2, request_id="r-1")))
        assert reply.status == 200
        assert reply.json == {
            "model_name": "churn",
            "model_version": "churn-3",
            "id": "r-1",
            "outputs": [{"name": "score", "datatype": "FP32", "shape": [1, 1], "data": [8.0]}],
        }
        podium = {name: value for name, value in reply.headers.items() if name.startswith("podium-")}
        assert podium == {
            "podium-version": "churn-3",
            "podium-epoch": "7",
            "podium-arm": "champion",
            "podium-request-id": "r-1",
        }


async def test_a_connection_is_kept_and_pipelined_requests_are_answered_in_order(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        await here.serve("3", weights=[2, 3])
        async with client(here.public) as connection:
            wanted: list[float | int] = []
            content = b""
            for index in range(60):
                # Refused requests, other paths and inferences take turns: none may overtake another.
                if index % 5 == 3:
                    content += infer_request(b"{}")
                    wanted.append(400)
                elif index % 5 == 4:
                    content += b"GET /v2/health/live HTTP/1.1\r\nhost: t\r\n\r\n"
                    wanted.append(200)
                else:
                    content += infer_request(infer_body(index, 1))
                    wanted.append(2 * index + 3.0)
            await connection.send(content)
            replies = [await connection.reply() for _ in wanted]
            got = [reply.score if b"outputs" in reply.body else reply.status for reply in replies]
            assert got == wanted
            assert (await connection.ask(infer_request(infer_body(1, 1)))).score == 5.0


async def test_a_long_row_of_refused_pipelined_requests_is_answered_whole(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        await here.serve("3")
        async with client(here.public) as connection:
            await connection.send(infer_request(infer_body(1, 1)) + infer_request(b"{}") * 500)
            assert [(await connection.reply()).status for _ in range(501)] == [200] + [400] * 500


async def test_a_request_that_comes_in_pieces_is_answered(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        await here.serve("3", weights=[2, 3])
        async with client(here.public) as connection:
            for byte in infer_request(infer_body(1, 2)):
                await connection.send(bytes([byte]))
                await asyncio.sleep(0)
            assert (await connection.reply()).score == 8.0


async def test_interleaved_clients_never_get_each_others_answers(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        await here.serve("3", weights=[1, 1000])

        async def ask(number: int) -> list[float]:
            async with client(here.public) as connection:
                return [(await connection.ask(infer_request(infer_body(turn, number)))).score for turn in range(20)]

        answers = await asyncio.gather(*(ask(number) for number in range(16)))
        assert answers == [[1000.0 * number + turn for turn in range(20)] for number in range(16)]


async def test_a_request_is_answered_by_the_plan_that_was_current_at_its_head(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        old = await here.serve("3", epoch=1, weights=[1, 1])
        content = infer_request(infer_body(1, 2))
        head = content.index(b"\r\n\r\n") + 4
        async with client(here.public) as early, client(here.public) as late:
            await early.send(content[:head])
            await until(lambda: old.open_requests == 1)
            new = await here.serve("4", epoch=2, weights=[10, 10])
            assert (await late.ask(content)).headers["podium-version"] == "churn-4"
            await early.send(content[head:])
            reply = await early.reply()
            assert (reply.headers["podium-version"], reply.headers["podium-epoch"], reply.score) == ("churn-3", "1", 3.0)
            assert (old.open_requests, new.open_requests) == (0, 0)
            assert old.last_admitted is not None
            assert new.first_admitted is not None
            assert old.last_admitted <= new.first_admitted


TARGETS = "this endpoint serves 'churn'"


@pytest.mark.parametrize(
    ("path", "status", "error"),
    [
        pytest.param("/v2/models/other/infer", 404, f"no model 'other' here; {TARGETS}", id="other-model"),
        pytest.param(
            "/v2/models/churn/versions/churn-9/infer",
            404,
            "version 'churn-9' of model 'churn' does not serve; 'churn-3' does",
            id="other-version",
        ),
        pytest.param("/v2/models/churn/infer/more", 404, "nothing is at /v2/models/churn/infer/more; see /docs", id="path"),
    ],
)
async def test_what_does_not_serve_is_404(path: str, status: int, error: str, tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        await here.serve("3")
        async with client(here.public) as connection:
            reply = await connection.ask(infer_request(infer_body(1, 1), path))
        assert (reply.status, reply.error) == (status, error)


async def test_the_serving_version_may_be_named_and_is_passed_on_as_pinned(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        await here.serve("3")
        async with client(here.public) as connection:
            reply = await connection.ask(infer_request(infer_body(1, 1), "/v2/models/churn/versions/churn%2D3/infer?x=1"))
        assert reply.status == 200
        assert here.responder.asked[0].pinned_version == "churn-3"


async def test_before_a_commit_everybody_is_told_to_try_again(tmp_path: Path) -> None:
    async with site(tmp_path) as here, client(here.public) as connection:
        reply = await connection.ask(infer_request(infer_body(1, 1)))
        assert (reply.status, reply.headers["retry-after"]) == (503, "1")
        assert reply.error == "no version is committed here yet; try again"
        for path in ("/v2/health/ready", "/docs", "/v2/models/churn"):
            assert (await connection.ask(_get(path))).status == 503
        assert (await connection.ask(_get("/v2/health/live"))).json == {"live": True}


async def test_a_late_answer_is_504_and_the_client_may_ask_for_less_time(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        await here.serve("3", timeout_milliseconds=60_000)
        async with client(here.public) as connection:
            assert (await connection.ask(infer_request(infer_body(1, 1), podium_timeout_milliseconds="20000"))).status == 200
            asked = here.responder.asked[0]
            assert 0 < asked.deadline - asked.admitted_at < 21
            asked_for = await connection.ask(infer_request(infer_body(1, 1), podium_timeout_milliseconds="soon"))
            assert asked_for.error == "Podium-Timeout-Milliseconds is 'soon', must be a positive integer"
            here.responder.held = asyncio.Event()
            await connection.send(infer_request(infer_body(1, 1), podium_timeout_milliseconds="20"))
            await until(lambda: len(here.responder.asked) == 2)
            await until(lambda: time.monotonic() > here.responder.asked[1].deadline)
            here.responder.held.set()
            reply = await connection.reply()
            assert (reply.status, reply.error) == (504, "the model did not answer before the request's deadline")


async def test_the_responder_is_told_after_the_answer_and_sees_the_clients_headers_without_ours(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        await here.serve("3")
        body = infer_body(1, 1)
        async with client(here.public) as connection:
            request = infer_request(body, x_customer_id="c-7", x_request_id="outer", podium_arm="neural-net")
            reply = await connection.ask(request)
        await until(lambda: here.responder.after)
        asked, answer = here.responder.after[0]
        assert asked.headers["x-customer-id"] == "c-7"
        assert not [name for name in asked.headers if name.startswith("podium-")]
        assert asked.headers.get("podium-arm") is None
        assert asked.request_id == reply.headers["podium-request-id"] == "outer"
        assert answer.arm_answered == reply.headers["podium-arm"] == "champion"
        assert "id" not in reply.json


async def test_an_id_cannot_add_headers(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        await here.serve("3")
        async with client(here.public) as connection:
            reply = await connection.ask(infer_request(infer_body(1, 1, request_id="a\r\nset-cookie: x=1")))
        assert "set-cookie" not in reply.headers
        assert reply.headers["podium-request-id"] == "a%0D%0Aset-cookie%3A%20x%3D1"
        assert reply.json["id"] == "a\r\nset-cookie: x=1"


async def test_a_client_that_goes_leaves_the_others_and_the_counts_alone(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        serving = await here.serve("3", weights=[1, 1])
        here.responder.held = asyncio.Event()
        async with client(here.public) as stays:
            await stays.send(infer_request(infer_body(1, 1)))
            async with client(here.public) as goes:
                await goes.send(infer_request(infer_body(2, 2)))
                await until(lambda: serving.open_requests == 2)
            await until(lambda: serving.open_requests == 1)
            here.responder.held.set()
            assert (await stays.reply()).score == 2.0
        assert here.public.lane.open_requests == 0
        assert here.metrics.requests.labels("churn-3", "champion", "499").value == 1


async def test_a_client_that_offers_http2_is_answered_in_http1_and_kept(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        await here.serve("3", weights=[1, 1])
        async with client(here.public) as connection:
            upgrade = {
                "connection": "Upgrade, HTTP2-Settings",
                "upgrade": "h2c",
                "http2_settings": "AAEAAEAAAAIAAAABAAMAAABk",
            }
            assert (await connection.ask(infer_request(infer_body(1, 1), **upgrade))).score == 2.0
            assert (await connection.ask(infer_request(infer_body(1, 2)))).score == 3.0
            chunked = b"POST /v2/models/churn/infer HTTP/1.1\r\nhost: t\r\nconnection: upgrade, close\r\nupgrade: h2c\r\n"
            body = infer_body(2, 2)
            await connection.send(chunked + b"transfer-encoding: chunked\r\n\r\n%x\r\n" % len(body))
            reply = await connection.ask(body + b"\r\n0\r\n\r\n")
            assert (reply.score, reply.headers["connection"]) == (4.0, "close")
        async with client(here.public) as connection:
            assert (await connection.ask(b"CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n")).status == 400


async def test_a_failure_of_ours_is_500_without_its_insides(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with site(tmp_path) as here:
        await here.serve("3")

        def broken(dialect: Infer, arrived: Arrived) -> None:
            raise RuntimeError("secret")

        monkeypatch.setattr(Infer, "read", broken)
        async with client(here.public) as connection:
            reply = await connection.ask(infer_request(infer_body(1, 1), x_request_id="r-9"))
        assert (reply.status, reply.error) == (500, "this server failed; its log says more")
        assert reply.headers["podium-request-id"] == "r-9"
        assert "RuntimeError: secret" in caplog.text


async def test_quiet_connections_are_closed_after_the_keep_alive_time(tmp_path: Path) -> None:
    async with site(tmp_path, keep_alive_seconds=2.0) as here:
        await here.serve("3")
        async with client(here.public) as used, client(here.public) as half_sent:
            await used.ask(infer_request(infer_body(1, 1)))
            await half_sent.send(b"POST /v2/models/churn/infer HTTP/1.1\r\nhost: ")
            assert await used.closed()
            assert await half_sent.closed()


async def test_answers_are_counted_by_version_role_and_code(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        await here.serve("3")
        async with client(here.public) as connection:
            await connection.ask(infer_request(infer_body(1, 1)))
            await connection.ask(infer_request(b"{}"))
            text = (await connection.ask(_get("/metrics"))).body.decode()
        labels = 'deployment="churn",namespace="retention",role="champion",version="churn-3"'
        assert f'podium_requests_total{{code="200",{labels}}} 1.0' in text
        assert f'podium_requests_total{{code="400",{labels}}} 1.0' in text
        assert f"podium_request_duration_seconds_count{{{labels}}} 1.0" in text
        assert f"podium_queue_duration_seconds_count{{{labels}}} 1.0" in text
        assert f"podium_rows_total{{{labels}}} 1.0" in text


async def test_metadata_health_and_index_follow_the_protocol(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        await here.serve("3", inputs=1)
        async with client(here.public) as connection:
            assert (await connection.ask(_get("/v2"))).json["name"] == "podium"
            assert (await connection.ask(_get("/v2/models/churn/versions/churn-3"))).json == {
                "name": "churn",
                "versions": ["churn-3"],
                "platform": "onnxruntime_onnx",
                "inputs": [{"name": "x0", "datatype": "FP32", "shape": [-1, 1]}],
                "outputs": [{"name": "score", "datatype": "FP32", "shape": [-1, 1]}],
            }
            ready = await connection.ask(_get("/v2/models/churn/ready"))
            assert ready.json == {"name": "churn", "version": "churn-3", "ready": True}
            assert (await connection.ask(_get("/v2/models/churn/versions/churn-2/ready"))).status == 404
            index = await connection.ask(infer_request(b"{}", "/v2/repository/index"))
            assert index.json == [{"name": "churn", "version": "churn-3", "state": "READY", "reason": ""}]
            asked_by_get = await connection.ask(_get("/v2/models/churn/infer"))
            assert (asked_by_get.status, asked_by_get.headers["allow"]) == (405, "POST")
            here.state.behind = True
            not_ready = await connection.ask(_get("/v2/health/ready"))
            assert (not_ready.status, not_ready.error) == (503, "a newer plan is committed than this pod holds")
            assert (await connection.ask(infer_request(infer_body(1)))).status == 200


async def test_every_example_of_the_docs_answers_when_it_is_pasted(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        await here.serve("3", key_input="customer")
        async with client(here.public) as connection:
            document = (await connection.ask(_get("/openapi.json"))).json
            page = (await connection.ask(_get("/docs"))).body.decode()
            shown = json.loads(page.split('<script type="application/json" id=page>')[1].split("</script>")[0])
            paths = {path: said["post"] for path, said in document["paths"].items() if "post" in said}
            assert set(paths) == {shown[name] for name in ("score", "explain", "infer", "predict")}
            for path, operation in paths.items():
                example = operation["requestBody"]["content"]["application/json"]["example"]
                reply = await connection.ask(infer_request(json.dumps(example).encode(), path))
                assert reply.status == 200, reply.body
                assert reply.json.get("warnings", []) == []
            assert paths[shown["score"]]["requestBody"]["content"]["application/json"]["example"] == shown["example"]
        assert "http://" not in page.replace("http://www.w3.org", "")
        assert "https://" not in page


def _get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nhost: t\r\n\r\n".encode()
