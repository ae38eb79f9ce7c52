"""The one directory of a node's containerd that a trust worker owns: `<certs.d>/<host>` with hosts.toml and ca.crt.

A marker file says that it is ours; a directory without one is never written to and never removed. Files are replaced
whole, so containerd, which reads them at every pull, never sees half of one. Neighbours: `trust` decides when.
Not here: containerd's own configuration, which is only read.
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pawl.api.errors import PawlError

MARKER: Final = ".pawl"
HOSTS: Final = "hosts.toml"
CA: Final = "ca.crt"

_OURS: Final = frozenset({MARKER, HOSTS, CA})
_TEMPORARY: Final = ".tmp"
_CRI: Final = (("io.containerd.cri.v1.images", "registry"), ("io.containerd.grpc.v1.cri", "registry"))


class NotOurs(PawlError):
    """The directory of this host was made by somebody else."""


@dataclass(frozen=True, slots=True)
class HostFiles:
    """What a node is told of one registry. `ca_pem` empty: the system's authorities vouch for it."""

    url: str
    ca_pem: str = ""

    @property
    def files(self) -> dict[str, str]:
        """Name and content of each file, in the order in which they are written."""
        ca = {CA: self.ca_pem} if self.ca_pem else {}
        return {MARKER: "made by Pawl for a RegistryStorage; removed with it\n", **ca, HOSTS: self._toml()}

    def _toml(self) -> str:
        ca = f'  ca = "{CA}"\n' if self.ca_pem else ""
        head = f'server = "{self.url}"\n\n[host."{self.url}"]\n'
        return f'{head}  capabilities = ["pull", "resolve"]\n{ca}'


def ours(directory: Path) -> bool:
    """Whether the directory may be written: it is marked, empty, or not there."""
    return (directory / MARKER).is_file() or not directory.exists() or not any(directory.iterdir())


def write(directory: Path, wanted: HostFiles) -> bool:
    """Make the directory so; whether anything had to be changed. Raises NotOurs and OSError."""
    if not ours(directory):
        raise NotOurs(
            f"{directory} was not made by Pawl and is left alone: remove it, or unset spec.access.nodeTrust and let "
            "its maker name the authority"
        )
    directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    files = wanted.files
    changed = [_replaced(directory / name, text) for name, text in files.items()]
    surplus = [name for name in _OURS - set(files) if (directory / name).exists()]
    for name in surplus:
        (directory / name).unlink()
    return any(changed) or bool(surplus)


def remove(directory: Path) -> None:
    """Take our files away, and the directory if nothing else is in it; one that is not ours stays. Raises OSError."""
    if not (directory / MARKER).is_file():
        return
    for name in (HOSTS, CA, MARKER):
        (directory / name).unlink(missing_ok=True)
        (directory / f"{name}{_TEMPORARY}").unlink(missing_ok=True)
    if not any(directory.iterdir()):
        directory.rmdir()


def _replaced(path: Path, text: str) -> bool:
    """Write a file whole, unless it is so already; whether it was written."""
    body = text.encode()
    if path.is_file() and not path.is_symlink() and path.read_bytes() == body:
        return False
    temporary = path.with_name(f"{path.name}{_TEMPORARY}")
    temporary.unlink(missing_ok=True)
    with temporary.open("xb") as file:  # never through a link that somebody put there
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    temporary.chmod(0o644)
    temporary.replace(path)
    return True


def unread(config: Path) -> str:
    """Say in a sentence that containerd does not look at certs.d, "" where it does or where that cannot be known."""
    try:
        document = tomllib.loads(config.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return ""
    if _config_path(document) or document.get("imports") or int(document.get("version", 1)) >= 4:
        return ""  # further files may set it, and newer forms have it by default
    return "containerd of this node has no registry.config_path, so it does not read certs.d: set it and restart it"


def _config_path(document: dict[str, Any]) -> str:
    """The value in either form of the configuration."""
    plugins = document.get("plugins", {})
    for plugin, table in _CRI:
        found = plugins.get(plugin, {}).get(table, {}).get("config_path", "")
        if found:
            return str(found)
    return ""
