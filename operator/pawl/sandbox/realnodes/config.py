"""The configuration files of a real node: containerd, its network plugin, kubelet and kube-proxy. Pure texts."""

from __future__ import annotations

import json

import yaml

from pawl.sandbox.realnodes.nodeplace import NodePlace

PAUSE = "pawl/pause:1"
"""Repository and tag of the image that holds a Pod's namespaces, in the sandbox's registry."""
CNI_BINARIES = "/usr/lib/cni"
LEASE_SECONDS = 20
"""Half of the default, so that a dead node is seen to be dead sooner; see `controlplane.controller_manager`."""


def containerd(node: NodePlace) -> str:
    """The configuration of containerd, for version 1.6 and later 1.x; all paths are those inside the node."""
    return f"""version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.internal.v1.opt"]

[grpc]
address = "/run/containerd/containerd.sock"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{node.sandbox.registry}/{PAUSE}"
# Not every machine lets its root lower a score.
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
max_concurrent_downloads = 5

[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{CNI_BINARIES}"
conf_dir = "/etc/cni/net.d"

[plugins."io.containerd.grpc.v1.cri".registry]
config_path = "/etc/containerd/certs.d"
"""


def network(node: NodePlace) -> str:
    """The Pod network: each Pod a link and a route of its own, so that a Service's answer passes kube-proxy's rules.

    Over a bridge two Pods of one node would answer each other directly, under an address that the other never called.
    """
    address = {
        "type": "host-local",
        "ranges": [[{"subnet": node.network.node_pods(node.number)}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    plugins = [{"type": "ptp", "ipam": address}, {"type": "portmap", "capabilities": {"portMappings": True}}]
    return json.dumps({"cniVersion": "1.0.0", "name": node.network.bridge, "plugins": plugins}, indent=2)


def kubelet(node: NodePlace) -> str:
    """KubeletConfiguration."""
    return yaml.safe_dump(
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": node.address,
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": str(node.sandbox.pki("ca.crt"))},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": str(node.pki(".crt")),
            "tlsPrivateKeyFile": str(node.pki(".key")),
            "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": "/" + node.groups.child("pods").path,
            "failCgroupV1": False,
            "failSwapOn": False,
            "clusterDomain": "cluster.local",
            "clusterDNS": [node.network.dns],
            "resolvConf": "",
            "nodeLeaseDurationSeconds": LEASE_SECONDS,
            "nodeStatusUpdateFrequency": "5s",
            "volumePluginDir": "/var/lib/kubelet/volumeplugins",
            "oomScoreAdj": 0,
            "registryPullQPS": 0,
            "eventRecordQPS": 0,
            "serializeImagePulls": False,
            # The disk is shared with all else on the machine: how full it is says nothing about the node.
            "imageGCHighThresholdPercent": 100,
            "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        },
        sort_keys=False,
    )


def kube_proxy(node: NodePlace) -> str:
    """KubeProxyConfiguration. What comes from outside the Pods' range is masqueraded: answers must come back."""
    return yaml.safe_dump(
        {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "nftables",
            "hostnameOverride": node.name,
            "clientConnection": {"kubeconfig": str(node.sandbox.pki("kube-proxy.kubeconfig"))},
            "clusterCIDR": node.network.pods,
            "detectLocalMode": "ClusterCIDR",
            "healthzBindAddress": "127.0.0.1:10256",
            "metricsBindAddress": "127.0.0.1:10249",
            "oomScoreAdj": 0,
            # A namespace may not change how many connections the machine tracks.
            "conntrack": {"maxPerCore": 0, "min": 0},
        },
        sort_keys=False,
    )


def hosts(host: str, ca: str | None, *, plain_http: bool) -> str:
    """`hosts.toml` for one registry; `ca` is the path, inside the node, of the authority that signed it."""
    url = f"{'http' if plain_http else 'https'}://{host}"
    lines = [f'server = "{url}"', "", f'[host."{url}"]', 'capabilities = ["pull", "resolve"]']
    return "\n".join([*lines, *([f'ca = "{ca}"'] if ca else [])]) + "\n"
