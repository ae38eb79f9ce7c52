"""The programs that build container images: buildah, podman or docker, whichever the machine has.

buildah works in a store of its own under Pawl's cache and with plain copies instead of overlays, so that it runs as
root in a container too. Neighbours: `scripts/image.py` says what is built. Not here: the base.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from scripts.bootstrap import cache

TRIES: Final = 3
PROBE: Final = """import json, platform, sys
print(json.dumps([list(sys.version_info[:2]), *platform.libc_ver(), platform.machine()]))
"""


class ImageError(Exception):
    """One sentence that says what is missing and what to do."""


@dataclass(frozen=True)
class Target:
    """What wheels must fit: Python's version, glibc's and the processor."""

    python: tuple[int, int]
    libc: tuple[int, int]
    machine: str


@dataclass(frozen=True)
class Layer:
    """A layer as a registry stores it."""

    digest: str
    size: int


@dataclass(frozen=True)
class Order:
    """One build: the directory with the Dockerfile, the base, the name of the result, labels and the time of files."""

    context: Path
    base: str
    tag: str
    labels: Mapping[str, str]
    moment: int


@dataclass(frozen=True)
class Tool:
    """A program that builds images, with the words that every call begins with."""

    name: str
    words: Sequence[str]
    environ: Mapping[str, str] = field(default_factory=dict)

    def run(self, *words: str | Path) -> str:
        """Run one command and return what it printed. Raises ImageError with its last line."""
        command = [*self.words, *map(str, words)]
        done = subprocess.run(command, env={**os.environ, **self.environ}, capture_output=True, check=False)
        if done.returncode:
            lines = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines() or ["no word"]
            raise ImageError(f"{self.name} {words[0]} ended with {done.returncode}: {' / '.join(lines[-5:])}")
        return done.stdout.decode().strip()

    def answers(self) -> bool:
        """Tell whether the program works here: docker may lack its daemon."""
        return subprocess.run([*self.words, "info"], capture_output=True, check=False).returncode == 0

    def has(self, image: str) -> bool:
        """Tell whether an image is here."""
        try:
            self.run("inspect", *(("--type", "image") if self.name != "podman" else ()), image)
        except ImageError:
            return False
        return True

    def target(self, base: str) -> Target:
        """Ask a base which wheels fit it. Raises ImageError where it has no python3 or another libc."""
        # buildah has been seen to lose what a short program printed.
        told = next(filter(None, (self._probe(base) for _ in range(TRIES))), None)
        if told is None:
            raise ImageError(f"python3 in {base} prints nothing: give a base with Python 3.11 or newer")
        python, libc, version, machine = json.loads(told)
        if libc != "glibc":
            raise ImageError(f"{base} has no glibc, for which the wheels are made: give a base of Debian or alike")
        return Target((python[0], python[1]), _pair(version), machine)

    def _probe(self, base: str) -> str:
        if self.name != "buildah":
            return self.run("run", "--rm", "--entrypoint", "python3", base, "-c", PROBE)
        container = self.run("from", base)
        try:
            return self.run("run", container, "--", "python3", "-c", PROBE)
        finally:
            self.run("rm", container)

    def identity(self, image: str) -> str:
        """Name the content of a local image: a name may be given to another one."""
        if self.name == "buildah":
            return self.run("inspect", "--type", "image", "--format", "{{.FromImageID}}", image)
        return self.run("inspect", "--format", "{{.Id}}", image)

    def forget(self, images: Iterable[str]) -> None:
        """Remove local images that nothing needs any more; one in use stays."""
        for image in images:
            with contextlib.suppress(ImageError):
                self.run("rmi", image)

    def names(self, prefix: str) -> list[str]:
        """Name the local images whose name begins so."""
        told = self.run(
            "images", "--format", "{{.Name}}:{{.Tag}}" if self.name == "buildah" else "{{.Repository}}:{{.Tag}}"
        )
        return [name for name in told.splitlines() if name.startswith(prefix)]

    def build(self, order: Order) -> None:
        """Build an image without a network, with every time set, so that the same input gives the same layers."""
        words = ["build"] if self.name != "buildah" else ["bud"]
        words += ["--network", "none"] if self.name == "docker" else []
        words += ["--timestamp", str(order.moment)] if self.name != "docker" else []
        words += ["--identity-label=false"] if self.name == "buildah" else []
        words += ["--build-arg", f"BASE={order.base}", "--build-arg", f"SOURCE_DATE_EPOCH={order.moment}"]
        for key, value in sorted(order.labels.items()):
            words += ["--label", f"{key}={value}"]
        self.run(*words, "--tag", order.tag, order.context)
        if self.name == "buildah":
            self.run("rmi", "--prune")  # in our own store: what a build of the same name left without one

    def push(self, image: str, reference: str, *, plain_http: bool) -> str:
        """Push a local image to a registry and return its digest there."""
        if self.name == "docker":
            return self._push_docker(image, reference)
        with tempfile.NamedTemporaryFile(mode="r") as digest:
            plain = ["--tls-verify=false"] if plain_http else []
            self.run("push", *plain, "--digestfile", digest.name, image, f"docker://{reference}")
            return digest.read().strip()

    def _push_docker(self, image: str, reference: str) -> str:
        """Docker decides by its own settings whether a registry is spoken to in plain HTTP."""
        self.run("tag", image, reference)
        self.run("push", reference)
        found: list[str] = json.loads(self.run("inspect", "--format", "{{json .RepoDigests}}", reference))
        name = reference.rpartition(":")[0]
        return next(one.rpartition("@")[2] for one in found if one.startswith(f"{name}@"))

    def layers(self, image: str) -> list[Layer]:
        """Name the layers of a local image with their compressed sizes."""
        with tempfile.TemporaryDirectory() as place:
            if self.name == "docker":
                self.run("save", "--output", Path(place) / "image.tar", image)
                return _layers_of_archive(Path(place) / "image.tar")
            self.run("push", image, f"oci:{place}/layout:image")
            return layers_of_layout(Path(place) / "layout")


def find_tool(name: str | None = None) -> Tool:
    """Return buildah, podman or docker, the first that answers. Raises ImageError where none does."""
    for one in (name,) if name else ("buildah", "podman", "docker"):
        tool = _tool(one)
        if shutil.which(one) and tool.answers():
            return tool
    raise ImageError(f"no {name or 'buildah, podman or docker'} answers here: install buildah")


def _tool(name: str) -> Tool:
    if name != "buildah":
        return Tool(name, [name])
    place = cache() / "image"
    words = [name, "--root", f"{place}/store", "--runroot", f"{place}/run", "--storage-driver", "vfs"]
    return Tool(name, words, {"BUILDAH_ISOLATION": os.environ.get("BUILDAH_ISOLATION", "chroot")})


def layers_of_layout(layout: Path) -> list[Layer]:
    """Read the layers from an OCI image layout."""

    def blob(digest: str) -> dict[str, list[dict[str, str]]]:
        found: dict[str, list[dict[str, str]]] = json.loads((layout / "blobs" / digest.replace(":", "/")).read_text())
        return found

    index = json.loads((layout / "index.json").read_text())
    manifest = blob(index["manifests"][0]["digest"])
    return [Layer(layer["digest"], int(layer["size"])) for layer in manifest["layers"]]


def _layers_of_archive(archive: Path) -> list[Layer]:
    """Compress the layers of `docker save`, which holds them as plain archives."""
    with tarfile.open(archive) as bundle:
        member = bundle.extractfile("manifest.json")
        names = json.load(member)[0]["Layers"] if member else []
        contents = ((name, bundle.extractfile(name)) for name in names)
        return [Layer(name, len(gzip.compress(file.read()))) for name, file in contents if file]


def _pair(version: str) -> tuple[int, int]:
    major, minor = version.split(".")[:2]
    return int(major), int(minor)
