"""The rights that docs/rbac.md lists are enough, and none is too many: the operator works with exactly these, is refused
nothing, and uses each."""

import re
from contextlib import suppress
from functools import partial
from pathlib import Path

import yaml

from operator_installation_fixtures import PASSED, REPOSITORY, Installation, Manifest
from podium_operator.kinds import KINDS
from podium_operator.runtime.watch import WATCHED

_RBAC = "rbac.authorization.k8s.io"


def rules(section: str) -> list[Manifest]:
    rows = re.findall(r"^\| (\S+) \| ([^|]+) \| ([a-z, ]+) \|", section, re.MULTILINE)
    return [
        {
            "apiGroups": ["" if group == "(core)" else group],
            "resources": [word.strip() for word in resources.split(",")],
            "verbs": [word.strip() for word in verbs.split(",")],
        }
        for group, resources, verbs in rows
        if verbs.strip() != "verbs"
    ]


def grant(installation: Installation) -> None:
    everywhere, own = (REPOSITORY / "docs/rbac.md").read_text().split("## In the operator's namespace")
    subject = {"kind": "ServiceAccount", "name": "operator", "namespace": installation.namespace}
    installation.kubectl.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "operator", "namespace": installation.namespace}}
    )
    for namespace, name, granted in (
        (installation.users, "watched", rules(everywhere)),
        (installation.namespace, "watched", rules(everywhere)),
        (installation.namespace, "own", rules(own.split("## What the operator")[0])),
    ):
        metadata = {"name": name, "namespace": namespace}
        role = {"apiGroup": _RBAC, "kind": "Role", "name": name}
        installation.kubectl.apply(
            {"apiVersion": f"{_RBAC}/v1", "kind": "Role", "metadata": metadata, "rules": granted},
            {
                "apiVersion": f"{_RBAC}/v1",
                "kind": "RoleBinding",
                "metadata": metadata,
                "roleRef": role,
                "subjects": [subject],
            },
        )
        user = f"system:serviceaccount:{installation.namespace}:operator"
        installation.until(f"{name} in {namespace}", partial(installation.kubectl.grants, granted, namespace, user=user))


def kubeconfig_of_the_service_account(installation: Installation) -> Path:
    token = installation.kubectl("-n", installation.namespace, "create", "token", "operator").strip()
    known = yaml.safe_load(installation.kubectl.kubeconfig.read_text())
    user = known["users"][0]
    path = installation.folder / "service-account.kubeconfig"
    path.write_text(yaml.safe_dump({**known, "users": [{"name": user["name"], "user": {"token": token}}]}))
    return path


def test_the_documented_rights_are_enough_for_a_version_and_a_deployment(installation: Installation) -> None:
    grant(installation)
    operator = installation.start_operator("operator", kubeconfig_of_the_service_account(installation))
    installation.leading(operator)
    installation.version("churn-3")
    installation.end_verification("churn-3", PASSED)
    installation.until("churn-3 verified", lambda: installation.ready("churn-3") == ("True", "Verified"))
    installation.kubectl.apply(
        {
            "apiVersion": "podium.dev/v1alpha1",
            "kind": "ModelDeployment",
            "metadata": {"name": "churn", "namespace": installation.users},
            "spec": {
                "champion": {"modelVersionRef": {"name": "churn-3"}},
                "serving": {"autoscaling": {"minReplicas": 1, "maxReplicas": 2}},
            },
        }
    )
    children = (
        "deployments",
        "services",
        "configmaps",
        "horizontalpodautoscalers",
        "poddisruptionbudgets",
        "networkpolicies",
    )
    for kind in children:
        installation.until(
            kind, partial(installation.kubectl.items, installation.users, kind, "podium.dev/deployment=churn")
        )
    churn = ("-n", installation.users, "patch", "modeldeployment", "churn", "--type=json", "-p")
    installation.kubectl(*churn, '[{"op": "remove", "path": "/spec/serving/autoscaling"}]')
    installation.until(
        "no autoscaler", lambda: not installation.kubectl.items(installation.users, "horizontalpodautoscalers")
    )
    everywhere, own = (REPOSITORY / "docs/rbac.md").read_text().split("## In the operator's namespace")
    granted = verbs_of(rules(everywhere)) | verbs_of(rules(own.split("## What the")[0]))

    def used() -> set[tuple[str, str]]:
        watched = {(KINDS[kind].plural, "watch") for kind in WATCHED}
        return used_of(installation.page(operator, "/metrics")) | watched

    with suppress(AssertionError):  # it counts an answer after the API server gave it; the line below says what is missing
        installation.until("a use of each right", lambda: granted - used() == set(ELSEWHERE), 60)
    assert granted - used() == set(ELSEWHERE), "a right that nothing uses, or one that is used now"
    assert used() - granted == set()
    page = installation.page(operator, "/metrics")
    assert [line for line in page.splitlines() if 'code="403"' in line] == []
    assert "forbidden" not in operator.tail(1000).lower()


ELSEWHERE = {
    ("deployments", "delete"): "pools that are drained",
    ("services", "delete"): "of pools that are drained",
    ("configmaps", "delete"): "records of challengers that are gone",
    ("configmaps", "patch"): "records of challengers",
    ("configmaps", "update"): "the record of a swap, by compare and swap",
    ("pods", "delete"): "one that is at fault in a swap",
    ("jobs", "delete"): "attempts that are out of date",
    ("events", "patch"): "what happens again",
}
"""What another story uses: tests/integration/deployments and test_versions walk through these."""


def verbs_of(granted: list[Manifest]) -> set[tuple[str, str]]:
    return {(resource, verb) for rule in granted for resource in rule["resources"] for verb in rule["verbs"]}


def used_of(page: str) -> set[tuple[str, str]]:
    """What the operator has asked the API server for, by its own count of requests that were answered."""
    asked = re.findall(r'^podium_operator_requests_total\{code="(\d+)",kind="(\w+)",verb="([\w-]+)"\} ', page, re.MULTILINE)
    found = set()
    for code, kind, verb in asked:
        resource = KINDS[kind].plural
        if verb == "apply-status":
            found.add((f"{resource}/status", "patch"))
        else:
            found.add((resource, {"replace": "update", "apply": "patch"}.get(verb, verb)))
        if verb == "apply" and code == "201":
            found.add((resource, "create"))
    return found
