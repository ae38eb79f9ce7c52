"""The container image of Pawl: make a base, build, push, weigh. `python -m scripts.image --help`.

Wheels come by hash from `requirements-runtime.lock`, so that the container build needs no network; the same input
gives the same digest. `ensure_image` does all of it for tests. Neighbours: the Dockerfile, docs/image.md;
`image_base`, `image_wheels` and `image_tools` beside this file. Not here: what is in the image (`image_root`).
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from scripts.bootstrap import ROOT, cache
from scripts.image_base import make_base, say
from scripts.image_tools import ImageError, Layer, Order, Target, Tool, find_tool
from scripts.image_wheels import collect

INPUTS: Final = ("Dockerfile", ".dockerignore", "requirements-runtime.lock", "scripts/image_root.py")
NAME: Final = "localhost/pawl"
MIB: Final = 1 << 20


def main(arguments: list[str] | None = None) -> int:
    """Run one subcommand. Returns 0, or 1 with one line that says what to do."""
    parser = argparse.ArgumentParser(prog="python -m scripts.image", description=__doc__)
    parser.set_defaults(act=lambda _: parser.print_help())
    verbs = parser.add_subparsers()
    _base_arguments(verbs.add_parser("base", help="make a base from apt's own mirror (root on Debian or Ubuntu)"))
    _build_arguments(verbs.add_parser("build", help="build the image"))
    _push_arguments(verbs.add_parser("push", help="push a local image"))
    _other_arguments(verbs.add_parser("size", help="show the compressed size of every layer"), _size)
    wheels = verbs.add_parser("wheels", help="fill dist/wheels for a `docker build` by hand")
    wheels.add_argument("--base", required=True, metavar="REF")
    wheels.set_defaults(act=_wheels)
    options = parser.parse_args(arguments)
    try:
        options.act(options)
    except ImageError as error:
        print(f"image: {error}", file=sys.stderr)
        return 1
    return 0


def _base_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--suite", help="release, such as bookworm; default: this machine's")
    parser.add_argument("--fresh", action="store_true", help="make it anew, with today's updates")
    parser.set_defaults(act=lambda options: print(make_base(options.suite, fresh=options.fresh)))


def _build_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--base", default="", metavar="REF", help="glibc and Python 3.11 or newer, named by digest")
    parser.add_argument("--tag", default="", metavar="REF", help=f"name of the result; default {NAME}:VERSION")
    parser.set_defaults(act=_build)


def _push_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", metavar="REF", help="a name that `build --tag` gave, with its registry")
    parser.add_argument("--plain-http", action="store_true", help="the registry speaks no TLS")
    parser.set_defaults(act=_push)


def _other_arguments(parser: argparse.ArgumentParser, act: object) -> None:
    parser.add_argument("image", metavar="REF")
    parser.set_defaults(act=act)


def _build(options: argparse.Namespace) -> None:
    tag = options.tag or f"{NAME}:{version()}"
    base = options.base or make_base()
    build(find_tool(), base, tag)
    say(f"{tag} is built; `python -m scripts.image push {tag}` pushes it")
    _table(find_tool().layers(tag))


def _push(options: argparse.Namespace) -> None:
    print(f"{options.image}@{find_tool().push(options.image, options.image, plain_http=options.plain_http)}")


def _size(options: argparse.Namespace) -> None:
    _table(find_tool().layers(options.image))


def _wheels(options: argparse.Namespace) -> None:
    collect(find_tool().target(options.base), ROOT / "dist" / "wheels", moment())


def _table(layers: list[Layer]) -> None:
    for layer in layers:
        print(f"{layer.digest:<75}{layer.size / MIB:9.2f} MiB")
    print(f"{'compressed':<75}{sum(layer.size for layer in layers) / MIB:9.2f} MiB")


def version() -> str:
    """Read the version of Pawl from its sources."""
    found = re.search(r'^__version__ = "(.+)"$', (ROOT / "operator/pawl/__init__.py").read_text(), re.MULTILINE)
    if found is None:
        raise ImageError("operator/pawl/__init__.py has no __version__")
    return found[1]


def moment() -> int:
    """Return the time that all files bear: SOURCE_DATE_EPOCH, else 1980, the oldest that a wheel can say."""
    return int(os.environ.get("SOURCE_DATE_EPOCH", "315532800"))


def labels() -> dict[str, str]:
    """Return the labels that are not known to the Dockerfile; no revision where git does not know one."""
    head = _git("rev-parse", "HEAD")
    changed = "-dirty" if _git("status", "--porcelain", "--", *INPUTS, "operator", "pyproject.toml") else ""
    revision = {"org.opencontainers.image.revision": head + changed} if head else {}
    return {"org.opencontainers.image.version": version(), **revision}


def _git(*words: str) -> str:
    try:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    except FileNotFoundError:
        return ""


def build(tool: Tool, base: str, tag: str) -> None:
    """Build the image on `base` and call it `tag`."""
    with context(tool.target(base)) as place:
        say(f"building {tag} on {base} with {tool.name}")
        tool.build(Order(place, base, tag, labels(), moment()))


@contextlib.contextmanager
def context(target: Target) -> Iterator[Path]:
    """Give a directory with all that the Dockerfile copies, frozen: the checkout may change while it builds."""
    with tempfile.TemporaryDirectory(prefix="pawl-image-") as place:
        for name in INPUTS:
            (Path(place) / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, Path(place) / name)
        collect(target, Path(place) / "dist/wheels", moment())
        yield Path(place)


def ensure_image(registry: str) -> str:
    """Push this checkout's image to `registry` (host:port, plain HTTP) and return its reference with digest.

    Built once for one state of the sources: on PAWL_IMAGE_BASE, else on a base made here. Raises ImageError where
    this machine can neither.
    """
    with _locked(cache() / "image" / "lock"):
        base = os.environ.get("PAWL_IMAGE_BASE") or make_base()
        tool = find_tool()
        tag = _built(tool, base)
        reference = f"{registry}/pawl:{version()}"
        return f"{reference}@{tool.push(tag, reference, plain_http=True)}"


def _built(tool: Tool, base: str) -> str:
    """Return the local name of the image of these sources, built if it is not there."""
    with context(tool.target(base)) as place:
        digest = hashlib.sha256(tool.identity(base).encode())
        for path in sorted(path for path in place.rglob("*") if path.is_file()):
            digest.update(f"\0{path.relative_to(place)}\0".encode() + path.read_bytes())
        tag = f"{NAME}:sources-{digest.hexdigest()[:16]}"
        if not tool.has(tag):
            say(f"building {tag} on {base} with {tool.name}")
            stale = tool.names(f"{NAME}:sources-")
            tool.build(Order(place, base, tag, labels(), moment()))
            tool.forget(stale)
    return tag


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Let one process at a time build: two would do the same work twice in one store."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    sys.exit(main())
