"""A sandbox by `kind`, for those who have Docker and want its nodes. `sandbox` chooses between this and ours.

The cluster is called `pawl-<name>`, its context `kind-pawl-<name>`. It has no registry: one on this machine's loopback
could not be reached from inside the node containers.
"""

from __future__ import annotations

from pathlib import Path

import yaml

from pawl.api.errors import SandboxError
from pawl.sandbox.options import KIND, Runtime, SandboxOptions
from pawl.sandbox.state import State, Store


def cluster_name(name: str) -> str:
    """The cluster's name for the sandbox `name`."""
    return f"pawl-{name}"


def config(nodes: int) -> str:
    """The configuration for a control plane and `nodes` workers."""
    roles = [{"role": "control-plane"}, *({"role": "worker"} for _ in range(nodes))]
    return yaml.safe_dump({"kind": "Cluster", "apiVersion": "kind.x-k8s.io/v1alpha4", "nodes": roles})


def create(options: SandboxOptions, runtime: Runtime, store: Store) -> State:
    """Make the cluster. Raises SandboxError when Docker or kind do not answer or the creation fails."""
    _require(runtime)
    directory = store.directory(options.name)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "kind.yaml").write_text(config(options.nodes))
    kubeconfig = directory / "kubeconfig"
    state = State(
        name=options.name,
        provider=KIND,
        context=f"kind-{cluster_name(options.name)}",
        kubeconfig=str(kubeconfig),
        server="",
        registry=None,
        nodes=options.nodes,
        binaries="",
        ports=None,
    )
    store.save(state)
    where = ["--name", cluster_name(options.name), "--kubeconfig", str(kubeconfig)]
    with runtime.progress.step(f"create kind cluster {cluster_name(options.name)}"):
        _kind(runtime, "create", "cluster", *where, "--config", str(directory / "kind.yaml"), "--wait", "120s")
    return State(**{**vars(state), "server": _server(kubeconfig), "ready": True})


def delete(state: State, runtime: Runtime) -> None:
    """Delete the cluster; one that is gone already is no error to kind. Raises SandboxError when kind cannot be run."""
    _kind(runtime, "delete", "cluster", "--name", cluster_name(state.name), "--kubeconfig", state.kubeconfig)


def exists(state: State, runtime: Runtime) -> bool:
    """Whether kind knows the cluster. Without kind or Docker it does not."""
    answer = runtime.command(["kind", "get", "clusters"], runtime.environ)
    return answer.returncode == 0 and cluster_name(state.name) in answer.stdout.split()


def _require(runtime: Runtime) -> None:
    if runtime.command(["docker", "info"], runtime.environ).returncode:
        raise SandboxError("provider kind: Docker does not answer; start Docker or leave --provider out")
    if runtime.command(["kind", "version"], runtime.environ).returncode:
        raise SandboxError("provider kind: kind is not on PATH; install it or leave --provider out")


def _kind(runtime: Runtime, *arguments: str) -> None:
    answer = runtime.command(["kind", *arguments], runtime.environ)
    if answer.returncode:
        said = (answer.stderr.strip().splitlines() or ["no message"])[-1]
        raise SandboxError(f"kind {' '.join(arguments[:2])} failed ({said}): look at docker ps and kind get clusters")


def _server(kubeconfig: Path) -> str:
    return str(yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]["server"])
