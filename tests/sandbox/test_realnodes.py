"""Names, addresses, configuration files and command lines of real nodes; nothing is started here."""

from __future__ import annotations

import ipaddress
import json
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from tests.sandbox.support import PORTS, Recorder, place_at

from pawl.api.errors import SandboxError
from pawl.sandbox import controlplane
from pawl.sandbox.build import NodeParts
from pawl.sandbox.options import RealNode, Runtime
from pawl.sandbox.place import Place
from pawl.sandbox.realnodes import config, daemons, dns, life, network
from pawl.sandbox.realnodes.network import CANDIDATES, MOST, Network, free_range, key_of
from pawl.sandbox.realnodes.nodeplace import NodePlace

PARTS = NodeParts(Path("/bin/kubelet"), Path("/bin/kube-proxy"), Path("/bin/coredns"), Path("/bin/tool"))
NETWORK = Network("a1b2c3", "10.77.0.0/16", 2)


@pytest.fixture
def real(tmp_path: Path) -> Place:
    place = place_at(tmp_path, "etcd", "kube-apiserver", "kube-controller-manager")
    return replace(place, host=NETWORK.host, services=NETWORK.services)


@pytest.fixture
def node(real: Place) -> NodePlace:
    return NodePlace(real, NETWORK, 2)


def inside(range_: str, *addresses: str) -> bool:
    return all(ipaddress.ip_network(each).subnet_of(ipaddress.ip_network(range_)) for each in addresses)  # type: ignore[arg-type]


def test_every_address_has_a_place_of_its_own() -> None:
    most = Network("a1b2c3", "172.16.0.0/16", MOST)
    ranges = [*(most.node_pods(each) for each in most.numbers), most.services, "172.16.0.0/24"]
    parsed = [ipaddress.ip_network(each) for each in ranges]
    assert not any(one.overlaps(two) for at, one in enumerate(parsed) for two in parsed[at + 1 :])
    assert inside(most.pods, *(most.node_pods(each) for each in most.numbers))
    assert inside(most.services, most.dns)
    assert not inside(most.pods, most.host)
    assert inside("172.16.0.0/24", most.host, *(most.address(each) for each in most.numbers))
    assert len({most.host, *(most.address(each) for each in most.numbers)}) == MOST + 1


def test_names_of_links_fit_the_kernel() -> None:
    assert len(Network(key_of(Path("/x")), "10.77.0.0/16", MOST).link(MOST)) <= 15


def test_link_addresses_are_fixed_and_local() -> None:
    addresses = [NETWORK.hardware(number) for number in (0, 1, 2)]
    assert addresses == ["02:00:70:a1:b2:c3", "02:01:70:a1:b2:c3", "02:02:70:a1:b2:c3"]
    assert f"link add pawl-a1b2c3 address {addresses[0]} type bridge" in network.host_lines(NETWORK)
    assert f"address {addresses[2]} netns 7" in network.link_lines(NETWORK, 2, 7)[0]


def test_the_key_follows_the_directory() -> None:
    assert key_of(Path("/a/sandboxes/x")) != key_of(Path("/b/sandboxes/x"))


def test_a_range_that_the_machine_uses_is_not_taken() -> None:
    first = free_range("k", [])
    assert free_range("k", []) == first
    inner = str(next(iter(ipaddress.ip_network(first).subnets(new_prefix=30))))
    assert free_range("k", [inner, "192.0.2.1"]) != first
    assert free_range("k", ["10.0.0.0/8"]).startswith(("172.", "198."))
    with pytest.raises(SandboxError, match="each private range overlaps a route"):
        free_range("k", CANDIDATES)


def test_the_default_route_takes_no_range() -> None:
    routes = [{"dst": "default", "dev": "eth0"}, {"dst": "10.8.0.0/16"}, {"dst": "192.0.2.2", "type": "local"}]
    runtime = Runtime(environ={}, command=Recorder(lambda _: (0, json.dumps(routes), "")))
    assert network.routed(runtime) == ["10.8.0.0/16", "192.0.2.2"]


def test_a_refusal_of_ip_is_told(tmp_path: Path) -> None:
    runtime = Runtime(environ={}, command=Recorder(lambda _: (1, "", "RTNETLINK answers: File exists\n")))
    with pytest.raises(SandboxError, match=r"host.ip failed \(RTNETLINK answers: File exists\)"):
        network.run_ip(["link add x"], tmp_path / "host.ip", runtime)


def test_a_node_reaches_the_other_pods_through_their_node() -> None:
    lines = network.node_lines(NETWORK, 2)
    assert "route add 10.77.65.0/24 via 10.77.0.11" in lines
    assert not any("10.77.66.0/24" in line for line in lines)
    assert lines[-1] == "route add unreachable default"


def test_services_go_through_the_first_node_that_runs() -> None:
    command = Recorder(lambda _: (0, "", ""))
    network.route_services(NETWORK, [2], Runtime(environ={}, command=command))
    network.route_services(NETWORK, [], Runtime(environ={}, command=command))
    assert command.calls == [["ip", "route", "replace", "10.77.128.0/17", "via", "10.77.0.12"]]


