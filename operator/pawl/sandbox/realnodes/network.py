"""Addresses and links of real nodes: one private range a sandbox, a bridge on the machine, a veth pair a node.

    10.X.0.0/24      the bridge: .1 is the machine itself (API server, registry, DNS), .10 + n is node n
    10.X.(64+n).0/24 Pods of node n
    10.X.128.0/17    Services

No rule of the machine's own packet filter is touched; its routes to Pods and Services go when the bridge goes.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import subprocess
import zlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pawl.api.errors import SandboxError
from pawl.sandbox.options import Runtime

Range = ipaddress.IPv4Network

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where the programs of a node are looked for; the caller's PATH may lack the directories of root's."""
MOST = 50
"""Real nodes a sandbox at most: more than any one machine carries, fewer than the addresses below .254."""
FIRST_NODE = 10
LINKS = Path("/sys/class/net")
CANDIDATES = (
    *(f"10.{second}.0.0/16" for second in range(64, 256)),
    *(f"172.{second}.0.0/16" for second in range(16, 32)),
    "198.18.0.0/16",
    "198.19.0.0/16",
)


@dataclass(frozen=True)
class Network:
    """The addresses of one sandbox. `key` names its links and cgroups, unique also across state directories."""

    key: str
    base: str
    """The whole range, as `10.77.0.0/16`."""
    count: int
    """Real nodes, numbered from 1."""

    @property
    def bridge(self) -> str:
        """Name of the bridge."""
        return f"pawl-{self.key}"

    @property
    def host(self) -> str:
        """The machine's own address on the bridge."""
        return self._at(1)

    @property
    def services(self) -> str:
        """Range of ClusterIPs."""
        return f"{self._at(128 * 256)}/17"

    @property
    def dns(self) -> str:
        """ClusterIP of kube-dns."""
        return self._at(128 * 256 + 10)

    @property
    def pods(self) -> str:
        """Range of all Pods."""
        return f"{self._at(64 * 256)}/18"

    @property
    def numbers(self) -> range:
        """Numbers of the nodes."""
        return range(1, self.count + 1)

    def address(self, number: int) -> str:
        """Address of a node."""
        return self._at(FIRST_NODE + number)

    def node_pods(self, number: int) -> str:
        """Range of a node's Pods."""
        return f"{self._at((64 + number) * 256)}/24"

    def link(self, number: int) -> str:
        """Name of a node's link on the bridge; the kernel takes 15 characters."""
        return f"{self.bridge}-{number}"

    def hardware(self, number: int) -> str:
        """Link address of a node, of the bridge for 0. Fixed, as a new one would be unknown to its neighbours a while.

        A bridge without one of its own takes that of a port, and another when the port goes.
        """
        return ":".join(["02", f"{number:02x}", "70", *(self.key[at : at + 2] for at in (0, 2, 4))])

    def _at(self, offset: int) -> str:
        return str(Range(self.base)[offset])


def key_of(directory: Path) -> str:
    """The key of the sandbox in `directory`."""
    return hashlib.sha256(str(directory).encode()).hexdigest()[:6]


def free_range(key: str, taken: Collection[str]) -> str:
    """A candidate that overlaps nothing in `taken`; the same key starts at the same place. Raises SandboxError."""
    ranges = [Range(each, strict=False) for each in taken]
    start = zlib.crc32(key.encode()) % len(CANDIDATES)
    for candidate in (*CANDIDATES[start:], *CANDIDATES[:start]):
        if not any(Range(candidate).overlaps(each) for each in ranges):
            return candidate
    raise SandboxError("real nodes: each private range overlaps a route of this machine: take down other sandboxes")


def routed(runtime: Runtime) -> list[str]:
    """What the machine has routes to, the default route left out. Raises SandboxError when `ip` fails."""
    answer = _run(runtime, "ip", "-4", "-json", "route", "show", "table", "all")
    if answer.returncode:
        raise SandboxError(f"real nodes: ip route show failed ({answer.stderr.strip()}): is iproute2 installed?")
    return [each["dst"] for each in json.loads(answer.stdout or "[]") if each["dst"] != "default"]


def host_lines(network: Network) -> list[str]:
    """What `ip -batch` does on the machine before anything binds to the bridge. Pure."""
    bridge = network.bridge
    return [
        f"link add {bridge} address {network.hardware(0)} type bridge",
        f"addr add {network.host}/24 dev {bridge}",
        f"link set {bridge} up",
        *(f"route add {network.node_pods(each)} via {network.address(each)}" for each in network.numbers),
    ]


def link_lines(network: Network, number: int, pid: int) -> list[str]:
    """What `ip -batch` does on the machine once the process that holds the node's namespaces runs. Pure."""
    link = network.link(number)
    return [
        f"link add {link} type veth peer name eth0 address {network.hardware(number)} netns {pid}",
        f"link set {link} master {network.bridge}",
        f"link set {link} up",
    ]


def node_lines(network: Network, number: int) -> list[str]:
    """What `ip -batch` does inside a node. Pure.

    Services get a route, as a local process' packet must have one before kube-proxy's rules see it. The world outside
    is unreachable at once instead of after a time-out.
    """
    others = [each for each in network.numbers if each != number]
    return [
        "link set lo up",
        f"addr add {network.address(number)}/24 dev eth0",
        "link set eth0 up",
        f"route add {network.services} via {network.host}",
        *(f"route add {network.node_pods(each)} via {network.address(each)}" for each in others),
        "route add unreachable default",
    ]


def run_ip(lines: Sequence[str], script: Path, runtime: Runtime, inside: Sequence[str] = ()) -> None:
    """Run `lines` with `ip -batch`, `inside` in front. Raises SandboxError with what `ip` said."""
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text("\n".join(lines) + "\n")
    answer = _run(runtime, *inside, "ip", "-batch", str(script))
    if answer.returncode:
        said = " ".join(answer.stderr.split())
        raise SandboxError(f"real nodes: {script} failed ({said}): is another sandbox half taken down?")


def route_services(network: Network, running: Collection[int], runtime: Runtime) -> None:
    """Let the machine reach Services through the first node that runs; its kube-proxy forwards."""
    if running:
        via = network.address(min(running))
        _run(runtime, "ip", "route", "replace", network.services, "via", via)


def remove_link(network: Network, number: int, runtime: Runtime) -> None:
    """Take a node's link away; the kernel would do it too, but only some time after its last process ended."""
    if (LINKS / network.link(number)).exists():
        _run(runtime, "ip", "link", "delete", network.link(number))


def remove(network: Network, runtime: Runtime) -> None:
    """Take every link of the sandbox away, and with the bridge its routes. Raises SandboxError when one stays."""
    for link in _links(network):
        _run(runtime, "ip", "link", "delete", link)
    if left := list(_links(network)):
        raise SandboxError(f"real nodes: link {left[0]} cannot be removed: run ip link delete {left[0]}")


def _run(runtime: Runtime, *argv: str) -> subprocess.CompletedProcess[str]:
    return runtime.command(argv, {**runtime.environ, "PATH": SYSTEM_PATH})


def _links(network: Network) -> Iterator[str]:
    return (path.name for path in LINKS.glob(f"{network.bridge}*"))
