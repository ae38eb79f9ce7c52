"""Builds the sandbox's binaries from their Go modules, once for each machine, into the cache.

The list of what is built stands in `gomod/go.mod` and the modules below it; this file knows how. Each binary lands
under its final name by one rename, so an interrupted build goes on where it stopped and a half-written binary is never
run. What only real nodes need is built only for them, and so are the stores beside a registry. Nothing here starts
anything: see `controlplane`, `kwok`, `registry`, `minio` and `nodedaemons`.
"""

from __future__ import annotations

import hashlib
import platform
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pawl.api.errors import SandboxError
from pawl.sandbox.files import locked
from pawl.sandbox.golang import ATTEMPTS, Run, attempts, find_go, go_environment, required_version, run
from pawl.sandbox.paths import cache_dir
from pawl.sandbox.progress import SILENT, Progress

KUBERNETES_VERSION = "v1.36.3"
GOMOD = Path(__file__).parent / "gomod"

PACKAGES: Mapping[str, str] = {
    "etcd": "go.etcd.io/etcd/server/v3",
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
    "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
    "kube-scheduler": "k8s.io/kubernetes/cmd/kube-scheduler",
    "kubectl": "k8s.io/kubernetes/cmd/kubectl",
    "kwok": "sigs.k8s.io/kwok/cmd/kwok",
    "registry": "github.com/distribution/distribution/v3/cmd/registry",
}
NODE_PACKAGES: Mapping[str, str] = {
    "kubelet": "k8s.io/kubernetes/cmd/kubelet",
    "kube-proxy": "k8s.io/kubernetes/cmd/kube-proxy",
}
"""What a real node runs of Kubernetes; in the same module, and so in the same directory, as `PACKAGES`."""
DNS = {"coredns": "."}
TOOL = {"tool": "."}
"""The static program of `gomod/tool`, for images."""
MINIO = {"minio": "github.com/minio/minio"}
REGISTRY2 = {"registry2": "."}
"""Distribution 2.8, with the drivers that Pawl knows."""


@dataclass(frozen=True)
class Builder:
    """What a build depends on; the defaults are what `pawl sandbox build` uses."""

    environ: Mapping[str, str]
    gomod: Path = GOMOD
    packages: Mapping[str, str] = field(default_factory=lambda: PACKAGES)
    command: Run = run
    pause: Callable[[float], None] = time.sleep
    progress: Progress = SILENT


@dataclass(frozen=True)
class StorageParts:
    """Paths of what the storage of registries is tried with."""

    minio: Path
    registry2: Path


@dataclass(frozen=True)
class NodeParts:
    """Paths of the binaries of real nodes."""

    kubelet: Path
    kube_proxy: Path
    coredns: Path
    tool: Path


