"""Command lines of a real node's processes. Pure.

The holder comes first: it has the node's network and mount namespaces, and all others enter those. Each joins the
node's cgroup before it becomes itself, so that everything it starts is found there.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from pawl.sandbox.build import NodeParts
from pawl.sandbox.processes import Command
from pawl.sandbox.realnodes.cgroups import SYSTEM
from pawl.sandbox.realnodes.network import SYSTEM_PATH
from pawl.sandbox.realnodes.nodeplace import NodePlace

SHELL = "/bin/sh"
PATHS = {"PATH": SYSTEM_PATH}


def enter(pid: int) -> tuple[str, ...]:
    """What to put before a command that is to run inside the node whose holder is `pid`."""
    return ("nsenter", "--target", str(pid), "--net", "--mount", "--")


def holder(node: NodePlace) -> Command:
    """The process that has the node's namespaces; the script that `mount_script` makes ends in it."""
    script = str(node.directory / "enter.sh")
    return _command(node, "holder", "unshare", "--net", "--mount", "--propagation", "private", SHELL, script)


def mount_script(node: NodePlace, parts: NodeParts) -> str:
    """Lays the node's own directories over the machine's, then waits for ever."""
    lines = [f"mount --bind {shlex.quote(str(own))} {path}" for path, own in node.mounts.items()]
    # Not every kernel has each setting.
    lines += [f"test ! -e {path} || mount --bind {shlex.quote(str(own))} {path}" for path, own in node.kernel.items()]
    # Pods may ask for mounts that pass between them and the node; on a private root containerd refuses.
    ends = ["echo 1 > /proc/sys/net/ipv4/ip_forward", f"exec {shlex.quote(str(parts.tool))} pause"]
    return "\n".join(["set -e", "mount --make-rshared /", *lines, *ends]) + "\n"


def containerd(node: NodePlace, pid: int) -> Command:
    """The container runtime."""
    return _command(node, "containerd", *enter(pid), "containerd", "--config", "/etc/containerd/config.toml")


def kubelet(node: NodePlace, parts: NodeParts, pid: int) -> Command:
    """The node's agent."""
    arguments = [
        f"--config={node.directory / 'kubelet.yaml'}",
        f"--kubeconfig={node.pki('.kubeconfig')}",
        f"--hostname-override={node.name}",
        f"--node-ip={node.address}",
        "--v=1",
    ]
    return _command(node, "kubelet", *enter(pid), str(parts.kubelet), *arguments)


def kube_proxy(node: NodePlace, parts: NodeParts, pid: int) -> Command:
    """What turns Service addresses into Pods' addresses on this node."""
    config = f"--config={node.directory / 'kube-proxy.yaml'}"
    return _command(node, "kube-proxy", *enter(pid), str(parts.kube_proxy), config)


def _command(node: NodePlace, part: str, *argv: str) -> Command:
    return Command(f"{node.role}-{part}", (SHELL, "-c", _joining(node, argv)), PATHS)


def _joining(node: NodePlace, argv: Sequence[str]) -> str:
    files = [shlex.quote(str(each / "cgroup.procs")) for each in node.groups.child(SYSTEM).directories()]
    return f"for group in {' '.join(files)}; do echo $$ > $group; done; exec {shlex.join(argv)}"
