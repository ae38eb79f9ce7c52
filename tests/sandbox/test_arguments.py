from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from tests.sandbox.support import PORTS, place_at

from pawl.sandbox import controlplane, kwok, registry
from pawl.sandbox.place import Place
from pawl.sandbox.ports import LOOPBACK
from pawl.sandbox.processes import Command


def flags(command: Command) -> dict[str, str]:
    return {name: value for name, _, value in (each.partition("=") for each in command.argv[1:])}


def test_roles_are_the_names_of_binaries_and_logs(place: Place) -> None:
    made = [
        controlplane.etcd(place),
        controlplane.apiserver(place),
        controlplane.controller_manager(place),
        controlplane.scheduler(place),
        kwok.kwok(place),
        registry.registry(place),
    ]
    assert [command.argv[0] for command in made] == [place.binary(command.role) for command in made]


def test_everything_listens_on_loopback_only(place: Place) -> None:
    etcd, api = flags(controlplane.etcd(place)), flags(controlplane.apiserver(place))
    assert etcd["--listen-client-urls"] == f"https://{LOOPBACK}:{PORTS.etcd}"
    assert etcd["--listen-peer-urls"] == f"https://{LOOPBACK}:{PORTS.etcd_peer}"
    assert (api["--bind-address"], api["--secure-port"]) == (LOOPBACK, str(PORTS.api))
    assert yaml.safe_load(registry.config(place, "x"))["http"]["addr"] == f"{LOOPBACK}:{PORTS.registry}"


@pytest.mark.parametrize("make", [controlplane.controller_manager, controlplane.scheduler])
def test_components_without_a_reason_to_listen_do_not(make: object, place: Place) -> None:
    assert flags(make(place))["--secure-port"] == "0"  # type: ignore[operator]


def test_etcd_asks_clients_and_peers_for_certificates(place: Place) -> None:
    etcd = flags(controlplane.etcd(place))
    assert {"--client-cert-auth", "--peer-client-cert-auth", "--unsafe-no-fsync"} <= etcd.keys()
    assert etcd["--trusted-ca-file"] == etcd["--peer-trusted-ca-file"] == str(place.pki("etcd-ca.crt"))


def test_the_api_server_checks_rights_and_signs_tokens(place: Place) -> None:
    api = flags(controlplane.apiserver(place))
    assert api["--authorization-mode"] == "Node,RBAC"
    assert api["--service-account-signing-key-file"] == str(place.pki("sa.key"))
    assert "--disable-admission-plugins" not in api
    assert api["--client-ca-file"] != api["--etcd-cafile"]


def test_without_a_controller_manager_pods_need_no_service_account(tmp_path: Path) -> None:
    bare = place_at(tmp_path, "etcd", "kube-apiserver")
    assert flags(controlplane.apiserver(bare))["--disable-admission-plugins"] == "ServiceAccount"


def test_controllers_run_under_their_own_accounts_with_the_servers_key(place: Place) -> None:
    manager, api = flags(controlplane.controller_manager(place)), flags(controlplane.apiserver(place))
    assert manager["--use-service-account-credentials"] == "true"
    assert manager["--service-account-private-key-file"] == api["--service-account-signing-key-file"]


def test_only_annotated_nodes_are_simulated(place: Place) -> None:
    simulator = flags(kwok.kwok(place))
    assert simulator["--manage-nodes-with-annotation-selector"] == "kwok.x-k8s.io/node=fake"
    assert simulator["--manage-all-nodes"] == "false"
    assert kwok.node(3)["metadata"]["annotations"] == {"kwok.x-k8s.io/node": "fake"}


def test_a_node_is_schedulable_as_it_is_made() -> None:
    node = kwok.node(7)
    assert node["metadata"]["name"] == node["metadata"]["labels"]["kubernetes.io/hostname"] == "node-7"
    assert "taints" not in node.get("spec", {})
    assert node["status"]["allocatable"]["pods"] == "1000"


def test_the_stages_cover_nodes_and_the_life_of_a_pod() -> None:
    stages = [each["metadata"]["name"] for each in yaml.safe_load_all(kwok.STAGES.read_text())]
    assert sorted(stages) == [
        "node-heartbeat-with-lease",
        "node-initialize",
        "pod-complete",
        "pod-delete",
        "pod-image-unpullable",
        "pod-ready",
    ]


def test_the_registry_allows_deletes_and_sends_no_traces(place: Place) -> None:
    config = yaml.safe_load(registry.config(place, "secret"))
    assert config["storage"]["delete"] == {"enabled": True}
    assert config["storage"]["filesystem"]["rootdirectory"] == str(place.directory / "registry")
    assert config["http"]["secret"] == "secret"
    assert registry.registry(place).environ == {"OTEL_TRACES_EXPORTER": "none"}


def test_the_registrys_configuration_is_private(place: Place) -> None:
    registry.write_config(place)
    path = Path(registry.registry(place).argv[-1])
    assert path.stat().st_mode & 0o777 == 0o600
    assert (place.directory / "registry").is_dir()
