"""The life of one container: its files, its image, its process, its probes, and whether it is started again.

What is known of it is in `seen`; `podrun` reports that. Nothing here speaks to the API server but to read.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from pawl.sandbox.hostnode import probe as probes
from pawl.sandbox.hostnode.child import Child
from pawl.sandbox.hostnode.podstatus import Seen, running, terminated, waiting
from pawl.sandbox.hostnode.pull import PullError, keyring_of, pull
from pawl.sandbox.hostnode.sources import SECRETS, MissingError, Sources
from pawl.sandbox.hostnode.translate import Programs, Start, argv_of, inner, listening, moved, program_of
from pawl.sandbox.hostnode.volumes import Rooms, fill, refresh

Json = dict[str, Any]

LONGEST_MESSAGE = 4096
AGAIN = 0.5
"""Seconds between looks for something that is missing, and between pulls that fail."""
FRESH = 1.0
"""Seconds between looks at mounted Secrets and ConfigMaps."""
SLOWEST = 10.0
NO_SUCH_PROGRAM = 128


@dataclass(frozen=True)
class Setting:
    """What containers of one Pod share."""

    sources: Sources
    rooms: Rooms
    programs: Programs


class Container:
    """One container of a Pod; `policy` is when it is started again."""

    def __init__(self, spec: Json, setting: Setting, policy: str) -> None:
        self.spec = spec
        self.seen = Seen(spec["name"], spec["image"])
        self._setting = setting
        self._policy = policy
        self._child: Child | None = None
        self._ending = False
        self._root = setting.rooms.root(spec["name"])

    async def run(self) -> int:
        """Run until it is not started again; its last exit code."""
        pause = 0.0
        while True:
            code = await self._once()
            if self._ending or not self._again(code):
                return code
            self.seen.last = self.seen.state
            self.seen.state = waiting("CrashLoopBackOff", f"back-off {pause:g}s restarting failed container")
            await asyncio.sleep(pause)
            pause = min(max(1.0, pause * 2), SLOWEST)
            self.seen.restarts += 1

    async def end(self, grace: float) -> None:
        """End its process, and do not start it again."""
        self._ending = True
        if self._child:
            await self._child.end(grace)

    def kill(self) -> None:
        """End its process at once."""
        self._ending = True
        if self._child:
            self._child.kill()

    def _again(self, code: int) -> bool:
        return self._policy == "Always" or (self._policy == "OnFailure" and code != 0)

    async def _once(self) -> int:
        program = program_of(self.spec["image"], self._setting.programs)
        if program is None:
            self.seen.image_id = await self._pulled()
            return self._no_program()
        self.seen.image_id = (
            f"{self.spec['image'].partition('@')[0]}@sha256:{sha256(repr(program).encode()).hexdigest()}"
        )
        environ = await self._prepared(program)
        argv = argv_of(self.spec, program, environ, self._root)
        return self._no_program() if argv is None else await self._process(Start(argv, environ))

    async def _pulled(self) -> str:
        while True:
            try:
                return await pull(self.spec["image"], await self._keyring(), self._setting.rooms.node)
            except (PullError, MissingError) as error:
                self.seen.state = waiting("ErrImagePull", str(error))
            await asyncio.sleep(AGAIN)

    async def _keyring(self) -> dict[str, str]:
        found: dict[str, str] = {}
        sources = self._setting.sources
        for reference in sources.pod["spec"].get("imagePullSecrets") or ():
            data = await sources.data(SECRETS, reference["name"], optional=True)
            if raw := data.get(".dockerconfigjson"):
                found |= keyring_of(raw)
        return found

    def _no_program(self) -> int:
        words = self.spec.get("command") or [self.spec["image"]]
        message = f"exec: {words[0]!r}: this node has no such program"
        now = _now()
        self.seen.state = terminated(NO_SUCH_PROGRAM, "StartError", message, now, now)
        return NO_SUCH_PROGRAM

    async def _prepared(self, program: tuple[str, ...]) -> dict[str, str]:
        sources = self._setting.sources
        while True:
            try:
                await fill(self.spec, sources, self._setting.rooms)
                environ = await sources.environment(self.spec)
                break
            except MissingError as error:
                self.seen.state = waiting("CreateContainerConfigError", str(error))
            await asyncio.sleep(AGAIN)
        found = listening(self.spec, program, sources.address)
        return {**found, **{key: moved(value, self._root) for key, value in environ.items()}}

    async def _process(self, start: Start) -> int:
        message_file = self._message_file()
        if message_file:
            message_file.parent.mkdir(parents=True, exist_ok=True)
            message_file.unlink(missing_ok=True)
        begun = _now()
        try:
            child = Child(start, self._root, self._setting.rooms.log(self.spec["name"]))
        except OSError as error:
            self.seen.state = terminated(NO_SUCH_PROGRAM, "StartError", str(error), begun, begun)
            return NO_SUCH_PROGRAM
        self._child, self.seen.pid = child, child.pid
        self.seen.state = running(begun)
        if self._ending:
            child.kill()
        code = await self._watched(child)
        reason = "Error" if code else "Completed"
        self.seen.state = terminated(code, reason, self._message(message_file, code), begun, _now())
        return code

    async def _watched(self, child: Child) -> int:
        tasks = [asyncio.create_task(each) for each in (self._probed(child), self._refreshed())]
        try:
            return await child.ended()
        finally:
            self.seen.ready = self.seen.started = False
            self.seen.pid = 0
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _probed(self, child: Child) -> None:
        await self._until("startupProbe")
        self.seen.started = True
        tasks = (self._readiness(), self._liveness(child))
        await asyncio.gather(*tasks)

    async def _until(self, name: str) -> None:
        what = self.spec.get(name)
        while what:
            if await self._holds(what):
                return
            await asyncio.sleep(probes.QUICK)

    async def _readiness(self) -> None:
        what = self.spec.get("readinessProbe")
        self.seen.ready = what is None
        while what:
            self.seen.ready = await self._holds(what)
            await asyncio.sleep(probes.pause_of(what, good=self.seen.ready))

    async def _liveness(self, child: Child) -> None:
        what = self.spec.get("livenessProbe")
        if not what:
            return
        await asyncio.sleep(float(what.get("initialDelaySeconds", 0)))
        failed = 0
        while failed < int(what.get("failureThreshold", 3)):
            await asyncio.sleep(float(what.get("periodSeconds", 10)))
            failed = 0 if await self._holds(what) else failed + 1
        await child.end(float(self._setting.sources.pod["spec"].get("terminationGracePeriodSeconds", 30)))

    async def _holds(self, what: Json) -> bool:
        return await probes.holds(what, self.spec, self._setting.sources.address)

    async def _refreshed(self) -> None:
        while True:
            await asyncio.sleep(FRESH)
            with suppress(OSError):
                await refresh(self.spec, self._setting.sources, self._setting.rooms)

    def _message_file(self) -> Path | None:
        return inner(self.spec.get("terminationMessagePath", ""), self._root)

    def _message(self, file: Path | None, code: int) -> str:
        try:
            text = file.read_bytes() if file else b""
        except OSError:
            text = b""
        if not text and code and self.spec.get("terminationMessagePolicy") == "FallbackToLogsOnError":
            text = self._setting.rooms.log(self.spec["name"]).read_bytes()[-2048:]
        return text[:LONGEST_MESSAGE].decode(errors="replace")


def _now() -> datetime:
    return datetime.now(UTC)
