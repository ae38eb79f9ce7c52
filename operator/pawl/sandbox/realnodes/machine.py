"""Whether this machine can carry real nodes, and what it still lacks: programs of Debian, rights, kernel parts.

`missing` asks and changes nothing; `prepare` installs with apt-get what is not there and says so. The units that the
packages bring (containerd's) are not used: each node runs a containerd of its own.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from pawl.api.errors import SandboxError
from pawl.sandbox.files import locked
from pawl.sandbox.golang import ATTEMPTS, Run, attempts, run
from pawl.sandbox.options import Runtime
from pawl.sandbox.paths import cache_dir
from pawl.sandbox.realnodes import cgroups
from pawl.sandbox.realnodes.config import CNI_BINARIES

PROGRAMS: Mapping[str, str] = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "nft": "nftables",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "ethtool": "ethtool",
    "socat": "socat",
    "ip": "iproute2",
    "mount": "mount",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    f"{CNI_BINARIES}/ptp": "containernetworking-plugins",
    f"{CNI_BINARIES}/portmap": "containernetworking-plugins",
}
"""What a node runs, and the package of Debian and Ubuntu that has it."""
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
FILE_SYSTEMS = Path("/proc/filesystems")
"""Beside root's rights, what a container of a build service most often lacks."""
WATCHERS = Path("/proc/sys/fs/inotify/max_user_instances")
ENOUGH_WATCHERS = 2048
"""Each kubelet, containerd and kube-proxy takes several, all as the same user; the kernel's default is 128."""
TRIAL = "add table ip pawl_trial; add chain ip pawl_trial c { type nat hook postrouting priority 100; }"


def missing(environ: Mapping[str, str], command: Run = run) -> str | None:
    """Why this machine cannot have real nodes, in one sentence with the way out; None when it can. Installs nothing."""
    for found in (_platform(), _installable(environ), _overlay(environ, command), _controllers(), _namespaces(command)):
        if found:
            return found
    return None


def prepare(runtime: Runtime) -> None:
    """Install what is missing. Raises SandboxError when this machine cannot have real nodes."""
    if why := missing(runtime.environ, runtime.command):
        raise SandboxError(f"real nodes: {why}")
    with locked(cache_dir(runtime.environ) / "apt.lock"):
        if packages := lacking():
            with runtime.progress.step(f"install with apt-get, for real nodes: {', '.join(packages)}"):
                _install(packages, runtime)
    _try_rules(runtime)
    _raise_limit(WATCHERS, runtime)


def lacking(path: str = SYSTEM_PATH) -> list[str]:
    """Packages whose programs are not on this machine, sorted."""
    return sorted({package for program, package in PROGRAMS.items() if not shutil.which(program, path=path)})


def _platform() -> str | None:
    if sys.platform != "linux":
        return "they need Linux; use simulated ones with --nodes"
    if os.geteuid() != 0:
        return "they need root; run as root, or use simulated ones with --nodes"
    return None


def _installable(environ: Mapping[str, str]) -> str | None:
    packages = lacking()
    if packages and not shutil.which("apt-get", path=environ.get("PATH", SYSTEM_PATH)):
        return f"{', '.join(packages)} must be installed, and there is no apt-get to do it with; install them"
    return None


def _overlay(environ: Mapping[str, str], command: Run) -> str | None:
    if not _has_overlay():
        command(["modprobe", "overlay"], environ)
    return None if _has_overlay() else "the kernel has no overlay file system here; load the module overlay"


def _has_overlay() -> bool:
    return bool(re.search(r"\boverlay$", FILE_SYSTEMS.read_text(), re.MULTILINE))


def _controllers() -> str | None:
    absent = sorted(set(cgroups.NEEDED) - cgroups.controllers())
    if absent:
        return f"cgroup controllers {', '.join(absent)} are not mounted below {cgroups.ROOT}; mount them"
    if not all(os.access(each, os.W_OK) for each in cgroups.hierarchies()):
        return f"{cgroups.ROOT} is read-only; run in a container with more rights, or on the machine itself"
    return None


def _namespaces(command: Run) -> str | None:
    if command(["unshare", "--net", "--mount", "true"], {"PATH": SYSTEM_PATH}).returncode:
        return "namespaces cannot be made here; run in a container with more rights, or on the machine itself"
    return None


def _try_rules(runtime: Runtime) -> None:
    answer = runtime.command(["unshare", "--net", "nft", TRIAL], {**runtime.environ, "PATH": SYSTEM_PATH})
    if answer.returncode:
        raise SandboxError(
            f"real nodes: the kernel refuses rules of nftables ({_last_line(answer.stderr)}): load the module nf_tables"
        )


def _raise_limit(file: Path, runtime: Runtime) -> None:
    found = int(file.read_text())
    if found >= ENOUGH_WATCHERS:
        return
    try:
        file.write_text(str(ENOUGH_WATCHERS))
    except OSError as error:
        runtime.progress.note(f"{file} says {found} and cannot be raised ({error.strerror}): few real nodes will start")
    else:
        runtime.progress.note(f"{file}: raised from {found} to {ENOUGH_WATCHERS} until the next boot, for real nodes")


def _install(packages: Sequence[str], runtime: Runtime) -> None:
    said = ""
    environ = {**runtime.environ, "DEBIAN_FRONTEND": "noninteractive", "PATH": SYSTEM_PATH}
    options = ["-y", "-q", "-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=3"]
    install = ["apt-get", *options, "install", "--no-install-recommends", *packages]
    for _ in attempts(lambda _: None):
        answer = runtime.command(install, environ)
        if answer.returncode == 0:
            return
        said = _last_line(answer.stderr)
        # The index is missing or names files that are gone.
        runtime.command(["apt-get", *options, "update"], environ)
    raise SandboxError(
        f"real nodes: apt-get install {' '.join(packages)} failed {ATTEMPTS} times ({said}): install them by hand"
    )


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no message"])[-1]
