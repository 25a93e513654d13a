"""The manifests of CoreDNS and metrics-server. Pure: image references in, manifests out.

Both pass Pod Security "restricted"; CoreDNS listens on 1053 so that it needs no capability, and its Service says 53.
"""

from cluster.layout import DNS_SERVICE_ADDRESS

Manifest = dict[str, object]

COREFILE = """.:1053 {
    errors
    health :8080
    ready :8181
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        pods insecure
        ttl 5
    }
    prometheus :9153
    UPSTREAM
    cache 30
    reload
}
"""


def corefile(has_upstream: bool) -> str:
    """On a machine without any resolver only the cluster's own names are answered."""
    return COREFILE.replace("UPSTREAM", "forward . /etc/resolv.conf" if has_upstream else "# the machine has no resolver")


def metadata(name: str, namespaced: bool = True) -> Manifest:
    found: Manifest = {"name": name, "labels": {"app.kubernetes.io/part-of": "podium-cluster"}}
    return found | ({"namespace": "kube-system"} if namespaced else {})


def container(name: str, image: str, arguments: list[str], mounts: dict[str, str], memory: str) -> Manifest:
    return {
        "name": name,
        "image": image,
        "args": arguments,
        "resources": {"requests": {"cpu": "50m", "memory": memory}, "limits": {"memory": "256Mi"}},
        "volumeMounts": [{"name": volume, "mountPath": path} for volume, path in mounts.items()],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }


def deployment(name: str, body: Manifest, volumes: list[Manifest], dns_policy: str) -> Manifest:
    labels = {"app.kubernetes.io/name": name}
    pod = {
        "serviceAccountName": name,
        "priorityClassName": "system-cluster-critical",
        "dnsPolicy": dns_policy,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "runAsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [body],
        "volumes": volumes,
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(name),
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def service(name: str, selected: str, ports: list[Manifest], address: str | None = None) -> Manifest:
    spec: Manifest = {"selector": {"app.kubernetes.io/name": selected}, "ports": ports}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(name),
        "spec": spec | ({"clusterIP": address} if address else {}),
    }


def service_account(name: str) -> Manifest:
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata(name)}


def cluster_role(name: str, rules: list[Manifest]) -> Manifest:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": metadata(name, namespaced=False),
        "rules": rules,
    }


def binding(name: str, role: str, account: str) -> Manifest:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": metadata(name, namespaced=False),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": "kube-system"}],
    }


def probe(path: str, port: int, scheme: str = "HTTP") -> Manifest:
    return {"httpGet": {"path": path, "port": port, "scheme": scheme}, "periodSeconds": 1, "failureThreshold": 5}


def coredns(image: str, has_upstream: bool) -> list[Manifest]:
    body = container("coredns", image, ["-conf", "/etc/coredns/Corefile"], {"config": "/etc/coredns"}, "32Mi")
    body |= {"readinessProbe": probe("/ready", 8181), "livenessProbe": probe("/health", 8080) | {"periodSeconds": 10}}
    list_and_watch = ["list", "watch"]
    rules: list[Manifest] = [
        {"apiGroups": [""], "resources": ["services", "pods", "namespaces"], "verbs": list_and_watch},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": list_and_watch},
    ]
    ports: list[Manifest] = [
        {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 1053},
        {"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": 1053},
    ]
    return [
        service_account("coredns"),
        cluster_role("podium:coredns", rules),
        binding("podium:coredns", "podium:coredns", "coredns"),
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": metadata("coredns"),
            "data": {"Corefile": corefile(has_upstream)},
        },
        deployment("coredns", body, [{"name": "config", "configMap": {"name": "coredns"}}], "Default"),
        service("kube-dns", "coredns", ports, DNS_SERVICE_ADDRESS),
    ]


def metrics_server(image: str) -> list[Manifest]:
    """The kubelet's certificate is checked: it comes from the authority that every namespace has in kube-root-ca.crt."""
    arguments = [
        "--secure-port=10251",
        "--cert-dir=/tmp",
        "--kubelet-preferred-address-types=InternalIP",
        "--kubelet-use-node-status-port",
        "--kubelet-certificate-authority=/etc/kubelet-ca/ca.crt",
        "--metric-resolution=10s",
        "--kubelet-request-timeout=5s",
    ]
    body = container("metrics-server", image, arguments, {"tmp": "/tmp", "kubelet-ca": "/etc/kubelet-ca"}, "64Mi")
    body |= {
        "readinessProbe": probe("/readyz", 10251, "HTTPS"),
        "livenessProbe": probe("/livez", 10251, "HTTPS") | {"periodSeconds": 10},
    }
    volumes: list[Manifest] = [
        {"name": "tmp", "emptyDir": {}},
        {"name": "kubelet-ca", "configMap": {"name": "kube-root-ca.crt"}},
    ]
    reading: list[Manifest] = [
        {"apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["pods", "nodes"], "verbs": ["get", "list", "watch"]},
    ]
    return [
        service_account("metrics-server"),
        cluster_role("podium:metrics-server", reading),
        binding("podium:metrics-server", "podium:metrics-server", "metrics-server"),
        binding("podium:metrics-server:authentication", "system:auth-delegator", "metrics-server"),
        authentication_reader(),
        deployment("metrics-server", body, volumes, "ClusterFirst"),
        service("metrics-server", "metrics-server", [{"name": "https", "port": 443, "targetPort": 10251}]),
        metrics_api(),
        metrics_reader(),
    ]


def authentication_reader() -> Manifest:
    """metrics-server learns from this ConfigMap whose word it may take for who is asking."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": metadata("metrics-server-authentication-reader"),
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "Role",
            "name": "extension-apiserver-authentication-reader",
        },
        "subjects": [{"kind": "ServiceAccount", "name": "metrics-server", "namespace": "kube-system"}],
    }


def metrics_api() -> Manifest:
    """metrics-server makes its own serving certificate at each start, so the API server has none to check it against."""
    return {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": metadata("v1beta1.metrics.k8s.io", namespaced=False),
        "spec": {
            "group": "metrics.k8s.io",
            "version": "v1beta1",
            "service": {"name": "metrics-server", "namespace": "kube-system"},
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "insecureSkipTLSVerify": True,
        },
    }


def metrics_reader() -> Manifest:
    """`kubectl top` for whoever may view: kubectl's own roles gather it by label."""
    role = cluster_role(
        "podium:metrics-reader",
        [{"apiGroups": ["metrics.k8s.io"], "resources": ["pods", "nodes"], "verbs": ["get", "list", "watch"]}],
    )
    labels = {f"rbac.authorization.k8s.io/aggregate-to-{kind}": "true" for kind in ("view", "edit", "admin")}
    return role | {"metadata": {"name": "podium:metrics-reader", "labels": labels}}
