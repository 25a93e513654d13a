"""/score and /explain over a real socket: the protocol's own numbers by name, warnings, refusals, reasons."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from score_fixtures import golden_rows, probability
from score_lane_fixtures import ask, classifier, told
from serving_lane_fixtures import client, infer_request, until

pytestmark = pytest.mark.process

ROW: dict[str, Any] = {"tenure": 12, "contract": "Month-to-month", "usage": [1, 0, -1]}


async def test_named_columns_are_answered_with_label_probabilities_version_and_id(tmp_path: Path) -> None:
    async with classifier(tmp_path) as here:
        reply = await ask(here, "/score", ROW)
    yes = probability(12, "Month-to-month", [1, 0, -1])
    assert reply.status == 200
    answer = told(reply)
    assert answer == {
        "label": "no",
        "probabilities": {"no": pytest.approx(1 - yes, abs=1e-6), "yes": pytest.approx(yes, abs=1e-6)},
        "warnings": [],
        "model": "churn",
        "version": "churn-1",
        "request_id": reply.headers["podium-request-id"],
    }


async def test_score_and_infer_give_identical_numbers_for_identical_rows(tmp_path: Path) -> None:
    rows = [row["inputs"] for row in golden_rows(20)]
    inputs = [
        {"name": "tenure", "datatype": "FP32", "shape": [20, 1], "data": [row["tenure"] for row in rows]},
        {"name": "contract", "datatype": "BYTES", "shape": [20, 1], "data": [row["contract"] for row in rows]},
        {"name": "usage", "datatype": "FP32", "shape": [20, 3], "data": [row["usage"] for row in rows]},
    ]
    async with classifier(tmp_path) as here:
        named = told(await ask(here, "/score", rows))["predictions"]
        plain = {
            output["name"]: output["data"]
            for output in told(await ask(here, "/v2/models/churn/infer", {"inputs": inputs}))["outputs"]
        }
    assert [row["label"] for row in named] == plain["label"]
    assert [value for row in named for value in row["probabilities"].values()] == plain["probabilities"]


@pytest.mark.parametrize("path", ["/score", "/models/churn/score", "/score?trace=1"])
async def test_the_model_may_be_named_and_need_not_be(path: str, tmp_path: Path) -> None:
    async with classifier(tmp_path) as here:
        assert (await ask(here, path, ROW)).status == 200


async def test_a_wrong_model_is_not_found(tmp_path: Path) -> None:
    async with classifier(tmp_path) as here:
        reply = await ask(here, "/models/chur/score", ROW)
    assert reply.status == 404
    assert "this endpoint serves 'churn'" in told(reply)["error"]


async def test_an_id_in_the_body_comes_back(tmp_path: Path) -> None:
    async with classifier(tmp_path) as here:
        reply = await ask(here, "/score", {"rows": [ROW], "id": "mine"})
    assert told(reply)["request_id"] == reply.headers["podium-request-id"] == "mine"


UNUSUAL = {**ROW, "tenure": 99}
SENTENCE = "column 'tenure' is 99.0, training saw 0 to 72"


async def test_what_training_never_saw_is_answered_with_a_warning(tmp_path: Path) -> None:
    async with classifier(tmp_path) as here:
        answer = told(await ask(here, "/score", [ROW, UNUSUAL]))
    assert [row["warnings"] for row in answer["predictions"]] == [[], [SENTENCE]]


async def test_what_training_never_saw_is_refused_where_the_deployment_says_so(tmp_path: Path) -> None:
    async with classifier(tmp_path, "Refuse") as here:
        reply = await ask(here, "/score", UNUSUAL)
    assert (reply.status, told(reply)["error"]) == (400, SENTENCE)


async def test_a_row_that_does_not_fit_is_refused_with_all_its_problems(tmp_path: Path) -> None:
    async with classifier(tmp_path) as here:
        reply = await ask(here, "/score", {"tenur": 3, "usage": [1, 2]})
    assert reply.status == 400
    assert told(reply)["error"] == (
        "2 problems: (1) there is no column 'tenur'; did you mean 'tenure'? "
        "(2) column 'usage' is a list of 2, must be a list of 3 numbers"
    )


@pytest.mark.parametrize(("path", "body"), [("/score", {"rows": [ROW], "explain": True}), ("/explain", [ROW])])
async def test_reasons_add_up_to_what_the_prediction_is(path: str, body: Any, tmp_path: Path) -> None:
    async with classifier(tmp_path) as here:
        answer = told(await ask(here, path, body))["predictions"][0]
    reasons = answer["explanation"]
    assert reasons["target"] == "yes"
    assert reasons["prediction"] == pytest.approx(answer["probabilities"]["yes"], abs=1e-7)
    assert reasons["stopped"] == "Exact"
    total = sum(reason["contribution"] for reason in reasons["contributions"]) + reasons["others"]
    assert total == pytest.approx(reasons["prediction"] - reasons["baseline"], abs=1e-12)
    sizes = [abs(reason["contribution"]) for reason in reasons["contributions"]]
    assert sizes == sorted(sizes, reverse=True)


async def test_explain_takes_options(tmp_path: Path) -> None:
    options = {"top": 1, "scale": "LogOdds", "target": "no"}
    async with classifier(tmp_path) as here:
        answer = told(await ask(here, "/explain", {"rows": [ROW], "explain": options}))
    reasons = answer["predictions"][0]["explanation"]
    assert (len(reasons["contributions"]), reasons["scale"], reasons["target"]) == (1, "LogOdds", "no")


async def test_the_same_request_is_explained_the_same(tmp_path: Path) -> None:
    async with classifier(tmp_path) as here:
        one, other = told(await ask(here, "/explain", ROW)), told(await ask(here, "/explain", ROW))
    assert one["explanation"] == other["explanation"]


async def test_a_request_for_reasons_is_not_split_for_they_are_the_champions(tmp_path: Path) -> None:
    async with classifier(tmp_path) as here:
        await ask(here, "/explain", ROW)
        await ask(here, "/score", ROW)
        assert [request.pinned_version for request in here.responder.asked] == ["churn-1", ""]


async def test_what_is_asked_for_its_reasons_only_is_no_prediction_to_capture(tmp_path: Path) -> None:
    async with classifier(tmp_path) as here:
        for path in ("/explain", "/score"):
            await ask(here, path, {"rows": [ROW], "explain": True, "id": path})
        assert [request.request_id for request, _ in here.responder.after] == ["/score"]


async def test_a_package_without_golden_rows_scores_but_does_not_explain(tmp_path: Path) -> None:
    async with classifier(tmp_path, golden=0) as here:
        assert (await ask(here, "/score", ROW)).status == 200
        refused = await ask(here, "/explain", ROW)
    assert refused.status == 400
    assert "explained against golden rows, and the package has none" in told(refused)["error"]


async def test_reasons_keep_to_the_deadline(tmp_path: Path) -> None:
    hook = "import time\ndef before(columns):\n    time.sleep(0.02)\n    return columns\n"
    async with classifier(tmp_path, transform=hook) as here:
        reply = await ask(here, "/explain", [ROW] * 20, **{"podium-timeout-milliseconds": "200"})
    assert reply.status == 504


async def test_a_client_that_leaves_stops_waiting_for_reasons(tmp_path: Path) -> None:
    async with classifier(tmp_path) as here:
        async with client(here.public) as connection:
            await connection.send(infer_request(json.dumps([ROW] * 100).encode(), "/explain"))
            await until(lambda: here.public.lane.tasks)
        await until(lambda: not here.public.lane.open_requests and not here.public.lane.tasks)
        assert (await ask(here, "/score", ROW)).status == 200


async def test_the_forward_port_speaks_no_names(tmp_path: Path) -> None:
    async with classifier(tmp_path) as here, client(here.forward) as connection:
        reply = await connection.ask(infer_request(json.dumps(ROW).encode(), "/score", authorization="Bearer the-token"))
    assert reply.status == 404


async def test_thousands_of_rows_are_scored_at_once(tmp_path: Path) -> None:
    rows = [{**ROW, "tenure": number % 70} for number in range(3000)]
    async with classifier(tmp_path) as here:
        answer = told(await ask(here, "/score", rows))
    found = [row["probabilities"]["yes"] for row in answer["predictions"]]
    np.testing.assert_allclose(
        found, [probability(number % 70, "Month-to-month", [1, 0, -1]) for number in range(3000)], atol=1e-6
    )
