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
from dataclasses import dataclass
from pathlib import Path

from pawl.api.errors import SandboxError
from pawl.sandbox.files import locked
from pawl.sandbox.golang import ATTEMPTS, Run, run
from pawl.sandbox.options import Runtime
from pawl.sandbox.paths import cache_dir
from pawl.sandbox.realnodes import cgroups
from pawl.sandbox.realnodes.config import CNI_BINARIES
from pawl.sandbox.realnodes.network import SYSTEM_PATH

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
ELSEWHERE = "run in a container with more rights, or on the machine itself"
FILE_SYSTEMS = Path("/proc/filesystems")
WATCHERS = Path("/proc/sys/fs/inotify/max_user_instances")
ENOUGH_WATCHERS = 2048
"""Each kubelet, containerd and kube-proxy takes several, all as the same user; the kernel's default is 128."""
TRIAL = "add table ip pawl_trial; add chain ip pawl_trial c { type nat hook postrouting priority 100; }"


@dataclass(frozen=True)
class Facts:
    """What decides whether real nodes can be here."""

    system: str
    user: int
    packages: tuple[str, ...]
    """Packages whose programs are not there."""
    apt: bool
    overlay: bool
    controllers: frozenset[str]
    writable: bool
    """Whether cgroups can be made."""
    spaces: bool
    """Whether network and mount namespaces can be made."""


def missing(environ: Mapping[str, str], command: Run = run) -> str | None:
    """Why this machine cannot have real nodes, in one sentence with the way out; None when it can. Installs nothing."""
    return judge(_facts(environ, command))


def prepare(runtime: Runtime) -> None:
    """Install what is missing. Raises SandboxError when this machine cannot have real nodes."""
    if why := missing(runtime.environ, runtime.command):
        raise SandboxError(f"real nodes: {why}")
    with locked(cache_dir(runtime.environ) / "apt.lock"):
        if packages := lacking():
            install(packages, runtime)
    _try_rules(runtime)
    raise_limit(WATCHERS, runtime)


def lacking(path: str = SYSTEM_PATH) -> tuple[str, ...]:
    """Packages whose programs are not on this machine, sorted."""
    return tuple(sorted({package for program, package in PROGRAMS.items() if not shutil.which(program, path=path)}))


def judge(facts: Facts) -> str | None:
    """The first reason against real nodes, None when there is none. Pure."""
    absent = sorted(set(cgroups.NEEDED) - facts.controllers)
    reasons = (
        (facts.system != "linux", "they need Linux; use simulated ones with --nodes"),
        (facts.user != 0, "they need root; run as root, or use simulated ones with --nodes"),
        (
            facts.packages and not facts.apt,
            f"{', '.join(facts.packages)} must be installed, and there is no apt-get to do it with; install them",
        ),
        (not facts.overlay, "the kernel has no overlay file system here; load the module overlay"),
        (absent, f"cgroup controllers {', '.join(absent)} are not mounted below {cgroups.ROOT}; mount them"),
        (not facts.writable, f"{cgroups.ROOT} is read-only; {ELSEWHERE}"),
        (not facts.spaces, f"namespaces cannot be made here; {ELSEWHERE}"),
    )
    return next((text for against, text in reasons if against), None)


def _facts(environ: Mapping[str, str], command: Run) -> Facts:
    if not _has_overlay():
        command(["modprobe", "overlay"], {**environ, "PATH": SYSTEM_PATH})
    return Facts(
        system=sys.platform,
        user=os.geteuid(),
        packages=lacking(),
        apt=shutil.which("apt-get", path=SYSTEM_PATH) is not None,
        overlay=_has_overlay(),
        controllers=frozenset(cgroups.controllers()),
        writable=all(os.access(each, os.W_OK) for each in cgroups.hierarchies()),
        spaces=command(["unshare", "--net", "--mount", "true"], {"PATH": SYSTEM_PATH}).returncode == 0,
    )


def _has_overlay() -> bool:
    return FILE_SYSTEMS.exists() and bool(re.search(r"\boverlay$", FILE_SYSTEMS.read_text(), re.MULTILINE))


def _try_rules(runtime: Runtime) -> None:
    answer = runtime.command(["unshare", "--net", "nft", TRIAL], {**runtime.environ, "PATH": SYSTEM_PATH})
    if answer.returncode:
        raise SandboxError(
            f"real nodes: the kernel refuses rules of nftables ({_last_line(answer.stderr)}): load the module nf_tables"
        )


def raise_limit(file: Path, runtime: Runtime) -> None:
    """Let this user have `ENOUGH_WATCHERS`, if `file` grants fewer; says so, also where that is refused."""
    found = int(file.read_text())
    if found >= ENOUGH_WATCHERS:
        return
    try:
        file.write_text(str(ENOUGH_WATCHERS))
    except OSError as error:
        runtime.progress.note(f"{file} says {found} and cannot be raised ({error.strerror}): few real nodes will start")
    else:
        runtime.progress.note(f"{file}: raised from {found} to {ENOUGH_WATCHERS} until the next boot, for real nodes")


def install(packages: Sequence[str], runtime: Runtime) -> None:
    """Install `packages` with apt-get and say so. Raises SandboxError after `ATTEMPTS`."""
    environ = {**runtime.environ, "DEBIAN_FRONTEND": "noninteractive", "PATH": SYSTEM_PATH}
    options = ["-y", "-q", "-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=3"]
    said = ""
    with runtime.progress.step(f"install with apt-get, for real nodes: {', '.join(packages)}"):
        for _ in range(ATTEMPTS):
            argv = ["apt-get", *options, "install", "--no-install-recommends", *packages]
            answer = runtime.command(argv, environ)
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
