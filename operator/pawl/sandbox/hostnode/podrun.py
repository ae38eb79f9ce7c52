"""The life of one Pod on the host node: init containers in order, then all others, until it ends or is deleted.

Each change is reported by one status write. Neighbours: `container` runs one, `podstatus` says what a status is.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from pawl.sandbox.hostnode.container import Container, Setting
from pawl.sandbox.hostnode.kube import NOT_FOUND, OK, Kube
from pawl.sandbox.hostnode.podstatus import Told, status
from pawl.sandbox.rest import NO_ANSWER

Json = dict[str, Any]

REPORT = 0.05
"""Seconds between looks at what there is to report."""


class PodRun:
    """One Pod, from its binding to its end."""

    def __init__(self, pod: Json, kube: Kube, setting: Setting) -> None:
        spec, meta = pod["spec"], pod["metadata"]
        self.key = f"{meta['namespace']}/{meta['name']}"
        self._policy = spec.get("restartPolicy", "Always")
        first = "Never" if self._policy == "Never" else "OnFailure"
        self._init = [Container(each, setting, first) for each in spec.get("initContainers") or ()]
        self._main = [Container(each, setting, self._policy) for each in spec["containers"]]
        self._kube = kube
        self._setting = setting
        self._pod = pod
        self._path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"
        self._told: Json = {}
        self._begun = datetime.now(UTC)
        self._ending = False
        self._work: asyncio.Task[None] | None = None
        self._reports: asyncio.Task[None] | None = None

    @property
    def pids(self) -> dict[str, int]:
        """Ids of the processes that run now, by container."""
        return {each.seen.name: each.seen.pid for each in (*self._init, *self._main) if each.seen.pid}

    def start(self) -> None:
        """Begin; returns at once."""
        self._work = asyncio.create_task(self._run())
        self._reports = asyncio.create_task(self._report_on())

    async def end(self, grace: float) -> None:
        """End as a kubelet does on deletion: politely, then not, then the object."""
        self._ending = True
        await asyncio.gather(*(each.end(grace) for each in (*self._main, *self._init)))
        await self._stop_tasks()
        await self._report()
        uid = self._pod["metadata"]["uid"]
        gone: Json = {"gracePeriodSeconds": 0, "preconditions": {"uid": uid}}
        while True:
            if (await self._kube.call("DELETE", self._path, gone)).status != NO_ANSWER:
                return
            await asyncio.sleep(REPORT)

    async def kill(self) -> None:
        """End at once, without a word: the object is gone, or the node is."""
        for each in (*self._main, *self._init):
            each.kill()
        await self._stop_tasks()

    async def _stop_tasks(self) -> None:
        tasks = [task for task in (self._work, self._reports) if task]
        if self._work and self._ending:
            # What has just ended writes its message down before it is cancelled.
            await asyncio.wait({self._work}, timeout=1)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self) -> None:
        for each in self._init:
            if await each.run():
                self._skip()
                return
            if self._ending:
                return
        await asyncio.gather(*(each.run() for each in self._main))

    def _skip(self) -> None:
        for each in self._main:
            each.seen.state = {"waiting": {"reason": "PodInitializing"}}

    async def _report_on(self) -> None:
        while True:
            await self._report()
            if self._told.get("phase") in {"Succeeded", "Failed"}:
                return
            await asyncio.sleep(REPORT)

    async def _report(self) -> None:
        now = datetime.now(UTC)
        init, main = [each.seen for each in self._init], [each.seen for each in self._main]
        told = Told(self._setting.sources.address, now, self._begun, self._ending, self._policy, init, main)
        wanted = status(told, self._told or self._pod.get("status", {}))
        if wanted == self._told:
            return
        answer = await self._kube.call("PATCH", f"{self._path}/status", {"status": wanted})
        if answer.status in {OK, NOT_FOUND}:
            self._told = wanted


def is_over(pod: Json) -> bool:
    """Whether a Pod has ended for good."""
    return pod.get("status", {}).get("phase") in {"Succeeded", "Failed"}
