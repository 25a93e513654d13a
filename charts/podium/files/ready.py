"""What `helm test` runs: each address given answers 200 within two minutes, and the API server serves our kinds."""

import json
import ssl
import sys
import time
import urllib.request
from pathlib import Path

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
API = "https://kubernetes.default.svc/apis/podium.dev/v1alpha1"
KINDS = {"ModelVersion", "ModelDeployment"}
SECONDS = 120.0


def answered(url: str, deadline: float) -> None:
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - the chart's own addresses
                print(f"{url} answers")
                return
        except OSError as problem:
            if time.monotonic() > deadline:
                sys.exit(f"{url} does not: {problem}")
            time.sleep(1)


def main() -> None:
    deadline = time.monotonic() + SECONDS
    for url in sys.argv[1:]:
        answered(url, deadline)
    request = urllib.request.Request(API, headers={"Authorization": f"Bearer {(ACCOUNT / 'token').read_text()}"})
    trusted = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    with urllib.request.urlopen(request, timeout=10, context=trusted) as answer:  # noqa: S310
        served = {resource["kind"] for resource in json.load(answer)["resources"]}
    if not served >= KINDS:
        sys.exit(f"the API server serves {sorted(served)}, should serve {sorted(KINDS)}")
    print(f"the API server serves {sorted(KINDS)}")


main()
