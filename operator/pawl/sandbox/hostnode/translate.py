"""From what a Pod says to what a process of this machine gets: paths, arguments, program, environment. Pure.

A Pod's paths below `/pawl/` lead below the container's own directory; all else in a text is left as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

Json = dict[str, Any]
Programs = Mapping[str, tuple[str, ...]]

INSIDE = "/pawl/"
OWN = re.compile(r"(?<![\w./-])/pawl/")
"""Not the middle of a longer path or of an image's name."""
REFERENCE = re.compile(r"\$(\$|\(([A-Za-z_][A-Za-z0-9_.-]*)\))")
WORKER_PORT = 8099


@dataclass(frozen=True)
class Start:
    """A process to start."""

    argv: tuple[str, ...]
    environ: Mapping[str, str]


def moved(text: str, root: Path) -> str:
    """`text` with the Pod's paths below `root`."""
    return OWN.sub(lambda _: f"{root}/", text)


def inner(path: str, root: Path) -> Path | None:
    """Where a path of the Pod is; None for one that is not below `/pawl/`."""
    inside = path if path.endswith("/") else f"{path}/"
    return root / inside.removeprefix(INSIDE).rstrip("/") if inside.startswith(INSIDE) else None


def program_of(image: str, programs: Programs) -> tuple[str, ...] | None:
    """The program that stands for an image: the first pattern that fits. None: the image is to be pulled."""
    return next((argv for pattern, argv in programs.items() if fnmatchcase(image, pattern)), None)


def argv_of(container: Json, program: Sequence[str], environ: Mapping[str, str], root: Path) -> tuple[str, ...] | None:
    """Arguments of the process; None when the container's command is another program than its image has."""
    command = [str(word) for word in container.get("command") or ()]
    if command and PurePosixPath(command[0]).name != name_of(program):
        return None
    words = [*command[1:], *(str(word) for word in container.get("args") or ())]
    return (*program, *(moved(expanded(word, environ), root) for word in words))


def name_of(program: Sequence[str]) -> str:
    """What a program is called inside an image; `registry2` is a registry."""
    return PurePosixPath(program[-1]).name.rstrip("0123456789")


def expanded(text: str, environ: Mapping[str, str]) -> str:
    """`$(NAME)` replaced where the name is known, `$$` made `$`, as a kubelet does."""

    def known(found: re.Match[str]) -> str:
        return "$" if found[1] == "$" else environ.get(found[2], found[0])

    return REFERENCE.sub(known, text)


def listening(container: Json, program: Sequence[str], address: str) -> dict[str, str]:
    """Variables that make a process listen on its Pod's address instead of on all of this machine."""
    if name_of(program) != "registry":
        return {"PAWL_WORK_LISTEN": f"{address}:{WORKER_PORT}"}
    ports = [port["containerPort"] for port in container.get("ports") or ()]
    return {"REGISTRY_HTTP_ADDR": f"{address}:{ports[0]}"} if ports else {}


def downward(path: str, pod: Json, address: str) -> str:
    """The value of a `fieldRef`; empty for what this node does not know."""
    if path in {"status.podIP", "status.hostIP"}:
        return address if path == "status.podIP" else "127.0.0.1"
    key = re.fullmatch(r"metadata\.(labels|annotations)\['(.+)'\]", path)
    if key:
        return str(pod["metadata"].get(key[1], {}).get(key[2], ""))
    found: Any = pod
    for part in path.split("."):
        found = found.get(part, "") if isinstance(found, dict) else ""
    return found if isinstance(found, str) else ""
