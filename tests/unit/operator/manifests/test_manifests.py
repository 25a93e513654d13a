"""What the children look like. Names, labels and ports are spelled out: a wrong constant must fail here."""

import base64
import re
from typing import Any

import pytest

from deployment_fixtures import IMAGE, OWNER
from podium_crds.capture import capture_token, label_token
from podium_crds.v1alpha1.model_deployment import Autoscaling, PodTemplate, Serving
from podium_operator.kinds import Manifest
from podium_operator.manifests.autoscaler import autoscaler
from podium_operator.manifests.disruption import disruption_budget
from podium_operator.manifests.identity import Pool, challenger_pool, champion_pool_id
from podium_operator.manifests.network import network_policy, registry_port
from podium_operator.manifests.pods import Plant, Surroundings, pool_deployment
from podium_operator.manifests.secret import labels_secret, serving_secret
from podium_operator.manifests.services import forward_host, forward_service, peers_service, public_service

CHAMPION = Pool(id="abcdef", image=IMAGE)
NEURAL_NET = Pool(id="ghijkl", image=IMAGE, challenger="neural-net")
SURROUNDINGS = Surroundings(("key-1", "key-2"), ("registry.test:5000",))


def deployment(template: dict[str, Any] | None = None, replicas: int | None = 3, pool: Pool = CHAMPION) -> Manifest:
    plant = Plant(Serving(), PodTemplate.model_validate(template or {}), SURROUNDINGS)
    return pool_deployment(OWNER, pool, plant, replicas)


def pod_spec(manifest: Manifest) -> Manifest:
    found: Manifest = manifest["spec"]["template"]["spec"]
    return found


def environment(manifest: Manifest) -> dict[str, Any]:
    return {item["name"]: item.get("value", item.get("valueFrom")) for item in pod_spec(manifest)["containers"][0]["env"]}


CHILDREN = [
    deployment(),
    public_service(OWNER, "abcdef", tls=False),
    peers_service(OWNER, CHAMPION),
    forward_service(OWNER, CHAMPION),
    disruption_budget(OWNER),
    network_policy(OWNER, "podium-system", [5000], ""),
    autoscaler(OWNER, CHAMPION, Autoscaling(max_replicas=5)),
    serving_secret(OWNER, b"root", b"key", {}),
    labels_secret(OWNER, b"key", "http://podium-monitor.podium.svc:8090/v1/events"),
]


@pytest.mark.parametrize("child", [pytest.param(child, id=child["kind"] + child["metadata"]["name"]) for child in CHILDREN])
def test_every_child_is_owned_and_labelled(child: Manifest) -> None:
    metadata = child["metadata"]
    assert metadata["namespace"] == "retention"
    assert metadata["labels"]["app.kubernetes.io/managed-by"] == "podium"
    assert metadata["labels"]["podium.dev/deployment"] == "churn"
    (owner,) = metadata["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"]) == ("ModelDeployment", "churn", OWNER.uid)
    assert owner["controller"] is True
    assert len(metadata["name"]) <= 63


def test_scoring_pods_pass_pod_security_restricted() -> None:
    pod = pod_spec(deployment())
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 65532
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")} == {
        "/var/lib/podium",
        "/tmp",
    }
    assert not any("hostPath" in volume for volume in pod["volumes"])


