"""Records every status of every policy as the API server stored it, and judges the history.

A thread watches from the first version on: what a test sees by asking now and then could hide a step back in between.
The law is `tests.cluster.ratchet.allowed`, written from the contract. Neighbours: `replicas` writes what is recorded.
Not here: polling for a state (`tests.cluster.operators`).
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import yaml
from tests.cluster.api import POLICIES, _connection
from tests.cluster.ratchet import allowed

Json = dict[str, Any]


@dataclass
class Stored:
    """One version of an object: `at` is when the watch brought it (monotonic seconds)."""

    at: float
    version: int
    kind: str
    body: Json


@dataclass
class Recorder:
    """All versions of one kind, in the order of the API server."""

    path: str
    client: httpx.Client
    stored: list[Stored] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        listed = self.client.get(self.path)
        listed.raise_for_status()
        version = str(listed.json()["metadata"]["resourceVersion"])
        for item in listed.json()["items"] or ():
            self._take("LISTED", item)
        self._thread = threading.Thread(target=self._follow, args=(version,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(10)
        self.client.close()

    def _take(self, kind: str, body: Json) -> None:
        self.stored.append(Stored(time.monotonic(), int(body["metadata"]["resourceVersion"]), kind, body))

    def _follow(self, version: str) -> None:
        """Go on from the last version whatever breaks: a gap would be a blind spot."""
        while not self._stop.is_set():
            query = {
                "watch": "true",
                "resourceVersion": version,
                "timeoutSeconds": "600",
                "allowWatchBookmarks": "true",
            }
            try:
                with self.client.stream("GET", self.path, params=query) as answer:
                    for line in answer.iter_lines():
                        version = self._event(json.loads(line))
                        if self._stop.is_set():
                            return
            except httpx.ReadTimeout:
                continue
            except httpx.HTTPError as error:
                self.trouble.append(str(error))
                time.sleep(0.2)

    def _event(self, event: Json) -> str:
        if event["type"] == "ERROR":
            raise AssertionError(f"the recorder fell behind: {event}")
        if event["type"] != "BOOKMARK":
            self._take(event["type"], event["object"])
        return str(event["object"]["metadata"]["resourceVersion"])

    def of(self, namespace: str, name: str = "") -> list[Stored]:
        """The versions of one object, or of all objects of a namespace."""
        mine = (one for one in self.stored if one.body["metadata"].get("namespace") == namespace)
        return [one for one in mine if name in ("", one.body["metadata"]["name"])]

    def steps(self, namespace: str, name: str) -> list[Json]:
        """The selections that a policy went through, each once; across deletion too."""
        found: list[Json] = []
        for one in self.of(namespace, name):
            held = one.body.get("status", {}).get("selection")
            if held is not None and (not found or found[-1] != held):
                found.append(held)
        return found

    def broken(self, namespace: str) -> list[str]:
        """Every step that the law forbids, also across deletion and recreation."""
        names = {one.body["metadata"]["name"] for one in self.of(namespace)}
        faults = []
        for name in sorted(names):
            steps = self.steps(namespace, name)
            faults += [f"{name}: {a} -> {b}" for a, b in pairwise(steps) if not allowed(a, b)]
            faults += [f"{name}: {fault}" for fault in _lost(self.of(namespace, name))]
        return faults


def _lost(versions: list[Stored]) -> Iterator[str]:
    """A selection that was there and is not, within the life of one object."""
    held: dict[str, bool] = {}
    for one in versions:
        uid = one.body["metadata"]["uid"]
        now = "selection" in one.body.get("status", {})
        if held.get(uid) and not now:
            yield f"the selection was removed at {one.version}"
        held[uid] = now


def client_of(kubeconfig: Path) -> httpx.Client:
    server, context = _connection(yaml.safe_load(kubeconfig.read_text()))
    return httpx.Client(base_url=server, verify=context, timeout=httpx.Timeout(10, read=3), trust_env=False)


@contextmanager
def recording(kubeconfig: Path, path: str = f"{POLICIES}/imagepolicies") -> Iterator[Recorder]:
    """Record one kind for the time of a block."""
    recorder = Recorder(path, client_of(kubeconfig))
    recorder.start()
    try:
        yield recorder
    finally:
        recorder.stop()
