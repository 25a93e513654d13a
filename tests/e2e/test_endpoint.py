"""An endpoint as its callers reach it: by the public Service's address, over TLS, with a key, by HTTP and by gRPC."""

import asyncio
import json
import ssl
import urllib.error
import urllib.request
from typing import Any

import pytest

from harness.questions import TIMEOUT_MILLISECONDS, question
from harness.rpc import infer, sum_request
from harness.site import Model, Site
from security_fixtures import make_certificate

pytestmark = pytest.mark.e2e

KEY = "loan-desk-0123456789abcdef"
SECURED = {
    "replicas": 2,
    "workers": 2,
    "timeoutMilliseconds": TIMEOUT_MILLISECONDS,
    "tls": {"secretRef": {"name": "demo-tls"}},
    "authentication": {"type": "ApiKey", "apiKey": {"secretRef": {"name": "demo-callers"}}},
    "template": {"resources": {"requests": {"cpu": "50m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}}},
}


def service_address(site: Site) -> str:
    """kube-proxy makes it reachable from the node."""
    spec = site.kubectl.get("service", "demo")
    assert spec is not None
    return str(spec["spec"]["clusterIP"])


def secret(name: str, kind: str, files: dict[str, str]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": kind, "stringData": files}


def test_grpc_answers_at_the_service_and_its_pods_run_compiled(site: Site, models: dict[str, Model]) -> None:
    site.versions(models["sum-1"])
    site.deploy(models["sum-1"])
    status = site.serving(models["sum-1"])
    assert status["endpoint"]["grpc"] == f"demo.{site.namespace}.svc:9000"
    version, score = asyncio.run(infer(f"{service_address(site)}:9000", sum_request(1.0, 2.0)))
    assert (version, score) == ("sum-1", 3.0)
    with urllib.request.urlopen(f"http://{service_address(site)}/metrics", timeout=60) as answer:
        assert 'podium_build_info{compiled="true",' in answer.read().decode()


def test_a_secured_endpoint_is_waited_for_until_its_secrets_are_there_and_then_asks_for_a_key(
    site: Site, models: dict[str, Model]
) -> None:
    certificate = make_certificate()
    site.versions(models["sum-1"])
    site.deploy(models["sum-1"], serving=SECURED)

    def lacks_secrets() -> bool:
        found = site.kubectl.get("mdep", "demo")
        return found is not None and found.get("status", {}).get("reason") == "SecretNotFound"

    site.wait("the missing Secret is said", lacks_secrets, 180)
    files = {name: content.decode() for name, content in certificate.files.items()}
    site.kubectl.apply(secret("demo-tls", "kubernetes.io/tls", files), secret("demo-callers", "Opaque", {"loan-desk": KEY}))
    status = site.serving(models["sum-1"])
    assert status["endpoint"]["url"] == f"https://demo.{site.namespace}.svc/v2/models/demo/infer"
    address = service_address(site)
    trust = certificate.client(check_hostname=False)
    assert ask(address, trust, KEY) == (200, [3.0])
    assert ask(address, trust, "")[0] == 401
    rpc = infer(f"{address}:9000", sum_request(1.0, 2.0), certificate=certificate, key=KEY)
    assert asyncio.run(rpc) == ("sum-1", 3.0)


def ask(address: str, trust: ssl.SSLContext, key: str) -> tuple[int, list[float]]:
    request = urllib.request.Request(
        f"https://{address}/v2/models/demo/infer",
        data=question().body,
        headers={"Content-Type": "application/json", "X-Api-Key": key},
    )
    try:
        with urllib.request.urlopen(request, context=trust, timeout=60) as answer:
            return answer.status, json.load(answer)["outputs"][0]["data"]
    except urllib.error.HTTPError as refused:
        return refused.code, []
