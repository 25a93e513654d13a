"""The rights that docs/rbac.md lists are enough: the operator works with exactly these, and is refused nothing."""

import re
from functools import partial
from pathlib import Path

import yaml

from operator_installation_fixtures import PASSED, REPOSITORY, Installation, Manifest

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
    page = installation.page(operator, "/metrics")
    assert [line for line in page.splitlines() if 'code="403"' in line] == []
    assert "forbidden" not in operator.tail(1000).lower()
