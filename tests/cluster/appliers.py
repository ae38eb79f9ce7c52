"""GitOps tools, played: one that applies as Argo CD does, one as Flux does. Both heal again and again, both tell diffs.

`ArgoLike` uses the real kubectl: a client-side apply with its annotation, and beside `kubectl diff` (which asks the
server and so passes admission) the comparison that Argo CD shows by default: what Git says against what is stored, on
the fields that Git names. `FluxLike` compares a forced server-side dry run with what is stored.
Neighbours: `override_stage` is where they apply. Not here: pruning, health, waves.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from tests.cluster.api import APPLY, Answer, Json
from tests.cluster.override_stage import Stage, plural_of

HEAL = 10.0
"""Seconds between two looks."""
ARGO = "argocd-controller"
FLUX = "kustomize-controller"
TRIES = 5
SERVER_SIDE = ("managedFields", "resourceVersion", "generation", "uid", "creationTimestamp")


@dataclass
class Report:
    """What an applier saw and did, over all its looks."""

    looks: int = 0
    applies: int = 0
    """Writes beyond the first, each to heal a diff."""
    diffs: list[str] = field(default_factory=list)
    """Diffs, as the tool's own users see them: one line each, oldest first."""
    server_diffs: list[str] = field(default_factory=list)
    """ArgoLike only: what `kubectl diff` printed, which passes admission."""

    @property
    def saw_a_diff(self) -> bool:
        return bool(self.diffs)


class Applier:
    """Looks every `heal` seconds and heals. Git is the objects that `commit` was given."""

    def __init__(self, stage: Stage, heal: float) -> None:
        self.report = Report()
        self._stage = stage
        self._heal = heal
        self._git: list[Json] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._fault: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def commit(self, *objects: Json) -> None:
        """Put these into Git in place of what was there, and apply them at once; the first diff is not told."""
        with self._lock:
            self._git = list(objects)
            self.sync()

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """End it. AssertionError where it broke on the way."""
        self._stop.set()
        self._thread.join(60)
        assert self._fault is None, f"the applier broke: {self._fault!r}"

    def look(self) -> list[str]:
        """Look once now, heal what differs, and return it."""
        with self._lock:
            found = self.differences()
            self.report.looks += 1
            self.report.diffs += found
            if found:
                self.sync()
                self.report.applies += 1
        return found

    def sync(self) -> None:
        """Apply what is in Git."""
        raise NotImplementedError

    def differences(self) -> list[str]:
        """What differs from Git now, one line each."""
        raise NotImplementedError

    def _run(self) -> None:
        try:
            while not self._stop.wait(self._heal):
                self.look()
        except BaseException as error:  # noqa: BLE001 - told by `close`, in the test's own thread
            self._fault = error


class ArgoLike(Applier):
    """Client-side apply with self-heal: three ways between Git, the last applied annotation and what is stored."""

    def sync(self) -> None:
        answer = self._stage.kubectl("apply", "--field-manager", ARGO, "-f", "-", stdin=self._manifest())
        assert answer.returncode == 0, answer.stderr

    def differences(self) -> list[str]:
        """What Argo CD shows by default; what `kubectl diff` says goes into the report only."""
        answer = self._stage.kubectl("diff", "--field-manager", ARGO, "-f", "-", stdin=self._manifest())
        assert answer.returncode in (0, 1), answer.stderr
        if answer.returncode == 1:
            self.report.server_diffs.append(answer.stdout)
        return [line for body in self._git for line in self._difference(body)]

    def _difference(self, body: Json) -> list[str]:
        name = f"{body['kind']}/{body['metadata']['name']}"
        live = self._stage.find(plural_of(body), body["metadata"]["name"])
        return [f"{name}: gone"] if live is None else list(unlike(body, live, name))

    def _manifest(self) -> str:
        return json.dumps({"apiVersion": "v1", "kind": "List", "items": self._git})


class FluxLike(Applier):
    """Server-side apply with force under its own manager; what differs is found by a dry run."""

    def sync(self) -> None:
        for body in self._git:
            answer = self._apply(body, dry=False)
            assert answer.ok, answer.message

    def differences(self) -> list[str]:
        return [line for body in self._git for line in self._difference(body)]

    def _difference(self, body: Json) -> list[str]:
        name = f"{body['kind']}/{body['metadata']['name']}"
        pair = self._would_and_is(body)
        return list(unlike(_compared(pair[0]), _compared(pair[1]), name)) if pair else [f"{name}: gone"]

    def _would_and_is(self, body: Json) -> tuple[Json, Json] | None:
        """The dry run and what is stored, of one version: a controller's write in between would pass for a diff."""
        for _ in range(TRIES):
            live = self._stage.find(plural_of(body), body["metadata"]["name"])
            if live is None:
                return None
            would = self._apply(body, dry=True)
            assert would.ok, would.message
            if _version(would.body) == _version(live):
                return would.body, live
        raise AssertionError(f"{body['kind']}/{body['metadata']['name']} does not hold still")

    def _apply(self, body: Json, *, dry: bool) -> Answer:
        path = self._stage.path(plural_of(body), body["metadata"]["name"])
        query = {"fieldManager": FLUX, "force": "true"} | ({"dryRun": "All"} if dry else {})
        return self._stage.api._send("PATCH", path, body, APPLY, query)


def unlike(wanted: object, live: object, path: str) -> Iterator[str]:
    """Where `live` is not as `wanted` says; fields that only `live` has do not count. Lists of named things by name."""
    if isinstance(wanted, dict) and isinstance(live, dict):
        for key, value in wanted.items():
            yield from unlike(value, live.get(key), f"{path}.{key}")
    elif isinstance(wanted, list) and isinstance(live, list) and _has_names(wanted):
        by_name = {each.get("name"): each for each in live}
        for each in wanted:
            yield from unlike(each, by_name.get(each["name"]), f"{path}[{each['name']}]")
    elif wanted != live:
        yield f"{path}: {live!r} instead of {wanted!r}"


def _has_names(items: Sequence[object]) -> bool:
    return bool(items) and all(isinstance(each, dict) and "name" in each for each in items)


def _version(body: Json) -> str:
    return str(body["metadata"]["resourceVersion"])


def _compared(body: Json) -> Json:
    """What Flux compares: not the status, nothing that only the server writes."""
    metadata = {key: value for key, value in body["metadata"].items() if key not in SERVER_SIDE}
    return {key: value for key, value in body.items() if key != "status"} | {"metadata": metadata}


A = TypeVar("A", bound=Applier)


@contextmanager
def argo_like(stage: Stage, *git: Json, heal: float = HEAL) -> Iterator[ArgoLike]:
    """Argo CD over these objects, self-healing every `heal` seconds, for the time of a `with` block."""
    with _running(ArgoLike(stage, heal), git) as applier:
        yield applier


@contextmanager
def flux_like(stage: Stage, *git: Json, heal: float = HEAL) -> Iterator[FluxLike]:
    """Flux over these objects, reconciling every `heal` seconds, for the time of a `with` block."""
    with _running(FluxLike(stage, heal), git) as applier:
        yield applier


@contextmanager
def _running(applier: A, git: Sequence[Json]) -> Iterator[A]:
    applier.commit(*git)
    applier.start()
    try:
        yield applier
    finally:
        applier.close()