def test_the_control_plane_listens_on_the_bridge_and_knows_kubelets(real: Place) -> None:
    api = controlplane.apiserver(real).argv
    assert {"--bind-address=10.77.0.1", "--advertise-address=10.77.0.1"} <= set(api)
    assert "--service-cluster-ip-range=10.77.128.0/17" in api
    assert not any(each.startswith("--endpoint-reconciler-type") for each in api)
    assert f"--kubelet-certificate-authority={real.pki('ca.crt')}" in api
    assert real.kubernetes == "10.77.128.1"
    manager = controlplane.controller_manager(real).argv
    seconds = next(each.partition("=")[2] for each in manager if each.startswith("--node-monitor-grace-period"))
    assert int(seconds.removesuffix("s")) > config.LEASE_SECONDS


def test_without_real_nodes_nothing_but_loopback_is_used(place: Place) -> None:
    assert not any("kubelet" in each for each in controlplane.apiserver(place).argv)
    assert not any("grace" in each for each in controlplane.controller_manager(place).argv)


def test_kubelet_asks_for_certificates_and_lives_in_its_cgroup(node: NodePlace) -> None:
    found = yaml.safe_load(config.kubelet(node))
    assert found["authentication"]["anonymous"] == {"enabled": False}
    assert found["authorization"] == {"mode": "Webhook"}
    assert found["cgroupRoot"] == "/pawl-a1b2c3/2/pods"
    assert (found["address"], found["clusterDNS"]) == ("10.77.0.12", ["10.77.128.10"])
    assert found["failCgroupV1"] is False


def test_kube_proxy_masquerades_what_is_no_pod(node: NodePlace) -> None:
    found = yaml.safe_load(config.kube_proxy(node))
    assert (found["mode"], found["detectLocalMode"], found["clusterCIDR"]) == ("nftables", "ClusterCIDR", NETWORK.pods)


def test_the_pod_network_routes_and_never_bridges(node: NodePlace) -> None:
    plugins = json.loads(config.network(node))["plugins"]
    assert [each["type"] for each in plugins] == ["ptp", "portmap"]
    assert plugins[0]["ipam"]["ranges"] == [[{"subnet": "10.77.66.0/24"}]]


def test_containerd_takes_the_pause_image_from_the_sandbox(node: NodePlace) -> None:
    text = config.containerd(node)
    assert f'sandbox_image = "10.77.0.1:{PORTS.registry}/pawl/pause:1"' in text
    assert "restrict_oom_score_adj = true" in text


def test_every_process_joins_the_cgroup_before_it_becomes_itself(node: NodePlace) -> None:
    commands = [
        daemons.holder(node),
        daemons.containerd(node, 7),
        daemons.kubelet(node, PARTS, 7),
        daemons.kube_proxy(node, PARTS, 7),
    ]
    assert [each.role for each in commands] == [
        f"node-2-{part}" for part in ("holder", "containerd", "kubelet", "kube-proxy")
    ]
    for command in commands:
        joining, _, rest = command.argv[2].partition("; exec ")
        assert "/pawl-a1b2c3/2/system/cgroup.procs" in joining
        assert "echo $$ >" in joining
        assert "done" not in rest
    for command in commands[1:]:
        words = shlex.split(command.argv[2].partition("; exec ")[2])
        assert tuple(words[:6]) == daemons.enter(7)


def test_a_node_sees_its_own_files_under_the_usual_paths(node: NodePlace) -> None:
    lines = daemons.mount_script(node, PARTS).splitlines()
    assert f"mount --bind {node.directory / 'kubelet'} /var/lib/kubelet" in lines
    panic = "/proc/sys/kernel/panic"
    assert f"test ! -e {panic} || mount --bind {node.directory / 'kernel' / 'kernel.panic'} {panic}" in lines
    assert lines[0] == "set -e"
    assert lines[-1] == "exec /bin/tool pause"


def test_sockets_fit_into_an_address() -> None:
    deep = NodePlace(place_at(Path("/tmp") / ("x" * 90)), NETWORK, MOST)
    assert len(str(deep.socket)) < 108


def test_names_of_the_cluster_are_answered_and_no_others(real: Place) -> None:
    text = dns.corefile(real)
    assert f".:{PORTS.dns} {{" in text
    assert "bind 10.77.0.1" in text
    assert "rcode NXDOMAIN" in text
    bodies = list(dns.objects(real, NETWORK).values())
    assert bodies[0]["spec"]["clusterIP"] == "10.77.128.10"
    assert {each["port"] for each in bodies[1]["ports"]} == {PORTS.dns}
    assert bodies[1]["endpoints"][0]["addresses"] == ["10.77.0.1"]


def real_node(certs: Path) -> RealNode:
    return RealNode("n", "10.77.0.11", "10.77.65.0/24", certs / "sock", certs, (), {})


def test_a_registry_is_trusted_by_its_authority_or_in_the_clear(tmp_path: Path) -> None:
    life.trust(real_node(tmp_path), "one:5000", plain_http=True)
    assert 'server = "http://one:5000"' in (tmp_path / "one:5000" / "hosts.toml").read_text()
    life.trust(real_node(tmp_path), "two:5000", "PEM")
    told = (tmp_path / "two:5000" / "hosts.toml").read_text()
    assert 'server = "https://two:5000"' in told
    assert 'ca = "/etc/containerd/certs.d/two:5000/ca.crt"' in told
    assert (tmp_path / "two:5000" / "ca.crt").read_text() == "PEM"


def test_images_of_a_node_that_does_not_answer_are_an_error(tmp_path: Path) -> None:
    runtime = Runtime(environ={}, command=Recorder(lambda _: (1, "", "connection refused")))
    with pytest.raises(SandboxError, match=r"node n: ctr failed \(connection refused\): does its containerd run"):
        life.images(real_node(tmp_path), runtime)
