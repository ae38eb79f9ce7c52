"""Images that run, for the sandbox's registry: one static program of ours `FROM scratch`, see `gomod/tool`.

`images` makes images that only have digests; these have a program that a real node can start. Equal arguments make
equal bytes. The program does what its first argument says:
`pause | sleep SECONDS | serve ADDRESS TEXT | fetch URL [SECONDS] | exit CODE | once PREFIX`.
"""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pawl.sandbox.build import Builder, build_tool
from pawl.sandbox.images import CONFIG, LAYER, Blob, Built, Pusher, assembled, encoded, platform_fields

PROGRAM = "tool"
ANY_USER = "65532"


@dataclass(frozen=True)
class ToolImage:
    """What to push. With one platform the tag names a manifest, with several an index over them."""

    repository: str
    tag: str
    words: tuple[str, ...] = ("pause",)
    """Arguments of the program where the Pod gives none."""
    text: str = ""
    """A label's value: another text is another config, and so another digest."""
    platforms: tuple[str, ...] = ("linux/amd64",)


def tool_binary(environ: Mapping[str, str] | None = None) -> Path:
    """Path of the static program; built, in seconds, where the cache has none."""
    return build_tool(Builder(os.environ if environ is None else environ))


def tool_image(registry: str, image: ToolImage, program: Path | None = None) -> str:
    """Push an image to `registry` (`host:port`, plain HTTP) and return its digest. Raises SandboxError.

    `program` is the static binary, by default the sandbox's own.
    """
    binary = program or tool_binary()
    with Pusher(registry) as pusher:
        return pusher.push_built(image.repository, image.tag, build(image, binary.read_bytes()))


def push_pause(registry: str, name: str, program: Path) -> None:
    """Push the image that holds a Pod's namespaces as `name` (`repository:tag`)."""
    repository, _, tag = name.partition(":")
    tool_image(registry, ToolImage(repository, tag), program)


def build(image: ToolImage, program: bytes) -> Built:
    """Make the bytes of an image. Pure."""
    layer = Blob(LAYER, _tar(program))
    configs = [Blob(CONFIG, encoded(_config(image, name, layer))) for name in image.platforms]
    return assembled(layer, configs, image.platforms)


def _config(image: ToolImage, platform: str, layer: Blob) -> Mapping[str, object]:
    labels = {"org.opencontainers.image.version": image.tag, "dev.pawl.text": image.text}
    run = {"Entrypoint": [f"/{PROGRAM}"], "Cmd": list(image.words), "User": ANY_USER, "Labels": labels}
    return {**platform_fields(platform), "config": run, "rootfs": {"type": "layers", "diff_ids": [layer.digest]}}


def _tar(program: bytes) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        entry = tarfile.TarInfo(PROGRAM)
        entry.size, entry.mode = len(program), 0o555
        archive.addfile(entry, io.BytesIO(program))
    return raw.getvalue()
