"""Configurations and command lines of the node: containerd, kubelet, kube-proxy, scheduler, registry, Docker Engine.

Pure: values in, texts out. The cgroupfs driver everywhere, on systemd machines too: our cgroups are a tree of our own,
and nothing of ours must outlive `down` in the machine's service manager.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster import layout
from cluster.layout import CGROUP, NODE_ADDRESS, NODE_NAME, Paths
from cluster.plane import Plane

Json = dict[str, object]


@dataclass(frozen=True)
class Machine:
    """What differs between machines."""

    cni_plugins: Path
    mtu: int
    may_lower_oom_score: bool
    """CAP_SYS_RESOURCE. Without it a negative oom_score_adj fails, and with it every pod sandbox."""


def containerd_config(paths: Paths, machine: Machine, pause_image: str) -> str:
    """Version 2 of the format, read by containerd 1.6 to 2. The network namespaces are kept below our own folder."""
    cri = '[plugins."io.containerd.grpc.v1.cri"'
    return f"""version = 2
root = {json.dumps(str(paths.state / "containerd"))}
state = {json.dumps(str(paths.run / "containerd"))}

[grpc]
  address = {json.dumps(str(paths.containerd_socket))}

[plugins."io.containerd.internal.v1.opt"]
  path = {json.dumps(str(paths.state / "containerd-opt"))}

{cri}]
  sandbox_image = {json.dumps(pause_image)}
  netns_mounts_under_state_dir = true
  restrict_oom_score_adj = {json.dumps(not machine.may_lower_oom_score)}
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  max_concurrent_downloads = 3

{cri}.cni]
  bin_dir = {json.dumps(str(machine.cni_plugins))}
  conf_dir = {json.dumps(str(paths.config / "cni"))}

{cri}.registry]
  config_path = {json.dumps(str(paths.config / "registries"))}

{cri}.containerd]
  snapshotter = "overlayfs"
  default_runtime_name = "runc"

{cri}.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

{cri}.containerd.runtimes.runc.options]
  SystemdCgroup = false
  Root = {json.dumps(str(paths.run / "runc"))}
"""


def registry_hosts() -> str:
    """How containerd reaches the registry: over plain http, which it would else refuse."""
    url = f"http://{layout.REGISTRY}"
    return f'server = "{url}"\n\n[host."{url}"]\n  capabilities = ["pull", "resolve"]\n'


def cni_config(paths: Paths, machine: Machine) -> Json:
    """Only the bridge plugin: masquerading is a rule of ours, so that a pod leaves no rule behind. No hostPort."""
    ipam = {
        "type": "host-local",
        "ranges": [[{"subnet": str(layout.POD_NETWORK), "rangeStart": "10.244.0.10", "gateway": NODE_ADDRESS}]],
        "routes": [{"dst": "0.0.0.0/0"}],
        "dataDir": str(paths.state / "cni"),
    }
    bridge = {
        "type": "bridge",
        "bridge": layout.POD_BRIDGE,
        "isGateway": True,
        "ipMasq": False,
        "hairpinMode": True,
        "mtu": machine.mtu,
        "ipam": ipam,
    }
    return {"cniVersion": "0.4.0", "name": "podium", "plugins": [bridge]}


def kubelet_config(paths: Paths, machine: Machine) -> Json:
    """Eviction and image removal come late: the disk is the user's, and full or not it says little about the cluster."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE_ADDRESS,
        "port": layout.KUBELET_PORT,
        "readOnlyPort": 0,
        "healthzBindAddress": "127.0.0.1",
        "healthzPort": layout.KUBELET_HEALTH_PORT,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(paths.pki / "kubernetes-ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(paths.pki / "kubelet.crt"),
        "tlsPrivateKeyFile": str(paths.pki / "kubelet.key"),
        "containerRuntimeEndpoint": f"unix://{paths.containerd_socket}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{CGROUP}",
        "failCgroupV1": False,
        "clusterDNS": [layout.DNS_SERVICE_ADDRESS],
        "clusterDomain": "cluster.local",
        "resolvConf": str(paths.config / "resolv.conf"),
        "failSwapOn": False,
        "maxPods": 250,
        "serializeImagePulls": False,
        "maxParallelImagePulls": 3,
        "oomScoreAdj": -999 if machine.may_lower_oom_score else 0,
        "podLogsDir": str(paths.state / "pod-logs"),
        "volumePluginDir": str(paths.state / "kubelet-plugins"),
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "2%",
            "nodefs.inodesFree": "1%",
            "imagefs.available": "2%",
        },
        "imageGCHighThresholdPercent": 97,
        "imageGCLowThresholdPercent": 95,
    }


