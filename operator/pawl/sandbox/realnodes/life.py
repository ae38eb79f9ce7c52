"""Starts real nodes, one process after the other, and ends them; `launch` and `power` call it and keep the record.

Ending a node is pulling its plug: everything in its cgroup is killed at once, and its namespaces go with the last
process. What stays are its files: a started node finds its images and its Pods again.
"""

from __future__ import annotations

import shutil
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pawl.api.errors import SandboxError
from pawl.sandbox.build import NodeParts
from pawl.sandbox.credentials import NodeIdentity
from pawl.sandbox.files import write_whole
from pawl.sandbox.options import RealNode, Runtime
from pawl.sandbox.place import Place
from pawl.sandbox.processes import Command, Process, is_alive, stop
from pawl.sandbox.realnodes import cgroups, config, daemons, network
from pawl.sandbox.realnodes.network import Network
from pawl.sandbox.realnodes.nodeplace import KERNEL, NodePlace, groups, run_directory

Begin = Callable[[Command], Process]
DEADLINE = 30.0
POLL = 0.02
SERVING = "Start streaming server"
"""The last words of containerd before its interface for the kubelet is ready."""


@dataclass(frozen=True)
class Nodes:
    """All real nodes of one sandbox. `begin` starts a process and records it."""

    place: Place
    network: Network
    parts: NodeParts
    runtime: Runtime

    def all(self) -> list[NodePlace]:
        """Every node, also a stopped one."""
        return [self.node(number) for number in self.network.numbers]

    def node(self, number: int) -> NodePlace:
        """One node."""
        return NodePlace(self.place, self.network, number)

    def identities(self) -> list[NodeIdentity]:
        """Who needs certificates."""
        return [NodeIdentity(node.role, node.name, node.address) for node in self.all()]

    def make_network(self) -> None:
        """The bridge with the machine's address, on which API server and registry listen."""
        network.run_ip(network.host_lines(self.network), self.place.directory / "nodes" / "host.ip", self.runtime)

    def start(self, number: int, begin: Begin) -> None:
        """Start one node. Raises SandboxError."""
        node = self.node(number)
        _prepare(node, self.parts)
        holder, tool = begin(daemons.holder(node)), self.parts.tool.resolve()
        pid = holder.pid
        _wait_for(node, holder, lambda: Path(f"/proc/{pid}/exe").resolve() == tool)
        network.run_ip(network.link_lines(self.network, number, pid), node.directory / "link.ip", self.runtime)
        inside = network.node_lines(self.network, number)
        network.run_ip(inside, node.directory / "inside.ip", self.runtime, daemons.enter(pid))
        containerd = begin(daemons.containerd(node, pid))
        earlier = _served(containerd)
        begin(daemons.kube_proxy(node, self.parts, pid))
        # Kubelet gives up at once where no runtime answers, or one that listens and is not initialized yet.
        _wait_for(node, containerd, lambda: _listens(node.socket) and _served(containerd) > earlier)
        begin(daemons.kubelet(node, self.parts, pid))

    def route_services(self, running: Sequence[int]) -> None:
        """Let the machine reach Services through a node that runs."""
        network.route_services(self.network, running, self.runtime)

    def stop(self, number: int) -> None:
        """Pull a node's plug. Raises SandboxError when something outlives SIGKILL."""
        node = self.node(number)
        node.groups.end()
        network.remove_link(self.network, number, self.runtime)
        node.groups.remove()


def clear(found: Network, processes: Sequence[Process], runtime: Runtime) -> None:
    """End whatever is left of a sandbox's real nodes, from any half-made state; what is not there is no error."""
    # By pid first: one that was started a moment ago may not have joined its cgroup yet.
    stop([each for each in processes if each.role.startswith("node-")], 0)
    top = groups(found)
    top.end()
    network.remove(found, runtime)
    top.remove()
    shutil.rmtree(run_directory(found), ignore_errors=True)


def describe(node: NodePlace, processes: Sequence[Process]) -> RealNode:
    """The node as its users see it."""
    prefix = f"{node.role}-"
    pids = {each.role.removeprefix(prefix): each.pid for each in processes if each.role.startswith(prefix)}
    return RealNode(
        name=node.name,
        address=node.address,
        pods=node.network.node_pods(node.number),
        socket=node.socket,
        certs=node.certs,
        enter=daemons.enter(pids["holder"]) if "holder" in pids else (),
        pids=pids,
    )


def trust(node: RealNode, host: str, ca_pem: str | None = None, *, plain_http: bool = False) -> None:
    """Tell a node's containerd how to reach a registry (`host:port`); the next pull heeds it, nothing is restarted."""
    directory = node.certs / host
    if ca_pem:
        write_whole(directory / "ca.crt", ca_pem)
    inside = f"/etc/containerd/certs.d/{host}/ca.crt" if ca_pem else None
    write_whole(directory / "hosts.toml", config.hosts(host, inside, plain_http=plain_http))


def images(node: RealNode, runtime: Runtime | None = None) -> list[str]:
    """References of the images that a node's containerd holds. Raises SandboxError when it does not answer."""
    argv = ["ctr", "--address", str(node.socket), "--namespace", "k8s.io", "images", "list", "--quiet"]
    runtime = runtime or Runtime()
    answer = runtime.command(argv, {**runtime.environ, **daemons.PATHS})
    if answer.returncode:
        raise SandboxError(f"node {node.name}: ctr failed ({answer.stderr.strip()}): does its containerd run?")
    return sorted(answer.stdout.split())


def _prepare(node: NodePlace, parts: NodeParts) -> None:
    shutil.rmtree(node.run, ignore_errors=True)
    for path, own in node.mounts.items():
        path.mkdir(parents=True, exist_ok=True)
        own.mkdir(parents=True, exist_ok=True)
    for name in (cgroups.SYSTEM, cgroups.PODS):
        node.groups.child(name).make()
    for path, text in _files(node, parts).items():
        write_whole(path, text)
    trust(describe(node, ()), node.sandbox.registry, plain_http=True)


def _files(node: NodePlace, parts: NodeParts) -> Mapping[Path, str]:
    wanted = dict(zip(node.kernel.values(), KERNEL.values(), strict=True))
    return {path: f"{value}\n" for path, value in wanted.items()} | {
        node.directory / "etc-containerd" / "config.toml": config.containerd(node),
        node.directory / "etc-cni" / "net.d" / "pawl.conflist": config.network(node),
        node.directory / "kubelet.yaml": config.kubelet(node),
        node.directory / "kube-proxy.yaml": config.kube_proxy(node),
        node.directory / "enter.sh": daemons.mount_script(node, parts),
    }


def _wait_for(node: NodePlace, process: Process, check: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not check():
        if time.monotonic() > deadline or not is_alive(process):
            said = Path(process.log).read_text(errors="replace").strip().splitlines()[-1:]
            raise SandboxError(f"node {node.name}: {process.role} did not start ({' '.join(said) or 'no message'})")
        time.sleep(POLL)


def _served(containerd: Process) -> int:
    """How often the runtime's interface was ready, by its log, to which every start appends."""
    return Path(containerd.log).read_text(errors="replace").count(SERVING)


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0
