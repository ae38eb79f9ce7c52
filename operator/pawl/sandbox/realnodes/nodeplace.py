"""Names of one real node: its Node object, its directories, its place on the network. Pure.

A node sees its own files under the paths that a machine of its own would have (`MOUNTS`), so hostPath volumes and tools
meet what they expect; on this machine they lie below the sandbox's directory, sockets below `/run` as their paths must
be short.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pawl.sandbox.place import Place
from pawl.sandbox.realnodes.cgroups import Groups
from pawl.sandbox.realnodes.network import Network

RUN = Path("/run/pawl")
KERNEL: Mapping[str, str] = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}
"""Settings that kubelet would change for the whole machine: a node gets files that already say what kubelet wants."""


@dataclass(frozen=True)
class NodePlace:
    """Where node `number` of a sandbox lives."""

    sandbox: Place
    network: Network
    number: int

    @property
    def name(self) -> str:
        """Name of the Node object."""
        return node_name(self.sandbox.name, self.number)

    @property
    def role(self) -> str:
        """What the roles of its processes begin with."""
        return f"node-{self.number}"

    @property
    def address(self) -> str:
        """The node's address."""
        return self.network.address(self.number)

    @property
    def directory(self) -> Path:
        """Its files."""
        return self.sandbox.directory / "nodes" / str(self.number)

    @property
    def run(self) -> Path:
        """Its sockets; `/run/containerd` inside."""
        return run_directory(self.network) / str(self.number)

    @property
    def socket(self) -> Path:
        """The socket of containerd, as seen from the machine."""
        return self.run / "containerd.sock"

    @property
    def certs(self) -> Path:
        """`/etc/containerd/certs.d` of the node, as seen from the machine."""
        return self.directory / "etc-containerd" / "certs.d"

    @property
    def groups(self) -> Groups:
        """Its cgroups."""
        return groups(self.network).child(str(self.number))

    @property
    def mounts(self) -> Mapping[Path, Path]:
        """What lies over which path inside the node: {path in the node: path on this machine}."""
        own = self.directory
        return {
            Path("/run/containerd"): self.run,
            Path("/etc/containerd"): own / "etc-containerd",
            Path("/etc/cni"): own / "etc-cni",
            Path("/var/lib/cni"): own / "cni",
            Path("/var/lib/containerd"): own / "containerd",
            Path("/var/lib/kubelet"): own / "kubelet",
            Path("/var/log/containers"): own / "log-containers",
            Path("/var/log/pods"): own / "log-pods",
        }

    @property
    def kernel(self) -> Mapping[Path, Path]:
        """Files of `KERNEL`: {path in the node: path on this machine}."""
        return {Path("/proc/sys") / key: self.directory / "kernel" / key.replace("/", ".") for key in KERNEL}

    def pki(self, suffix: str) -> Path:
        """One of the node's certificates, keys or kubeconfigs."""
        return self.sandbox.pki(f"{self.role}{suffix}")


def node_name(sandbox: str, number: int) -> str:
    """Name of the Node object `number` of `sandbox`."""
    return f"{sandbox}-node-{number}"


def groups(network: Network) -> Groups:
    """The cgroups of all nodes of a sandbox."""
    return Groups(network.bridge)


def run_directory(network: Network) -> Path:
    """The directory of all nodes' sockets."""
    return RUN / network.key
