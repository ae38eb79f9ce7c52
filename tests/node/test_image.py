"""The container image on a real node: what is in it, what is not, and that nothing of Pawl misses what was left out.

Every Pod here runs as strictly as Kubernetes allows: not as root, read-only root, no capabilities, the runtime's
seccomp profile, and a small /tmp in memory. Neighbours: `scripts/image.py` builds it, docs/image.md tells about it.
Not here: the operator at work in it (`test_node_operator`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from scripts.image import ROOT, ensure_image, version
from tests.cluster.api import Api, Json
from tests.node.node_kit import create, finished, kubectl

from pawl.sandbox import Running

Run = Callable[..., str]

LIMIT = 90 << 20
SECURITY = {
    "runAsNonRoot": True,
    "readOnlyRootFilesystem": True,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
POLICY = """
apiVersion: pawl.dev/v1alpha1
kind: ImagePolicy
metadata: {name: web, namespace: shop}
spec:
  image: registry.example.com/shop/web
  select: {semver: {range: '>=1.2.0 <2.0.0'}}
"""


@pytest.fixture(scope="module")
def image(nodes: Running) -> str:
    return ensure_image(str(nodes.registry))


@pytest.fixture(scope="module")
def config(nodes: Running, image: str) -> Json:
    """What the registry says of the image: its manifest, and its configuration under `config`."""
    name, _, digest = image.partition("/")[2].partition("@")
    repository = f"http://{nodes.registry}/v2/{name.partition(':')[0]}"
    accept = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
    manifest: Json = httpx.get(f"{repository}/manifests/{digest}", headers=accept, trust_env=False).json()
    blob = httpx.get(f"{repository}/blobs/{manifest['config']['digest']}", trust_env=False)
    return {**manifest, "config": blob.json()}


def strict_pod(name: str, image: str, files: dict[str, str], **container: object) -> Json:
    mounts = [{"name": "tmp", "mountPath": "/tmp"}, {"name": "files", "mountPath": "/files"}]
    main = {"name": "main", "image": image, "securityContext": SECURITY, "volumeMounts": mounts, **container}
    volumes = [
        {"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}},
        {"name": "files", "configMap": {"name": name}} if files else {"name": "files", "emptyDir": {}},
    ]
    spec = {"containers": [main], "volumes": volumes, "restartPolicy": "Never", "automountServiceAccountToken": False}
    return {"metadata": {"name": name}, "spec": {**spec, "terminationGracePeriodSeconds": 1}}


@pytest.fixture
def run(api: Api, nodes: Running, namespace: str, image: str) -> Run:
    """`run("name", ["--version"], files={...})` runs a Pod to its end and returns what it printed.

    `python=` runs a program with the image's Python in place of the entrypoint.
    """

    def ran(name: str, args: list[str] | None = None, *, files: dict[str, str] | None = None, python: str = "") -> str:
        base, held = f"/api/v1/namespaces/{namespace}", dict(files or {})
        command: Json = {"command": ["python3", "-c", python]} if python else {"args": args}
        if held:
            create(api, f"{base}/configmaps", {"metadata": {"name": name}, "data": held})
        create(api, f"{base}/pods", strict_pod(name, image, held, **command))
        phase = finished(api, namespace, name, 120)
        said = kubectl(nodes, "logs", "--namespace", namespace, name)
        assert phase == "Succeeded", said
        return said

    return ran


def test_pawl_starts_as_its_own_user_on_a_read_only_root(run: Run) -> None:
    assert run("version", ["--version"]) == f"pawl, version {version()}\n"
    program = "import os; print(os.getuid(), os.getgid(), os.environ['HOME'], os.getcwd(), os.access('/', os.W_OK))"
    assert run("user", python=program) == "65532 65532 /tmp /tmp False\n"


HELP = """
import subprocess, click
from pawl.cli.main import cli

def walk(group, words):
    ctx = click.Context(group)
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        yield [*words, name]
        if isinstance(command, click.Group):
            yield from walk(command, [*words, name])

for words in walk(cli, []):
    done = subprocess.run(["pawl", *words, "--help"], capture_output=True, text=True)
    print(" ".join(words), done.returncode, done.stdout.startswith("Usage: pawl"))
    assert done.returncode == 0, done.stderr
"""


def test_every_command_answers(run: Run) -> None:
    lines = run("help", python=HELP).splitlines()
    assert {line.rpartition(" ")[2] for line in lines} == {"True"}
    assert {"run 0 True", "choose 0 True", "status 0 True", "sandbox up 0 True"} <= set(lines)


IMPORTS = """
import importlib, pkgutil, pawl
names = [one.name for one in pkgutil.walk_packages(pawl.__path__, "pawl.") if not one.name.endswith("__main__")]
for name in names:
    importlib.import_module(name)
