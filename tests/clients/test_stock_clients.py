"""The four stock clients with their defaults: their answers are those of the library that trained the model."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from cli_fixtures import customers, fitted
from clients_fixtures import program, run_client, served, venv_of
from podium_cli.package import package_pipeline

pytestmark = pytest.mark.clients

ROWS = 5
MODEL, VERSION = "churn", "3"
CHOICES = ("none", "one", "many", "many", "many")


@dataclass(frozen=True)
class Site:
    """A server with a model, what clients ask it, and what the training library answers."""

    http: str
    grpc: str
    cases: Path
    labels: list[str]
    probabilities: Any

    def check(self, outputs: dict[str, Any]) -> None:
        assert outputs["label"] == self.labels
        got = np.array(outputs["probabilities"]).reshape(self.probabilities.shape)
        np.testing.assert_allclose(got, self.probabilities, atol=2e-6)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("clients")
    frame = customers()
    pipeline = fitted(
        RandomForestClassifier(10, random_state=0), target=frame["number of kids"].map(lambda kids: CHOICES[kids])
    )
    packaged = package_pipeline(pipeline, frame, name=MODEL, version=VERSION, out=folder / "models" / "churn-3")
    # Clients that write NaN as JSON break the format, so those rows are left to the tests of nulls.
    rows = frame.dropna().head(ROWS)
    columns = {spec.name: rows[spec.name].tolist() for spec in packaged.folder.descriptor.inputs}
    inputs = [
        {"name": spec.name, "datatype": spec.datatype, "shape": [ROWS, 1], "data": columns[spec.name]}
        for spec in packaged.folder.descriptor.inputs
    ]
    instances = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    cases = folder / "cases.json"
    asked = {"model": MODEL, "version": VERSION, "outputs": ["label", "probabilities"]}
    cases.write_text(json.dumps({**asked, "inputs": inputs, "instances": instances}), encoding="utf-8")
    with served(folder / "models") as (http, grpc):
        yield Site(http, grpc, cases, pipeline.predict(rows).tolist(), pipeline.predict_proba(rows))


def answers_of(name: str, venv: str, address: str, site: Site, folder: Path) -> dict[str, Any]:
    answers = folder / "answers.json"
    command: list[str | Path] = [venv_of(venv) / "python", program(name), address, site.cases, answers]
    told: dict[str, Any] = json.loads(run_client(venv, command, answers))
    return told


def check_answers(told: dict[str, Any], names: list[str], site: Site) -> None:
    for name in names:
        # kserve's client does not read it.
        assert told[name]["version"] == VERSION or name.startswith("v2 "), name
        site.check(told[name]["outputs"])


def test_tritonclient_over_http(site: Site, tmp_path: Path) -> None:
    told = answers_of("triton_http", "tritonclient-http", site.http, site, tmp_path)
    for name in ("is_server_live", "is_server_ready", "is_model_ready", "is_model_ready_version"):
        assert told[name] is True, name
    assert "binary_tensor_data" in told["get_server_metadata"]["extensions"]
    assert told["get_model_metadata"]["versions"] == [VERSION]
    assert told["get_model_config"]["max_batch_size"] == 0
    assert told["get_model_repository_index"] == [{"name": MODEL, "version": VERSION, "state": "READY", "reason": ""}]
    plain = ["defaults", "requested_outputs", "json_in_json_out", "json_in_binary_out", "one_of_each", "gzip", "deflate"]
    check_answers(told, [*plain, "parameters", "async_infer"], site)
    assert told["parameters"]["id"] == "r-1"
    assert (told["is_model_ready_when_unloaded"], told["is_model_ready_when_loaded"]) == (False, True)
    status, text = told["an_input_is_missing"]
    assert (status, "is missing; the model takes" in text) == ("400", True)


def test_tritonclient_over_grpc(site: Site, tmp_path: Path) -> None:
    told = answers_of("triton_grpc", "tritonclient-grpc", site.grpc, site, tmp_path)
    for name in ("is_server_live", "is_server_ready", "is_model_ready", "is_model_ready_when_loaded"):
        assert told[name] is True, name
    assert told["get_model_metadata"]["versions"] == [VERSION]
    assert told["get_model_repository_index"]["models"][0]["state"] == "READY"
    check_answers(told, ["defaults", "requested_outputs", "parameters", "client_timeout", "gzip", "async_infer"], site)
    check_answers(told, ["stream"], site)
    assert told["parameters"]["id"] == "r-1"
    assert told["is_model_loaded"] == []
    status, text = told["an_input_is_missing"]
    assert (status, "is missing; the model takes" in text) == ("StatusCode.INVALID_ARGUMENT", True)


def test_kserves_rest_client_in_both_protocols(site: Site, tmp_path: Path) -> None:
    told = answers_of("kserve_rest", "kserve", site.http, site, tmp_path)
    for name in ("v1 is_server_live", "v1 is_model_ready", "v2 is_server_live", "v2 is_server_ready", "v2 is_model_ready"):
        assert told[name] is True, name
    assert told["v2 is_model_ready_of_no_model"] is False
    predictions = told["v1 infer"]["predictions"]
    site.check({name: [row[name] for row in predictions] for name in ("label", "probabilities")})
    check_answers(told, ["v2 infer_dict", "v2 infer_binary", "v2 infer_json"], site)
    assert told["v2 infer_binary"]["id"] == "r-1"
    status, text = told["v1 an_input_is_missing"]
    assert (status, "is missing; the model takes" in text) == (400, True)


@pytest.mark.parametrize("options", [[], ["--binary-data"], ["--batch-size", "4", "--workers", "2"]], ids=" ".join)
def test_mlservers_infer_command(options: list[str], site: Site, tmp_path: Path) -> None:
    """A line per request in, a line per answer out; the command joins lines into batches and sends them with ids."""
    cases = json.loads(site.cases.read_text(encoding="utf-8"))
    requests, answers = tmp_path / "requests.jsonl", tmp_path / "answers.jsonl"
    with requests.open("w", encoding="utf-8") as lines:
        for row in range(ROWS):
            inputs = [{**tensor, "shape": [1, 1], "data": [tensor["data"][row]]} for tensor in cases["inputs"]]
            lines.write(json.dumps({"id": f"row-{row}", "inputs": inputs}) + "\n")
    command: list[str | Path] = [venv_of("mlserver") / "mlserver", "infer", "-u", site.http, "-m", MODEL]
    command += ["-i", requests, "-o", answers, "--verbose", *options]
    told = {}
    for line in run_client("-".join(["mlserver", *options]), command, answers).splitlines():
        answer = json.loads(line)
        told[answer["id"]] = {output["name"]: output["data"] for output in answer["outputs"]}
    rows = [told[f"row-{row}"] for row in range(ROWS)]
    site.check({"label": [row["label"][0] for row in rows], "probabilities": [row["probabilities"] for row in rows]})
