"""How spec.serving reaches the serving process. Names, paths and ports are spelled out: a wrong constant must fail here."""

from pathlib import Path
from typing import Any

import pytest

from deployment_fixtures import IMAGE, OWNER
from podium_crds.v1alpha1.model_deployment import PodTemplate, Serving
from podium_operator.kinds import Manifest
from podium_operator.manifests.engine import called_ports, engine_environment, mounted_secrets
from podium_operator.manifests.identity import Pool
from podium_operator.manifests.pods import Plant, Surroundings, pool_deployment
from podium_serving.environment import settings_from
from podium_serving.settings import Settings

TLS = {"tls": {"secretRef": {"name": "churn-tls"}}}
KEYS = {"authentication": {"type": "ApiKey", "apiKey": {"secretRef": {"name": "churn-callers"}}}}
JWT = {"authentication": {"type": "Jwt", "jwt": {"issuer": "https://id.example.com", "audiences": ["churn", "ml"]}}}


def serving(**fields: Any) -> Serving:
    return Serving.model_validate(fields)


def pod(found: Serving, pool: Pool | None = None, template: PodTemplate | None = None) -> Manifest:
    plant = Plant(found, template or PodTemplate(), Surroundings(("key-1",)))
    deployment = pool_deployment(OWNER, pool or Pool(id="abcdef", image=IMAGE), plant, 1)
    spec: Manifest = deployment["spec"]["template"]["spec"]
    return spec


def container(found: Serving) -> Manifest:
    only: Manifest
    (only,) = pod(found)["containers"]
    return only


@pytest.mark.parametrize(
    ("found", "environment"),
    [
        pytest.param(serving(), {}, id="what the spec leaves open is the image's to decide"),
        pytest.param(serving(workers=4), {"PODIUM_WORKERS": "4"}, id="workers"),
        pytest.param(serving(batching={"maxBatchRows": 64}), {"PODIUM_MAX_BATCH_ROWS": "64"}, id="rows of a batch"),
        pytest.param(serving(batching={"maxQueueRows": 512}), {"PODIUM_MAX_QUEUE_ROWS": "512"}, id="rows that wait"),
        pytest.param(
            serving(executionProviders=["TensorRt", "Cuda"]), {"PODIUM_PROVIDERS": "TensorRt,Cuda"}, id="providers in order"
        ),
        pytest.param(serving(hooks={"processes": 3}), {"PODIUM_HOOK_PROCESSES": "3"}, id="processes of a hook"),
        pytest.param(
            serving(hooks={"timeoutMilliseconds": 250}), {"PODIUM_HOOK_TIMEOUT_SECONDS": "0.25"}, id="time of a hook"
        ),
        pytest.param(serving(outsideTraining="Refuse"), {"PODIUM_OUTSIDE_TRAINING": "Refuse"}, id="outside of training"),
        pytest.param(serving(**TLS), {"PODIUM_TLS_DIR": "/etc/podium/tls"}, id="a certificate"),
        pytest.param(
            serving(**KEYS),
            {"PODIUM_AUTHENTICATION": "ApiKey", "PODIUM_API_KEYS_DIR": "/etc/podium/api-keys"},
            id="keys of callers",
        ),
        pytest.param(
            serving(**JWT),
            {
                "PODIUM_AUTHENTICATION": "Jwt",
                "PODIUM_JWT_ISSUER": "https://id.example.com",
                "PODIUM_JWT_AUDIENCES": "churn,ml",
            },
            id="tokens of an issuer",
        ),
        pytest.param(
            serving(tracing={"otlpEndpoint": "http://otel:4318", "percent": 5}),
            {"PODIUM_OTLP_ENDPOINT": "http://otel:4318", "PODIUM_TRACE_PERCENT": "5"},
            id="spans",
        ),
        pytest.param(serving(accessLog={}), {"PODIUM_ACCESS_LOG_PERCENT": "100"}, id="an access log of everything"),
    ],
)
def test_a_setting_is_a_variable(found: Serving, environment: dict[str, str]) -> None:
    assert engine_environment(found) == environment
    assert environment.items() <= {item["name"]: item.get("value") for item in container(found)["env"]}.items()


def read_back(found: Serving, secret_dir: Path) -> Settings:
    """What the serving process makes of the pod's environment."""
    for name in ("salt", "token", "capture-token"):
        (secret_dir / name).write_text("x")
    environment = {item["name"]: item["value"] for item in container(found)["env"] if "value" in item}
    return settings_from({**environment, "PODIUM_SECRET_DIR": str(secret_dir)})


