from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from tests.sandbox.support import Recorder, binary_directory

from pawl.api.errors import InputError, SandboxError
from pawl.sandbox import Runtime, SandboxOptions, cluster_for_tests
from pawl.sandbox.options import Running
from pawl.sandbox.provider import Choice, check_context, choose, left_out

OPTIONS = SandboxOptions(name="t", nodes=2)


@pytest.mark.parametrize(
    ("environ", "source"),
    [
        ({}, "embedded"),
        ({"PAWL_PROVIDER": "embedded"}, "embedded"),
        ({"PAWL_PROVIDER": "kind"}, "kind"),
        ({"PAWL_PROVIDER": "kind", "KUBEBUILDER_ASSETS": "/a"}, "KUBEBUILDER_ASSETS"),
        ({"PAWL_PROVIDER": "kind", "KUBEBUILDER_ASSETS": "/a", "PAWL_KUBECONFIG": "/k"}, "PAWL_KUBECONFIG"),
        ({"PAWL_KUBECONFIG": "", "KUBEBUILDER_ASSETS": ""}, "embedded"),
    ],
)
def test_precedence(environ: dict[str, str], source: str) -> None:
    assert choose(environ, OPTIONS).source == source


def test_the_choice_carries_what_it_needs() -> None:
    assert choose({"PAWL_KUBECONFIG": "/k"}, OPTIONS) == Choice("PAWL_KUBECONFIG", kubeconfig=Path("/k"))
    assets = choose({"KUBEBUILDER_ASSETS": "/a"}, OPTIONS).options
    assert assets == SandboxOptions(name="t", nodes=2, binaries=Path("/a"))
    wanted = choose({"PAWL_PROVIDER": "kind"}, OPTIONS).options
    assert wanted == SandboxOptions(name="t", nodes=2, provider="kind")


def test_an_unknown_provider_is_refused() -> None:
    with pytest.raises(InputError, match="PAWL_PROVIDER='minikube': use embedded or kind"):
        choose({"PAWL_PROVIDER": "minikube"}, OPTIONS)


def kubeconfig(directory: Path, context: str) -> Path:
    path = directory / "kubeconfig"
    path.write_text(yaml.safe_dump({"current-context": context}))
    return path


@pytest.mark.parametrize(
    ("context", "environ"),
    [("pawl-sandbox-x", {}), ("kind-x", {}), ("prod", {"PAWL_TEST_CONTEXT": "prod"})],
)
def test_test_contexts_pass(context: str, environ: dict[str, str], tmp_path: Path) -> None:
    assert check_context(kubeconfig(tmp_path, context), environ) == context


@pytest.mark.parametrize(
    ("context", "environ"),
    [("prod", {}), ("my-kind-x", {}), ("prod", {"PAWL_TEST_CONTEXT": "staging"}), ("", {"PAWL_TEST_CONTEXT": ""})],
)
def test_foreign_contexts_are_refused(context: str, environ: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no test cluster; unset PAWL_KUBECONFIG, or set PAWL_TEST_CONTEXT"):
        check_context(kubeconfig(tmp_path, context), environ)


@pytest.mark.parametrize("text", ["", "{}", "[", "- 1", "text"])
def test_a_kubeconfig_without_context_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "kubeconfig").write_text(text)
    with pytest.raises(InputError, match="names no current-context"):
        check_context(tmp_path / "kubeconfig", {})


def test_a_missing_kubeconfig_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="names no current-context"):
        check_context(tmp_path / "nothing", {})


def test_an_existing_cluster_is_handed_on_as_it_is(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, "kind-x")
    environ = {"PAWL_KUBECONFIG": str(path), "PAWL_REGISTRY": "localhost:5000"}
    with cluster_for_tests(OPTIONS, Runtime(environ=environ)) as cluster:
        assert (cluster.kubeconfig, cluster.context, cluster.registry) == (path, "kind-x", "localhost:5000")
    assert path.exists()


def test_assets_without_an_api_server_are_named(tmp_path: Path) -> None:
    environ = {
        "KUBEBUILDER_ASSETS": str(binary_directory(tmp_path / "assets", "etcd")),
        "PAWL_STATE_DIR": str(tmp_path),
    }
    with (
        pytest.raises(SandboxError, match=r"assets holds no kube-apiserver: put it there"),
        cluster_for_tests(OPTIONS, Runtime(environ=environ)),
    ):
        pass


def test_kind_without_docker_is_one_line(tmp_path: Path) -> None:
    runtime = Runtime(
        environ={"PAWL_PROVIDER": "kind", "PAWL_STATE_DIR": str(tmp_path)}, command=Recorder(lambda _: (1, "", ""))
    )
    with pytest.raises(SandboxError, match="Docker does not answer"), cluster_for_tests(OPTIONS, runtime):
        pass


def test_parts_that_are_not_there_are_told(tmp_path: Path) -> None:
    assets = binary_directory(tmp_path, "etcd", "kube-apiserver", "kube-scheduler")
    found = Running("t", "embedded", "c", tmp_path, "", None, 0, {})
    notes = left_out(Choice("KUBEBUILDER_ASSETS", options=SandboxOptions(binaries=assets)), found)
    assert [note.split(":")[0].removeprefix(f"{tmp_path} holds no ") for note in notes] == [
        "kube-controller-manager",
        "kwok",
        "registry",
    ]
    assert left_out(Choice("embedded", options=SandboxOptions(registry=False)), found) == ()
    assert len(left_out(Choice("kind", options=SandboxOptions(provider="kind")), found)) == 1
