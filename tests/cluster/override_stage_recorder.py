"""What happened to the workloads and Pods of a namespace: every stored change, seen by watches in the background.

A write that changes nothing is not stored and is not here: who wrote it has to say so himself.
Neighbours: `override_stage` starts it. Not here: what should have happened.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pawl.api.errors import ApiUnavailable
from pawl.cluster.client import Cluster
from pawl.cluster.resources import PODS, Resource

Json = dict[str, Any]

KINDS = {
    "Pod": PODS,
    "Deployment": Resource("apps", "v1", "deployments"),
    "ReplicaSet": Resource("apps", "v1", "replicasets"),
    "DaemonSet": Resource("apps", "v1", "daemonsets"),
    "StatefulSet": Resource("apps", "v1", "statefulsets"),
    "Job": Resource("batch", "v1", "jobs"),
    "CronJob": Resource("batch", "v1", "cronjobs"),
}
START = 30.0
"""Seconds in which all watches are open."""


@dataclass(frozen=True)
class Change:
    """One stored change. `images` are those of the Pod or of the template, by container."""

    type: str
    kind: str
    name: str
    uid: str
    generation: int
    version: str
    images: tuple[tuple[str, str], ...]
    by: tuple[str, ...]
    """Managers whose entry in managedFields is new or another than at the last change, those of status apart."""
    deleting: bool
    body: Json = field(repr=False, compare=False)

    @property
    def image(self) -> str:
        """The first image."""
        return self.images[0][1] if self.images else ""


class Recorder:
    """All changes of one namespace since it was started, in order for each kind."""

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        self._namespace = namespace
        self._changes: list[Change] = []
        self._managers: dict[str, set[str]] = {}
        self._open = {kind: threading.Event() for kind in KINDS}
        self._fault: BaseException | None = None
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, args=(str(kubeconfig),), daemon=True)

    def start(self) -> None:
        """Open all watches; what happens after this returns is seen."""
        self._thread.start()
        for kind, event in self._open.items():
            assert event.wait(START), f"the watch of {kind} did not open: {self._fault}"
        self.check()

    def close(self) -> None:
        """End the watches. AssertionError where one of them broke, as then something may be missing."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)
        assert not self._thread.is_alive(), "the recorder did not end"
        self.check()

    def check(self) -> None:
        """AssertionError where a watch broke."""
        assert self._fault is None, f"the recorder broke: {self._fault!r}"

    # what was seen

    def changes(self, kind: str = "", name: str = "") -> list[Change]:
        """All changes, of one kind and name if given."""
        self.check()
        return [each for each in list(self._changes) if kind in ("", each.kind) and name in ("", each.name)]

    def generations(self, kind: str, name: str) -> list[int]:
        """The generations that an object had, each once; a new object of the name begins anew."""
        seen = dict.fromkeys((each.uid, each.generation) for each in self.changes(kind, name))
        return [generation for _, generation in seen]

    def images(self, kind: str, name: str) -> list[str]:
        """The first image over time, each change of it once."""
        found = [each.image for each in self.changes(kind, name) if each.type != "DELETED"]
        return [image for index, image in enumerate(found) if index == 0 or found[index - 1] != image]

    def writes(self, kind: str, name: str, manager: str = "") -> list[Change]:
        """Changes of what is wanted: an object created, or one whose generation rose; by one manager if named.

        A Deployment's generation rises with its annotations too (`pkg/registry/apps/deployment/strategy.go`).
        """
        known: dict[str, int] = {}
        found = []
        for each in self.changes(kind, name):
            rose = each.generation > known.get(each.uid, 0)
            if rose and not each.deleting and manager in ("", *each.by):  # a deletion raises it too
                found.append(each)
            known[each.uid] = max(each.generation, known.get(each.uid, 0))
        return found

    def created(self, kind: str, name: str = "") -> list[str]:
        """uids of the objects that were created or stood there at the start."""
        return list(dict.fromkeys(each.uid for each in self.changes(kind, name)))

    def deleted(self, kind: str, name: str = "") -> list[str]:
        """uids of the objects that are gone."""
        return [each.uid for each in self.changes(kind, name) if each.type == "DELETED"]

    # how it is seen

    def _run(self, kubeconfig: str) -> None:
        try:
            self._loop.run_until_complete(self._watch_all(kubeconfig))
        except BaseException as error:  # noqa: BLE001 - told by `check`, in the test's own thread
            self._fault = error
        finally:
            self._loop.close()
            for event in self._open.values():
                event.set()

    async def _watch_all(self, kubeconfig: str) -> None:
        async with await Cluster.connect(kubeconfig) as cluster, asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._watch(cluster, kind)) for kind in KINDS]
            await self._stop.wait()
            for task in tasks:
                task.cancel()
        await self._hung_up()

    async def _hung_up(self) -> None:
        """A TLS connection says goodbye after its session was closed, and aiohttp does not wait for that."""
        sockets: Any = self._loop
        for _ in range(500):
            if len(sockets._selector.get_map()) == 1:  # the loop's own
                return
            await asyncio.sleep(0.01)

    async def _watch(self, cluster: Cluster, kind: str) -> None:
        version = await self._list(cluster, kind)
        self._open[kind].set()
        while True:
            query = {"resourceVersion": version, "allowWatchBookmarks": "true"}
            try:
                async with cluster.watch(KINDS[kind], self._namespace, query, 120) as lines:
                    async for line in lines:
                        version = self._line(kind, json.loads(line))
            except ApiUnavailable:  # opened again where it was: nothing is lost
                await asyncio.sleep(0.2)

    async def _list(self, cluster: Cluster, kind: str) -> str:
        version = ""
        async for page in cluster.list_pages(KINDS[kind], self._namespace):
            listed = json.loads(page)
            version = listed["metadata"]["resourceVersion"]
            for item in listed["items"]:
                self._note("ADDED", kind, item)
        return version

    def _line(self, kind: str, line: Json) -> str:
        assert line["type"] != "ERROR", line["object"]
        if line["type"] != "BOOKMARK":
            self._note(line["type"], kind, line["object"])
        return str(line["object"]["metadata"]["resourceVersion"])

    def _note(self, event: str, kind: str, body: Json) -> None:
        metadata = body["metadata"]
        self._changes.append(
            Change(
                type=event,
                kind=kind,
                name=metadata["name"],
                uid=metadata["uid"],
                generation=metadata.get("generation", 0),
                version=metadata["resourceVersion"],
                images=images_of(kind, body),
                by=self._writers(metadata),
                deleting="deletionTimestamp" in metadata,
                body=body,
            )
        )

    def _writers(self, metadata: Json) -> tuple[str, ...]:
        entries = [entry for entry in metadata.get("managedFields", []) if not entry.get("subresource")]
        now = {json.dumps(entry, sort_keys=True) for entry in entries}
        new = now - self._managers.get(metadata["uid"], set())
        self._managers[metadata["uid"]] = now
        return tuple(sorted({str(json.loads(entry)["manager"]) for entry in new}))


def images_of(kind: str, body: Json) -> tuple[tuple[str, str], ...]:
    spec = body["spec"]
    if kind == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    pod = spec if kind == "Pod" else spec["template"]["spec"]
    return tuple(
        (each["name"], each["image"]) for group in ("containers", "initContainers") for each in pod.get(group, [])
    )


@contextmanager
def recording(kubeconfig: Path, namespace: str) -> Iterator[Recorder]:
    """Record one namespace for the time of a `with` block."""
    recorder = Recorder(kubeconfig, namespace)
    recorder.start()
    try:
        yield recorder
    finally:
        recorder.close()
