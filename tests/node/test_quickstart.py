"""README's quickstart, run from the page on a real node; then away, and again with kubectl, as docs/install.md says it.

In a cluster of its own, as a quickstart finds none of Pawl there. What is changed in the pages' blocks: the name of the
registry and of the image in it; `make` sets up no environment, as it is the one that the test runs in; and, as the
sandbox's registry has no TLS, what README says for such a one.
Neighbours: `tests/chart/test_install_page.py` renders the other commands. Not here: what the chart can do besides.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, PIPE

import pytest
from scripts.image_tools import find_tool
from tests.node.node_kit import eventually
from tests.unit.test_docs import FENCE, ROOT, section

from pawl.api.catalog import KINDS
from pawl.sandbox import Running, Runtime, SandboxOptions, running

pytestmark = [pytest.mark.node, pytest.mark.timeout(1200)]

REGISTRY = "registry.corp:5000"
HELM = f"--set image.registry={REGISTRY}"
WITHOUT_TLS = {
    f"TAG={REGISTRY}/pawl:0.1.0": "ARGS=--plain-http",
    HELM: f"--set plainHTTPHosts={{{REGISTRY}}}",
    f"sed s/registry.example.com/{REGISTRY}/": "-e 's/# access/access/'",
}
"""What is added to which words of README's block."""


def blocks(page: str, head: str, language: str = "sh") -> list[str]:
    """The blocks below a heading of a page."""
    return [text for kind, text in FENCE.findall(section(page, head)) if kind == language]


def without_tls(block: str) -> str:
    for words, more in WITHOUT_TLS.items():
        assert block.count(words) == 1, f"README says no more {words}"
        block = block.replace(words, f"{words.replace('sed s', 'sed -e s')} {more}")
    return block


def in_a_shell(typed: str, cwd: Path, environ: dict[str, str]) -> tuple[int, str, str]:
    """Run commands: exit code, what they printed, what they complained of. However it ends, none of them goes on."""
    command = ["bash", "-euo", "pipefail", "-c", typed]
    with subprocess.Popen(
        command, cwd=cwd, env=environ, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, text=True, start_new_session=True
    ) as process:
        try:
            said, complained = process.communicate(timeout=900)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        return process.returncode, said, complained


@dataclass(frozen=True)
class Shell:
    """A user's shell in a checkout, with the sandbox as its cluster."""

    nodes: Running

    @property
    def registry(self) -> str:
        return str(self.nodes.registry)

    def run(self, block: str, cwd: Path = ROOT) -> str:
        """Run a block with the sandbox's registry for the page's; what it printed."""
        path = os.pathsep.join([str(Path(sys.executable).parent), self.nodes.env["PATH"]])
        typed = block.replace(REGISTRY, self.registry).replace("make push", "make --old-file=setup push")
        code, said, complained = in_a_shell(typed, cwd, {**os.environ, **self.nodes.env, "PATH": path})
        assert code == 0, f"{block}\n{said}{complained}"
        return said

    def images(self) -> str:
        """What README says to look at: the images that the example's Pods run."""
        return self.run(blocks("README.md", "Install into a cluster")[1].splitlines()[1])

    def follows(self) -> None:
        """Wait until the example's policy has a selection and its Pods run that, and nothing else."""
        ask = "kubectl get imagepolicy pawl -n try-pawl -o jsonpath='{.status.selection.reference}'"
        selected = eventually(lambda: self.run(ask), 120, "the policy's selection")
        assert selected.startswith(f"{self.registry}/pawl:0.1.0@sha256:")
        eventually(lambda: self.images() == selected, 180, f"the example to run {selected}")
        self.run("kubectl wait imageoverride/follow -n try-pawl --for=condition=Verified --timeout=120s")


@pytest.fixture(scope="module")
def shell(nodes_runtime: Runtime) -> Iterator[Shell]:
    """A cluster with one real node and nothing of Pawl in it."""
    with running(SandboxOptions(name=f"quickstart-{os.getpid()}", real_nodes=1), nodes_runtime) as found:
        made = Shell(found)
        yield made
        find_tool().forget(find_tool().names(f"{made.registry}/"))


@pytest.fixture(scope="module")
def quickstart(shell: Shell) -> Shell:
    """Three commands later."""
    block = blocks("README.md", "Install into a cluster")[0]
    assert len(block.strip().splitlines()) == 3
    shell.run(without_tls(block))
    return shell


def test_what_is_added_without_tls_stands_in_readme() -> None:
    text = section("README.md", "Install into a cluster")
    added = ["ARGS=--plain-http", f"--set plainHTTPHosts={{{REGISTRY}}}", "# access: {plainHTTP: true}"]
    assert [words for words in added if f"`{words}`" not in text] == []
    assert "  # access: {plainHTTP: true}\n" in (ROOT / "deploy/examples/quickstart.yaml").read_text()


def test_three_commands_from_a_checkout_to_an_image_that_follows_its_policy(quickstart: Shell) -> None:
    quickstart.follows()
    status = quickstart.run(blocks("README.md", "Install into a cluster")[1].splitlines()[0])
    assert status.startswith("gate: MutatingAdmissionPolicy")
    assert "follow" in status


def test_helm_test_says_that_it_is_well(quickstart: Shell) -> None:
    (line,) = [line for line in blocks("docs/install.md", "With Helm")[0].splitlines() if line.startswith("helm test")]
    assert "Succeeded" in quickstart.run(line)


def test_uninstalled_as_the_page_says_it_gives_back_and_leaves_nothing_but_the_crds(quickstart: Shell) -> None:
    quickstart.run(blocks("docs/install.md", "Uninstall")[0])
    eventually(lambda: quickstart.images() == f"{quickstart.registry}/pawl:0.1.0", 120, "the Deployment's own image")
    left = quickstart.run(
        "kubectl get deploy,sa,svc,role,lease,secret,pdb,netpol -n pawl-system -o name; "
        "kubectl get clusterrole,mutatingadmissionpolicy,mutatingwebhookconfiguration,clusterrolebinding -o name"
    )
    assert [line for line in left.splitlines() if "pawl" in line] == []
    assert len(quickstart.run("kubectl get crd -o name | grep pawl.dev").splitlines()) == len(KINDS)


def test_the_way_with_kubectl_comes_to_the_same(quickstart: Shell, tmp_path: Path) -> None:
    """Runs after the one before: beside CRDs that stayed, and a namespace that Helm made."""
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy")
    mine = tmp_path / "mine"
    mine.mkdir()
    (kustomization,) = blocks("docs/install.md", "With kubectl", "yaml")
    assert f"newName: {REGISTRY}/platform/pawl" in kustomization
    text = kustomization.replace(f"{REGISTRY}/platform/pawl", f"{quickstart.registry}/pawl")
    (mine / "kustomization.yaml").write_text(text)
    quickstart.run(blocks("docs/install.md", "With kubectl")[0], mine)
    hosts = f"PAWL_PLAIN_HTTP_HOSTS={quickstart.registry}"
    quickstart.run(f"kubectl -n pawl-system set env deployment/pawl {hosts}")
    quickstart.run("kubectl -n pawl-system rollout status deployment/pawl --timeout=180s")
    quickstart.run(without_tls(blocks("README.md", "Install into a cluster")[0]).splitlines()[2])
    quickstart.follows()
