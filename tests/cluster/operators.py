"""The operator as a process, and a namespace's policies as a user sees them: start, write, wait on conditions.

`Operator` is one `pawl run` with its log, metrics and health; `Shop` is one namespace on the real API server. Every
status that `Shop` shows was judged by `coherence` first. Neighbours: `api` is the bare client underneath.
Not here: registries (`tests.support.registry`), histories (`tests.faults.recorder`).
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.cluster.api import POLICIES, Answer, Api, Json
from tests.cluster.coherence import incoherent

START = 90.0
"""Seconds for a process to come up on a busy machine."""
POLL = 0.03


class Operator:
    """One `pawl run`. Its log is JSON lines; `identity` is its name in the Lease."""

    def __init__(
        self, kubeconfig: Path | str, log: Path, namespace: str, *arguments: str, env: Json | None = None
    ) -> None:
        self.namespace, self._log = namespace, log
        argv = [sys.executable, "-m", "pawl", "run", "--namespace", namespace, *arguments]
        environ = {k: v for k, v in os.environ.items() if not k.startswith("PAWL_")} | {"KUBECONFIG": str(kubeconfig)}
        with log.open("wb") as stream:
            self.process = subprocess.Popen(argv, env=environ | (env or {}), stderr=stream, stdout=stream)
        self._first: Json = {}

    @property
    def identity(self) -> str:
        return str(self._listening()["identity"])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listening()['port']}"

    def _listening(self) -> Json:
        if not self._first:
            self._first = self.wait_log("listening")
        return self._first

    def lines(self, event: str = "") -> list[Json]:
        """The log's entries; of one event, if named."""
        read = self._log.read_bytes().splitlines()
        entries = [json.loads(line) for line in read if line.startswith(b"{") and line.endswith(b"}")]
        return [entry for entry in entries if event in ("", entry["event"])]

    @property
    def text(self) -> str:
        return self._log.read_text(errors="replace")

    def wait_log(self, event: str, seconds: float = START) -> Json:
        """Wait for the first entry of an event."""
        end = time.monotonic() + seconds
        while not (found := self.lines(event)):
            assert self.process.poll() is None, (
                f"the operator ended with {self.process.returncode}:\n{self.text[-3000:]}"
            )
            assert time.monotonic() < end, f"no {event!r} in the log:\n{self.text[-3000:]}"
            time.sleep(POLL)
        return found[0]

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.url}/{path}", trust_env=False, timeout=5)

    def metrics(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        """Every sample of /metrics by name and labels."""
        families = text_string_to_metric_families(self.get("metrics").text)
        return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that carry these labels."""
        wanted = set(labels.items())
        return sum(value for (known, have), value in self.metrics().items() if known == name and wanted <= have)

    def kill(self) -> None:
        """kill -9, as a crash."""
        self.process.kill()
        self.process.wait(10)

    def terminate(self, seconds: float = 20) -> int:
        """SIGTERM, as Kubernetes does; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def close(self) -> None:
        """End it whatever its state."""
        try:
            self.terminate()
        except subprocess.TimeoutExpired:
            self.kill()
            raise


@contextmanager
def operator_of(kubeconfig: Path | str, directory: Path, *arguments: str, namespace: str = "") -> Iterator[Operator]:
    """One operator that leads, in a Lease namespace of its own unless one is named."""
    running = Operator(
        kubeconfig, directory / f"{uuid4().hex[:8]}.log", namespace or f"ops-{uuid4().hex[:8]}", *arguments
    )
    try:
        running.wait_log("this replica leads")
        yield running
    finally:
        running.close()


@dataclass
class Shop:
    """One namespace of policies, and the operator that works there. Names default to `web`."""

    api: Api
    namespace: str
    operator: Operator
    _asked: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def path(self, name: str = "web") -> str:
        return f"{POLICIES}/namespaces/{self.namespace}/imagepolicies/{name}"

    def core(self, kind: str, name: str = "") -> str:
        return f"api/v1/namespaces/{self.namespace}/{kind}" + (f"/{name}" if name else "")

    # what users write

    def create(self, spec: Json, name: str = "web") -> None:
        good(self.api.post(self.path("").rstrip("/"), manifest(name, spec)))

    def edit(self, name: str = "web", **spec: object) -> None:
        """Change fields of the spec; None removes one."""
        good(self.api.merge(self.path(name), {"spec": spec}))

    def delete(self, name: str = "web") -> None:
        good(self.api.delete(self.path(name)))

    def secret(self, name: str, values: dict[str, str], type_: str = "Opaque") -> None:
        """Create a Secret, or replace its values."""
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": type_, "stringData": values}
        if not self.api.post(self.core("secrets"), body).ok:
            good(self.api.delete(self.core("secrets", name)))
            good(self.api.post(self.core("secrets"), body))

    def pull_secret(self, name: str, host: str, user: str, password: str) -> None:
        auth = base64.b64encode(f"{user}:{password}".encode()).decode()
        config = json.dumps({"auths": {host: {"auth": auth}}})
        self.secret(name, {".dockerconfigjson": config}, "kubernetes.io/dockerconfigjson")

    def annotate(self, name: str = "web") -> str:
        """Ask for a run now; the value that status will echo."""
        wish = f"ask-{next(self._asked)}-{uuid4().hex[:6]}"
        good(self.api.merge(self.path(name), {"metadata": {"annotations": {"reconcile.pawl.dev/requestedAt": wish}}}))
        return wish

    # what users see

    def read(self, name: str = "web") -> Json:
        """The policy as it is now, judged."""
        policy = good(self.api.get(self.path(name))).body
        assert not (faults := incoherent(policy)), f"{faults}\n{json.dumps(policy['status'], indent=1)}"
        return policy

    async def until(self, wanted: Callable[[Json], object], name: str = "web", seconds: float = 60.0) -> Json:
        """Wait for a status; the policy that has it."""
        end = time.monotonic() + seconds
        while not wanted(policy := self.read(name)):
            assert time.monotonic() < end, f"after {seconds:g} s: {json.dumps(policy['status'])}\n{self._told(name)}"
            await asyncio.sleep(POLL)
        return policy

    def _told(self, name: str) -> str:
        """What the operator said of a policy, and what went wrong in it, for a test that fails."""
        of = f"{self.namespace}/{name}"
        lines = [line for line in self.operator.lines() if of in str(line) or line["level"] == "error"]
        return "\n".join(json.dumps(line)[:600] for line in lines[-8:])

    async def tag(self, tag: str, name: str = "web", seconds: float = 60.0) -> Json:
        """Wait until a tag is selected; the selection."""
        found = await self.until(lambda policy: selected(policy).get("tag") == tag, name, seconds)
        return selected(found)

    async def ask(self, name: str = "web", seconds: float = 60.0) -> Json:
        """Ask for a run by annotation and wait until it was done for the latest spec."""
        wish = self.annotate(name)
        return await self.until(lambda policy: handled(policy, wish), name, seconds)

    def ledger(self, name: str = "web") -> Json | None:
        """The ledger's ConfigMap, None where there is none."""
        found = self.api.get(self.core("configmaps", f"pawl-ledger-{name}"))
        return found.body if found.ok else None

    def ledger_content(self, name: str = "web") -> Json:
        found = self.ledger(name)
        assert found is not None
        content: Json = json.loads(found["data"]["ledger"])
        return content

    def events(self, name: str = "web") -> list[Json]:
        """The Events about a policy, oldest first."""
        items = good(self.api.get(self.core("events"))).body["items"]
        mine = [event for event in items if event["involvedObject"]["name"] == name]
        return sorted(mine, key=lambda event: int(event["metadata"]["resourceVersion"]))

    def reasons(self, name: str = "web") -> list[str]:
        return [event["reason"] for event in self.events(name)]

    async def until_events(self, wanted: Sequence[str], name: str = "web", seconds: float = 30.0) -> None:
        """Wait until exactly these Events were told, in any order."""
        end = time.monotonic() + seconds
        while sorted(self.reasons(name)) != sorted(wanted):
            assert time.monotonic() < end, f"wanted {wanted}, saw {self.reasons(name)}"
            await asyncio.sleep(POLL)


def manifest(name: str, spec: Json) -> Json:
    return {"apiVersion": "pawl.dev/v1alpha1", "kind": "ImagePolicy", "metadata": {"name": name}, "spec": spec}


def spec(host: str, repository: str = "shop/web", **fields: Any) -> Json:
    """A policy of semantic versions on a plain registry, looked at every ten seconds."""
    access = {"plainHTTP": True} | fields.pop("access", {})
    select = {"semver": {"range": "*"}}
    return {"image": f"{host}/{repository}", "interval": "10s", "select": select, "access": access} | fields


def selected(policy: Json) -> Json:
    """The selection, {} for none."""
    found: Json = policy.get("status", {}).get("selection", {})
    return found


def handled(policy: Json, wish: str) -> bool:
    """Whether a wish was acted on, with the latest spec."""
    status = policy["status"]
    seen = status.get("observedGeneration") == policy["metadata"]["generation"]
    return seen and status.get("lastHandledReconcileAt") == wish


def tell(capsys: pytest.CaptureFixture[str], text: str) -> None:
    """Print a measured figure, whatever pytest captures."""
    with capsys.disabled():
        sys.stdout.write(f"  {text}\n")


def good(answer: Answer) -> Answer:
    assert answer.ok, answer.message
    return answer


async def eventually(wanted: Callable[[], object], seconds: float = 60.0, what: str = "") -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not wanted():
        assert time.monotonic() < end, f"after {seconds:g} s not yet: {what or wanted}"
        await asyncio.sleep(POLL)