def test_a_rollout_of_the_template_takes_no_pod_away_before_its_successor_is_ready() -> None:
    manifest = deployment()
    assert manifest["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert pod_spec(manifest)["terminationGracePeriodSeconds"] == 45
    probe = pod_spec(manifest)["containers"][0]["readinessProbe"]
    assert probe["periodSeconds"] == 1
    assert probe["httpGet"] == {"path": "/v2/health/ready", "port": "http", "scheme": "HTTP"}


def test_the_pod_template_names_no_version_so_that_a_swap_rolls_no_pod() -> None:
    assert "podium.dev/model-version" not in str(deployment()["spec"])


def test_the_environment_is_the_one_that_serving_reads() -> None:
    found = environment(deployment({"env": [{"name": "OMP_NUM_THREADS", "value": "1"}]}))
    assert found["OMP_NUM_THREADS"] == "1"
    assert found["PODIUM_PUBLIC_KEYS"] == "key-1,key-2"
    assert found["PODIUM_INSECURE_REGISTRIES"] == "registry.test:5000"
    assert (found["PODIUM_ROLE"], found["PODIUM_POOL"]) == ("champion", "abcdef")
    assert re.fullmatch(r"churn-peers-[a-z2-7]{6}\.retention\.svc", found["PODIUM_PEERS_HOST"])
    assert found["PODIUM_POD_IP"] == {"fieldRef": {"fieldPath": "status.podIP"}}
    assert "PODIUM_MEMORY_LIMIT_BYTES" not in found


def test_limits_reach_the_pod_only_where_there_are_any() -> None:
    found = environment(deployment({"resources": {"limits": {"memory": "1Gi", "cpu": "2"}}}))
    assert found["PODIUM_MEMORY_LIMIT_BYTES"]["resourceFieldRef"]["resource"] == "limits.memory"
    assert found["PODIUM_CPU_LIMIT"]["resourceFieldRef"]["resource"] == "limits.cpu"


def test_an_autoscaled_pool_names_no_count_and_has_a_cpu_request() -> None:
    manifest = deployment(replicas=None)
    assert "replicas" not in manifest["spec"]
    assert pod_spec(manifest)["containers"][0]["resources"] == {"requests": {"cpu": "250m"}}
    given = deployment({"resources": {"limits": {"cpu": "1"}}}, replicas=None)
    assert pod_spec(given)["containers"][0]["resources"] == {"limits": {"cpu": "1"}}


def test_the_users_part_of_the_template_arrives() -> None:
    pod = pod_spec(
        deployment(
            {
                "nodeSelector": {"disk": "fast"},
                "tolerations": [{"key": "gpu", "operator": "Exists"}],
                "imagePullSecrets": [{"name": "pull"}],
            }
        )
    )
    assert pod["nodeSelector"] == {"disk": "fast"}
    assert pod["tolerations"] == [{"key": "gpu", "operator": "Exists"}]
    assert pod["imagePullSecrets"] == [{"name": "pull"}]


def test_the_public_service_leads_to_one_champion_pool() -> None:
    manifest = public_service(OWNER, "abcdef", tls=False)
    assert manifest["metadata"]["name"] == "churn"
    assert manifest["spec"]["selector"] == {
        "podium.dev/deployment": "churn",
        "podium.dev/role": "champion",
        "podium.dev/pool": "abcdef",
    }
    assert manifest["spec"]["ports"] == [
        {"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"},
        {"name": "grpc", "port": 9000, "targetPort": 9000, "protocol": "TCP", "appProtocol": "kubernetes.io/h2c"},
    ]


def test_with_tls_the_public_service_is_at_the_port_of_https() -> None:
    assert public_service(OWNER, "abcdef", tls=True)["spec"]["ports"] == [
        {"name": "https", "port": 443, "targetPort": 8080, "protocol": "TCP", "appProtocol": "https"},
        {"name": "grpc", "port": 9000, "targetPort": 9000, "protocol": "TCP", "appProtocol": "https"},
    ]


def test_peers_are_all_champion_pods_unready_ones_too() -> None:
    manifest = peers_service(OWNER, CHAMPION)
    assert manifest["spec"]["clusterIP"] == "None"
    assert manifest["spec"]["publishNotReadyAddresses"] is True
    assert manifest["spec"]["selector"] == {"podium.dev/deployment": "churn", "podium.dev/role": "champion"}
    assert manifest["spec"]["ports"][0]["port"] == 8081


def test_a_challengers_pods_are_peers_among_themselves() -> None:
    manifest = peers_service(OWNER, NEURAL_NET)
    assert re.fullmatch(r"churn-neural-net-ghijkl-peers-[a-z2-7]{6}", manifest["metadata"]["name"])
    assert manifest["spec"]["selector"] == {
        "podium.dev/deployment": "churn",
        "podium.dev/role": "challenger",
        "podium.dev/pool": "ghijkl",
        "podium.dev/challenger": "neural-net",
    }


def test_the_plan_names_the_host_of_the_forward_service() -> None:
    for pool in (CHAMPION, NEURAL_NET):
        service = forward_service(OWNER, pool)
        assert forward_host(OWNER, pool) == f"{service['metadata']['name']}.retention.svc"
        assert service["spec"]["ports"] == [{"name": "forward", "port": 8082, "targetPort": 8082, "protocol": "TCP"}]
        assert service["metadata"]["labels"]["podium.dev/pool"] == pool.id


def test_a_pool_id_is_stable_for_a_wish_and_differs_from_the_pool_in_use() -> None:
    first = champion_pool_id(IMAGE, "sha256:1", "")
    assert first == champion_pool_id(IMAGE, "sha256:1", "")
    assert champion_pool_id(IMAGE, "sha256:1", first) != first
    assert challenger_pool("a", IMAGE, "sha256:1") != challenger_pool("b", IMAGE, "sha256:1")


def test_the_serving_secret_comes_back_as_it_was() -> None:
    first = serving_secret(OWNER, b"root", b"key", {})["data"]
    assert serving_secret(OWNER, b"root", b"key", {})["data"] == first
    assert len(base64.b64decode(first["salt"])) == 32
    assert len(base64.b64decode(first["token"])) >= 43
    assert first["salt"] != serving_secret(OWNER, b"other", b"key", {})["data"]["salt"]


def test_a_standing_salt_and_token_are_never_changed() -> None:
    live = {"salt": "c2FsdA==", "token": "dG9rZW4="}
    data = serving_secret(OWNER, b"root", b"key", live)["data"]
    assert (data["salt"], data["token"]) == ("c2FsdA==", "dG9rZW4=")
    assert (
        base64.b64decode(data["capture-token"])
        == capture_token(b"key", f"{OWNER.namespace}/{OWNER.name}/{OWNER.uid}").encode()
    )


def test_the_secret_for_labels_opens_labels_and_nothing_else() -> None:
    secret = labels_secret(OWNER, b"key", "http://podium-monitor.podium.svc:8090/v1/events")
    source = f"{OWNER.namespace}/{OWNER.name}/{OWNER.uid}"
    assert secret["metadata"]["name"].startswith("churn-labels-")
    assert {name: base64.b64decode(value).decode() for name, value in secret["data"].items()} == {
        "token": label_token(b"key", source),
        "url": "http://podium-monitor.podium.svc:8090/v1/labels",
    }
    assert capture_token(b"key", source) not in label_token(b"key", source)


def test_the_network_policy_lets_only_the_operator_and_own_pods_to_the_control_port() -> None:
    policy = network_policy(OWNER, "podium-system", [5000], "http://podium-monitor.podium:8090/v1/events")["spec"]
    by_port = {port["port"]: rule.get("from") for rule in policy["ingress"] for port in rule["ports"]}
    own = {"podSelector": {"matchLabels": {"podium.dev/deployment": "churn"}}}
    operator = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "podium-system"}}}
    assert by_port == {8080: None, 9000: None, 8081: [operator, own], 8082: [own]}
    egress = [[port["port"] for port in rule["ports"]] for rule in policy["egress"]]
    assert egress == [[53, 53], [8081, 8082], [443, 5000], [8090]]


@pytest.mark.parametrize(
    ("uri", "port"),
    [("oci://registry.test/models/churn:3", 443), ("oci://10.0.0.1:5000/models/churn", 5000)],
)
def test_a_registrys_port(uri: str, port: int) -> None:
    assert registry_port(uri) == port


def test_the_autoscaler_targets_the_pool() -> None:
    found = autoscaler(OWNER, CHAMPION, Autoscaling(min_replicas=2, max_replicas=5, cpu_percent=60))["spec"]
    assert found["scaleTargetRef"]["name"] == deployment()["metadata"]["name"]
    assert (found["minReplicas"], found["maxReplicas"]) == (2, 5)
    assert found["metrics"][0]["resource"]["target"]["averageUtilization"] == 60


def test_a_drain_takes_one_champion_pod_at_a_time() -> None:
    assert disruption_budget(OWNER)["spec"]["maxUnavailable"] == 1