def test_the_serving_process_reads_what_the_spec_says(tmp_path: Path) -> None:
    found = read_back(
        serving(
            workers=2,
            batching={"maxBatchRows": 64, "maxQueueRows": 512},
            executionProviders=["Cuda"],
            hooks={"processes": 3, "timeoutMilliseconds": 1500},
            outsideTraining="Accept",
            tracing={"otlpEndpoint": "http://otel:4318", "percent": 5},
            accessLog={"percent": 10},
            **TLS,
            **JWT,
        ),
        tmp_path,
    )
    assert (found.workers, found.outside_training) == (2, "Accept")
    assert (found.model.max_batch_rows, found.model.max_queue_rows) == (64, 512)
    assert found.model.providers == ("Cuda", "Cpu")
    assert (found.model.hook_processes, found.model.hook_timeout_seconds) == (3, 1.5)
    assert (found.observation.otlp_endpoint, found.observation.trace_percent) == ("http://otel:4318", 5.0)
    assert found.observation.access_log_percent == 10.0
    assert found.tls.dir == Path("/etc/podium/tls")
    assert (found.authentication.type, found.authentication.jwt_audiences) == ("Jwt", ("churn", "ml"))


def test_the_least_that_a_user_can_write_is_read_as_the_images_own_defaults(tmp_path: Path) -> None:
    found = read_back(serving(), tmp_path)
    assert (found.workers, found.outside_training, found.grpc_port) == (1, "Warn", 9000)
    assert (found.tls.dir, found.authentication.type) == (None, "Open")


def test_secrets_of_the_user_are_mounted_read_only_and_a_pod_does_not_start_without_them() -> None:
    found = pod(serving(**TLS, **KEYS))
    volumes = {volume["name"]: volume.get("secret") for volume in found["volumes"]}
    assert volumes["tls"] == {"secretName": "churn-tls", "optional": False, "defaultMode": 0o440}
    assert volumes["api-keys"] == {"secretName": "churn-callers", "optional": False, "defaultMode": 0o440}
    mounts = {mount["name"]: mount for mount in found["containers"][0]["volumeMounts"]}
    assert mounts["tls"] == {"name": "tls", "mountPath": "/etc/podium/tls", "readOnly": True}
    assert mounts["api-keys"] == {"name": "api-keys", "mountPath": "/etc/podium/api-keys", "readOnly": True}


def test_a_secret_that_is_needed_says_who_names_it_and_what_it_must_hold() -> None:
    assert [(secret.name, secret.field, secret.holds) for secret in mounted_secrets(serving(**TLS, **KEYS))] == [
        ("churn-tls", "spec.serving.tls", "of type kubernetes.io/tls, with tls.crt and tls.key"),
        (
            "churn-callers",
            "spec.serving.authentication.apiKey",
            "with one entry for each caller: its name, and a key of 22 to 512 characters as the value",
        ),
    ]
    assert mounted_secrets(serving(**JWT)) == []


@pytest.mark.parametrize("probe", ["startupProbe", "livenessProbe", "readinessProbe"])
def test_probes_speak_as_the_public_port_does(probe: str) -> None:
    assert container(serving())[probe]["httpGet"]["scheme"] == "HTTP"
    assert container(serving(**TLS))[probe]["httpGet"]["scheme"] == "HTTPS"


def test_an_image_that_knows_none_of_the_settings_is_asked_for_none_and_else_refuses_to_start() -> None:
    assert container(serving())["command"] == ["python", "-m", "podium_serving", "serve"]
    assert container(serving(**KEYS))["command"] == ["python", "-m", "podium_serving", "serve", "--contract", "2"]


def test_the_ports_of_a_scoring_pod() -> None:
    ports = {port["name"]: port["containerPort"] for port in container(serving())["ports"]}
    assert ports == {"http": 8080, "control": 8081, "forward": 8082, "grpc": 9000}


def test_a_challenger_with_a_template_of_its_own_is_no_more_open_than_the_champion() -> None:
    rival = Pool(id="ghijkl", image=IMAGE, challenger="rival")
    found = pod(serving(**TLS, **KEYS), rival, PodTemplate(node_selector={"gpu": "yes"}))
    (only,) = found["containers"]
    assert {"name": "PODIUM_AUTHENTICATION", "value": "ApiKey"} in only["env"]
    assert only["readinessProbe"]["httpGet"]["scheme"] == "HTTPS"
    assert found["nodeSelector"] == {"gpu": "yes"}


def test_a_gpu_is_a_limit_as_kubernetes_spells_it() -> None:
    template = PodTemplate.model_validate({"resources": {"limits": {"nvidia.com/gpu": 2, "cpu": "1"}}})
    (only,) = pod(serving(executionProviders=["Cuda"]), template=template)["containers"]
    assert only["resources"] == {"limits": {"cpu": "1", "nvidia.com/gpu": "2"}}


@pytest.mark.parametrize(
    ("found", "ports"),
    [
        pytest.param(serving(), set(), id="pods call nobody"),
        pytest.param(serving(**JWT), {443}, id="the issuer"),
        pytest.param(
            serving(
                authentication={
                    "type": "Jwt",
                    "jwt": {"issuer": "https://id", "audiences": ["a"], "jwksUri": "http://keys.auth.svc:8180/keys"},
                },
                tracing={"otlpEndpoint": "http://otel"},
            ),
            {8180, 80},
            id="where the keys are, and the collector of spans",
        ),
    ],
)
def test_where_pods_call(found: Serving, ports: set[int]) -> None:
    assert called_ports(found) == ports
