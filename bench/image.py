"""The image on real nodes: how large it is, how soon it answers, what an installed replica takes.

Neighbours: `scripts/image.py` builds it, `charts/pawl` installs it, `idle` measures the same without a container.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
from scripts.bootstrap import ROOT
from scripts.image import ensure_image

from bench.rows import Row
from pawl.sandbox import Running, SandboxOptions, real_nodes_missing, running

MIB = 1 << 20
NAMESPACE = "pawl-system"
REST = 30
"""Seconds that a replica rests before its memory is read."""
TIMES = 7
STARTS = f"""
import json, subprocess, time
def once(*words):
    start = time.monotonic()
    subprocess.run(words, capture_output=True, check=True)
    return time.monotonic() - start
print(json.dumps([once("pawl", "--version") for _ in range({TIMES})]))
"""


def image(out: Path) -> list[Row]:
    """The image on two real nodes of the sandbox, installed by the chart: size, start, memory of idle replicas."""
    del out
    why = real_nodes_missing(os.environ)
    if why:
        print(f"image: not measured, {why}")
        return []
    with running(SandboxOptions(name=f"bench-image-{os.getpid()}", real_nodes=2)) as nodes:
        reference = ensure_image(str(nodes.registry))
        sizes = [layer["size"] / MIB for layer in manifest(reference)["layers"]]
        starts = [start for node in nodes.real for start in version_starts(nodes, node.name, reference)]
        installed = install(nodes, reference)
        time.sleep(REST)
        found = [figures(nodes, pod) for pod in pods(nodes)]
    return [
        Row("compressed size", sum(sizes), "MiB", 90),
        Row("  layers", len(sizes), ""),
        Row("version of pawl printed in the container, median", statistics.median(starts), "s", 2),
        Row("`helm install --wait`, two replicas, image present", installed, "s", 30),
        Row("start of the process to ready, the slower replica", max(one["ready"] for one in found), "s", 3),
        Row(f"  CPU until ready and {REST} s of rest", max(one["cpu"] for one in found), "s"),
        Row("idle memory, working set as `kubectl top` tells, the larger", max(one["set"] for one in found), "MiB", 90),
        Row("  resident set (VmRSS)", max(one["rss"] for one in found), "MiB", 90),
    ]


def manifest(reference: str) -> dict[str, Any]:
    """The image's manifest as the registry has it."""
    registry, _, name = reference.partition("/")
    repository, digest = name.partition("@")[0].partition(":")[0], name.partition("@")[2]
    accept = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
    request = urllib.request.Request(f"http://{registry}/v2/{repository}/manifests/{digest}", headers=accept)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def version_starts(nodes: Running, node: str, reference: str) -> list[float]:
    """Seconds of `pawl --version` on a node, each in a process of its own; the image is pulled on the way."""
    name = f"starts-{node}"
    spec = {"nodeName": node, "restartPolicy": "Never"}
    container = {"name": "main", "image": reference, "command": ["python3", "-c", STARTS]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {**spec, "containers": [container]}}
    kubectl(nodes, "apply", "-f", "-", given=json.dumps(pod))
    kubectl(nodes, "wait", f"pod/{name}", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=120s")
    found: list[float] = json.loads(kubectl(nodes, "logs", name))
    return found


def install(nodes: Running, reference: str) -> float:
    """Install the chart; the seconds until both replicas were Ready."""
    name, _, digest = reference.partition("@")
    values = [f"image.repository={name.rpartition(':')[0]}", f"image.digest={digest}"]
    helm = [str(Path(sys.executable).with_name("helm")), "install", "pawl", str(ROOT / "charts" / "pawl")]
    helm += ["--namespace", NAMESPACE, "--create-namespace", "--wait", "--timeout", "120s"]
    start = time.monotonic()
    command = [*helm, *(word for value in values for word in ("--set", value))]
    subprocess.run(command, env=os.environ | nodes.env, check=True, capture_output=True)
    return time.monotonic() - start


def pods(nodes: Running) -> list[dict[str, Any]]:
    """The replicas."""
    told = kubectl(nodes, "get", "pods", "-n", NAMESPACE, "-l", "app.kubernetes.io/name=pawl", "-o", "json")
    found: list[dict[str, Any]] = json.loads(told)["items"]
    return found


def figures(nodes: Running, pod: dict[str, Any]) -> dict[str, float]:
    """What one replica took."""
    name, node = pod["metadata"]["name"], pod["spec"]["nodeName"]
    container = pod["status"]["containerStatuses"][0]["containerID"].rpartition("/")[2]
    process = psutil.Process(min(processes(container)))
    summary = json.loads(kubectl(nodes, "get", "--raw", f"/api/v1/nodes/{node}/proxy/stats/summary"))
    (mine,) = (one for one in summary["pods"] if one["podRef"]["uid"] == pod["metadata"]["uid"])
    (entry,) = (line for line in kubectl(nodes, "logs", "-n", NAMESPACE, name).splitlines() if '"ready"' in line)
    ready = datetime.fromisoformat(json.loads(entry)["timestamp"]).timestamp()
    return {
        "ready": ready - process.create_time(),
        "rss": process.memory_info().rss / MIB,
        "cpu": sum(process.cpu_times()[:2]),
        "set": sum(one["memory"]["workingSetBytes"] for one in mine["containers"]) / MIB,
    }


def processes(container: str) -> Iterator[int]:
    """Processes of a container on this machine: their cgroup names it."""
    for path in Path("/proc").glob("[0-9]*/cgroup"):
        try:
            if container in path.read_text():
                yield int(path.parent.name)
        except OSError:
            continue


def kubectl(nodes: Running, *words: str, given: str | None = None) -> str:
    """Run kubectl against the sandbox; what it printed."""
    command = [nodes.env["KUBECTL"], *words]
    return subprocess.run(
        command, env=os.environ | nodes.env, input=given, capture_output=True, text=True, check=True
    ).stdout
