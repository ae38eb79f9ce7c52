"""Releases of the chart on a real API server: helm and kubectl as a user runs them, and looks at what there is.

Neighbours: `rendering` is the chart without a cluster. Not here: real kubelets (`tests/node`).
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import yaml
from tests.chart.rendering import CHART, MINIMUM, Json, merged, run_helm
from tests.cluster.api import Api
from tests.cluster.grounds import Ground, scenario

WAIT = 90.0
"""Seconds for Pods and deletions on a busy machine."""


@dataclass
class Machine:
    """helm and kubectl with one kubeconfig."""

    kubeconfig: Path
    kubectl_path: str = "kubectl"

    @property
    def env(self) -> dict[str, str]:
        return {**os.environ, "KUBECONFIG": str(self.kubeconfig)}

    def helm(self, *arguments: str, stdin: str = "") -> str:
        """Run helm. Raises RefusedError."""
        return run_helm(*arguments, stdin=stdin, env=self.env)

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        """Run kubectl; what it prints, or an AssertionError with its words."""
        command = [self.kubectl_path, *arguments]
        done = subprocess.run(
            command, env=self.env, input=stdin, capture_output=True, text=True, check=False, timeout=240
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def get(self, *arguments: str) -> Any:
        """Return an object, or the objects of a list; None where there is nothing."""
        text = self.kubectl("get", *arguments, "-o", "json", "--ignore-not-found")
        found = json.loads(text) if text.strip() else None
        return found["items"] if found is not None and "items" in found else found


@dataclass
class Release:
    """One release, by its name in a namespace."""

    machine: Machine
    namespace: str
    name: str = "pawl"
    given: Json = field(default_factory=dict)

    def install(self, *flags: str) -> str:
        return self._bring("install", *flags)

    def upgrade(self, changed: Json | None = None, *flags: str) -> str:
        self.given = merged(self.given, changed or {})
        return self._bring("upgrade", *flags)

    def _bring(self, verb: str, *flags: str) -> str:
        more = ("--namespace", self.namespace, "--wait", "--timeout", f"{WAIT:.0f}s", "--values", "-", *flags)
        given = json.dumps(merged(MINIMUM, self.given))
        return self.machine.helm(verb, self.name, str(CHART), *more, stdin=given)

    def rollback(self, revision: int) -> None:
        self.machine.helm("rollback", self.name, str(revision), "--namespace", self.namespace, "--wait")

    def uninstall(self) -> str:
        return self.machine.helm("uninstall", self.name, "--namespace", self.namespace, "--wait", "--ignore-not-found")

    def manifest(self) -> list[Json]:
        """Every object of the release, hooks left out."""
        text = self.machine.helm("get", "manifest", self.name, "--namespace", self.namespace)
        return [each for each in yaml.load_all(text, yaml.CSafeLoader) if each]

    def live(self, wanted: list[Json]) -> dict[tuple[str, str], Json]:
        """Return what the API server has of some objects, by kind and name."""
        text = "---\n".join(yaml.safe_dump(each) for each in wanted)
        shown = self.machine.kubectl("get", "-f", "-", "-o", "json", "--ignore-not-found", stdin=text)
        found = json.loads(shown)["items"] if shown.strip() else []
        return {(each["kind"], each["metadata"]["name"]): each for each in found}

    def pods(self) -> list[Json]:
        selector = f"app.kubernetes.io/instance={self.name},app.kubernetes.io/component=operator"
        found: list[Json] = self.machine.get("pods", "-n", self.namespace, "-l", selector)
        return found


@dataclass(frozen=True)
class Site:
    """Where a test installs: an API server of its own, its administrator, and one release that is not installed yet."""

    ground: Ground
    machine: Machine
    release: Release

    @property
    def api(self) -> Api:
        return self.ground.api


@contextmanager
def machine_on(ground: Ground) -> Iterator[Machine]:
    """The administrator's helm and kubectl. CRDs that a release kept go with the test."""
    found = Machine(ground.cluster.kubeconfig, ground.cluster.env.get("KUBECTL", "kubectl"))
    yield found
    names = [each["metadata"]["name"] for each in found.get("crd") or () if each["spec"]["group"] == "pawl.dev"]
    if names:
        found.kubectl("delete", "crd", "--ignore-not-found", *names)


@contextmanager
def site_on(ground: Ground) -> Iterator[Site]:
    """A fresh namespace that takes restricted Pods only; it goes with the test, and the release before it."""
    name = f"pawl-{uuid4().hex[:8]}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    with machine_on(ground) as machine:
        made = ground.api.post("api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})
        assert made.ok, made.message
        release = Release(machine, name)
        try:
            yield Site(ground, machine, release)
        finally:
            release.uninstall()
            ground.api.delete(f"api/v1/namespaces/{name}")


on_site = scenario(site_on)


def wait_until(ask: Callable[[], object], seconds: float = WAIT) -> None:
    """Wait until the answer is true."""
    end = time.monotonic() + seconds
    while not (answer := ask()):
        assert time.monotonic() < end, f"still {answer!r}"
        time.sleep(0.2)