import kubernetes.aio.config.exec_provider, kubernetes.aio.config.openid
print(len(names))
"""


def test_no_module_of_pawl_misses_what_was_left_out(run: Run) -> None:
    sources = [path for path in (ROOT / "operator/pawl").rglob("*.py") if path.name != "__main__.py"]
    assert int(run("imports", python=IMPORTS)) > len(sources) * 0.9


def test_choose_works_offline(run: Run) -> None:
    files = {"policy.yaml": POLICY, "tags": "v1.2.0\nv1.9.1\nv1.10.0\nv2.0.0\nlatest\n"}
    said = run("choose", ["choose", "-f", "/files/policy.yaml", "--tags", "/files/tags", "-o", "json"], files=files)
    assert json.loads(said)["tag"] == "v1.10.0"


def test_a_kubeconfig_is_read_and_its_server_asked(run: Run, nodes: Running, installed: list[str]) -> None:
    del installed
    text = kubectl(nodes, "config", "view", "--raw", "--flatten")
    said = run("status", ["status", "--kubeconfig", "/files/kubeconfig", "-o", "json"], files={"kubeconfig": text})
    assert json.loads(said) == []


def test_a_shell_less_container_can_still_be_asked(api: Api, nodes: Running, namespace: str, image: str) -> None:
    name, sleep = "asked", "import time; time.sleep(600)"
    create(api, f"/api/v1/namespaces/{namespace}/pods", strict_pod(name, image, {}, command=["python3", "-c", sleep]))
    kubectl(nodes, "wait", "--namespace", namespace, f"pod/{name}", "--for=condition=Ready", "--timeout=60s")
    said = kubectl(nodes, "exec", "--namespace", namespace, name, "--", "pawl", "--version")
    assert said == f"pawl, version {version()}\n"


CONTENT = """
import json, os, ssl, zoneinfo
from importlib.metadata import distributions
programs, sources, writable = [], [], []
for place, _, names in os.walk("/"):
    if place.split("/")[1] in ("proc", "sys", "dev", "files", "tmp", "etc") or "/run" in place:
        continue
    for name in names:
        path = os.path.join(place, name)
        if os.access(path, os.X_OK) and not os.path.islink(path) and ".so" not in name:
            programs.append(path)
        if name.endswith((".c", ".h", ".pyx", ".pyi", ".a")):
            sources.append(path)
        if os.access(path, os.W_OK):
            writable.append(path)
print(json.dumps({
    "programs": programs, "sources": sources, "writable": writable,
    "authorities": len(ssl.create_default_context().get_ca_certs()),
    "zone": str(zoneinfo.ZoneInfo("Europe/Berlin")),
    "versions": {one.metadata["Name"].lower().replace("_", "-"): one.version for one in distributions()},
    "packages": os.listdir("/var/lib/dpkg/status.d"),
    "compiled": os.path.exists(os.path.join(os.path.dirname(json.__file__), "__pycache__")),
}))
"""


@pytest.fixture(scope="module")
def pins() -> dict[str, str]:
    lock = (ROOT / "requirements-runtime.lock").read_text()
    return dict(re.findall(r"^([\w.-]+)==(\S+)", lock, re.MULTILINE))


def test_it_holds_what_it_needs_and_no_tools(run: Run, pins: dict[str, str]) -> None:
    found = json.loads(run("content", python=CONTENT))
    names = {Path(path).name for path in found["programs"]}
    assert {name for name in names if not re.fullmatch(r"pawl|python3\.\d+", name)} == set()
    assert found["sources"] == []
    assert found["writable"] == []
    assert found["authorities"] > 50
    assert found["zone"] == "Europe/Berlin"
    assert found["compiled"]
    assert "libc6" in found["packages"]
    missing = {"pycparser"}  # a part of cffi that only compiling needs
    assert {name: found["versions"].get(name) for name in pins if name not in missing} == {
        name: pin for name, pin in pins.items() if name not in missing
    }
    assert set(found["versions"]) == set(pins) - missing | {"pawl"}


def test_its_labels_say_what_it_is(config: Json) -> None:
    labels = {key.rpartition(".")[2]: value for key, value in config["config"]["config"]["Labels"].items()}
    assert (labels["title"], labels["version"], labels["licenses"]) == ("pawl", version(), "Apache-2.0")
    assert labels["description"]
    assert re.fullmatch("[0-9a-f]{40}(-dirty)?", labels["revision"])
    inside = config["config"]["config"]
    assert inside["User"] == "65532:65532"
    assert (inside["Entrypoint"], inside["Cmd"]) == (["/opt/pawl/bin/pawl"], ["run"])


def test_it_is_small(config: Json) -> None:
    assert sum(layer["size"] for layer in config["layers"]) <= LIMIT