def ldflags(version: str = KUBERNETES_VERSION) -> str:
    """Linker flags: no symbol tables, and the version that the API server and kubectl report."""
    major, minor, _ = version.removeprefix("v").split(".")
    stamps = {"gitVersion": version, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    places = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return " ".join(["-s -w", *(f"-X {place}.{key}={value}" for place in places for key, value in stamps.items())])


def build_arguments(go: Path, gomod: Path, package: str, output: Path) -> list[str]:
    """The command that builds `package` into `output`; the same bytes on every machine of one platform."""
    flags = ["-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags", ldflags()]
    return [str(go), "build", "-C", str(gomod), *flags, "-o", str(output), package]


def cache_key(gomod: Path = GOMOD, machine: str = f"{platform.system()}-{platform.machine()}") -> str:
    """Name of the directory for these sources, flags and platform. Not the toolchain: a warm cache needs no Go."""
    sources = [path.read_bytes() for path in sorted(gomod.glob("go.*")) + sorted(gomod.glob("*.go"))]
    flags = " ".join(build_arguments(Path("go"), Path(), "", Path())) + machine
    return hashlib.sha256(b"\0".join([*sources, flags.encode()])).hexdigest()[:16]


def binary_dir(environ: Mapping[str, str], gomod: Path = GOMOD) -> Path:
    """Directory where the binaries of this version are, or will be."""
    return cache_dir(environ) / "bin" / cache_key(gomod)


def missing(directory: Path, packages: Mapping[str, str] = PACKAGES) -> list[str]:
    """Names of binaries that are not yet built in `directory`, in build order."""
    return [name for name in packages if not (directory / name).exists()]


def build(builder: Builder) -> Path:
    """Build what is missing and return the directory of the binaries. Safe to run twice at once and to interrupt.

    Raises SandboxError when no Go can be had, a download fails three times, or the compiler fails.
    """
    directory = binary_dir(builder.environ, builder.gomod)
    if not missing(directory, builder.packages):
        return directory
    lock = cache_dir(builder.environ) / "build.lock"
    with locked(lock, lambda: builder.progress.note("another build is running: waiting for it")):
        names = missing(directory, builder.packages)
        if names:
            _build_all(names, directory, builder)
    return directory


def build_tool(builder: Builder) -> Path:
    """Build the static program for images and return its path; seconds, from the standard library only."""
    return build(replace(builder, gomod=builder.gomod / "tool", packages=TOOL)) / "tool"


def build_minio(builder: Builder) -> Path:
    """Build MinIO and return its path: two minutes the first time. Raises SandboxError as `build` does."""
    return build(replace(builder, gomod=builder.gomod / "minio", packages=MINIO)) / "minio"


def build_registry2(builder: Builder) -> Path:
    """Build the registry of the line before and return its path. Raises SandboxError as `build` does."""
    return build(replace(builder, gomod=builder.gomod / "registry2", packages=REGISTRY2)) / "registry2"


def build_storage_parts(builder: Builder) -> StorageParts:
    """Build MinIO and the older registry. Raises SandboxError as `build` does."""
    return StorageParts(build_minio(builder), build_registry2(builder))


def build_node_parts(builder: Builder) -> NodeParts:
    """Build what real nodes need beside the control plane's binaries. Raises SandboxError as `build` does."""
    nodes = build(replace(builder, packages=NODE_PACKAGES))
    dns = build(replace(builder, gomod=builder.gomod / "coredns", packages=DNS))
    return NodeParts(nodes / "kubelet", nodes / "kube-proxy", dns / "coredns", build_tool(builder))


def _build_all(names: Sequence[str], directory: Path, builder: Builder) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    wanted = required_version(builder.gomod / "go.mod")
    cache = cache_dir(builder.environ)
    go = find_go(wanted, cache, builder.environ, builder.progress, builder.command, builder.pause)
    with builder.progress.step(f"download Go modules for {len(names)} binaries"):
        _download([builder.packages[name] for name in names], go, builder)
    for name in names:
        number = list(builder.packages).index(name) + 1
        with builder.progress.step(f"build {name} ({number} of {len(builder.packages)})"):
            _build_one(name, go, directory, builder)


def _download(packages: Sequence[str], go: Path, builder: Builder) -> None:
    argv = [str(go), "list", "-C", str(builder.gomod), "-mod=readonly", "-deps", "-f", "{{.Name}}", *packages]
    said = ""
    for _ in attempts(builder.pause):
        answer = builder.command(argv, go_environment(builder.environ))
        if answer.returncode == 0:
            return
        said = _last_line(answer.stderr)
    raise SandboxError(
        f"Go modules could not be downloaded in {ATTEMPTS} tries ({said}): "
        "check the network or GOPROXY, then run pawl sandbox build again"
    )


def _build_one(name: str, go: Path, directory: Path, builder: Builder) -> None:
    # A scratch directory inside the target keeps the rename on one file system.
    with tempfile.TemporaryDirectory(dir=directory, prefix=".build-") as scratch:
        output = Path(scratch) / name
        argv = build_arguments(go, builder.gomod, builder.packages[name], output)
        answer = builder.command(argv, go_environment(builder.environ))
        if answer.returncode:
            raise SandboxError(
                f"{name} could not be built ({_last_line(answer.stderr)}): "
                "free disk space and memory, then run pawl sandbox build again; it goes on where it stopped"
            )
        output.replace(directory / name)


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no message"])[-1]