def proxy_config(plane: Plane, machine: Machine) -> Json:
    """NodePorts answer on the loopback alone. Zeros: the machine's connection-tracking limits stay the user's."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(plane.kubeconfig("proxy"))},
        "hostnameOverride": NODE_NAME,
        "bindAddress": NODE_ADDRESS,
        "bindAddressHardFail": True,
        "metricsBindAddress": f"127.0.0.1:{layout.PROXY_METRICS_PORT}",
        "healthzBindAddress": f"127.0.0.1:{layout.PROXY_HEALTH_PORT}",
        "mode": "iptables",
        "clusterCIDR": str(layout.POD_NETWORK),
        "nodePortAddresses": ["127.0.0.0/8"],
        "iptables": {"localhostNodePorts": True, "minSyncPeriod": "100ms"},
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        "oomScoreAdj": -999 if machine.may_lower_oom_score else 0,
    }


def docker_config(paths: Paths, machine: Machine, nameservers: Sequence[str]) -> Json:
    """iptables, forwarding and masquerading are off: bridge and rules are ours. A user's own Engine keeps its own."""
    return {
        "hosts": [f"unix://{paths.run / 'docker.sock'}", f"tcp://{NODE_ADDRESS}:{layout.DOCKER_PORT}"],
        "tlsverify": True,
        "tlscacert": str(paths.pki / "docker-ca.crt"),
        "tlscert": str(paths.pki / "docker.crt"),
        "tlskey": str(paths.pki / "docker.key"),
        "data-root": str(paths.state / "docker"),
        "exec-root": str(paths.run / "docker"),
        "pidfile": str(paths.run / "docker.pid"),
        "containerd": str(paths.containerd_socket),
        "containerd-namespace": "podium-docker",
        "containerd-plugins-namespace": "podium-docker-plugins",
        "cgroup-parent": f"/{CGROUP}/docker",
        "exec-opts": ["native.cgroupdriver=cgroupfs"],
        "storage-driver": "overlay2",
        "bridge": layout.BUILD_BRIDGE,
        "mtu": machine.mtu,
        "iptables": False,
        "ip6tables": False,
        "ip-forward": False,
        "ip-masq": False,
        "userland-proxy": False,
        "dns": list(nameservers),
        "insecure-registries": [layout.REGISTRY],
        "oom-score-adjust": -500 if machine.may_lower_oom_score else 0,
        "live-restore": False,
    }


def registry_config(paths: Paths) -> Json:
    return {
        "version": 0.1,
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {
            "filesystem": {"rootdirectory": str(paths.state / "registry")},
            "delete": {"enabled": True},
            "cache": {"blobdescriptor": "inmemory"},
        },
        "http": {"addr": layout.REGISTRY},
    }


def kubelet_command(paths: Paths, plane: Plane) -> list[str]:
    return [
        str(plane.binaries / "kubelet"),
        f"--config={paths.config / 'kubelet.json'}",
        f"--kubeconfig={plane.kubeconfig('kubelet-client')}",
        f"--root-dir={paths.state / 'kubelet'}",
        f"--cert-dir={paths.pki}",
        f"--hostname-override={NODE_NAME}",
        f"--node-ip={NODE_ADDRESS}",
    ]


def scheduler_command(plane: Plane) -> list[str]:
    config = plane.kubeconfig("scheduler")
    return [
        str(plane.binaries / "kube-scheduler"),
        f"--kubeconfig={config}",
        f"--authentication-kubeconfig={config}",
        f"--authorization-kubeconfig={config}",
        "--bind-address=127.0.0.1",
        f"--secure-port={layout.SCHEDULER_PORT}",
        "--leader-elect=false",
        "--kube-api-qps=100",
        "--kube-api-burst=200",
    ]
