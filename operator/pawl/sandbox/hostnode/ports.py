"""NodePorts: a TCP proxy on loopback for each, to a ready Pod that is chosen when a connection comes.

As kube-proxy does it, but in this process; where a port is taken on this machine, it is tried again later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from pawl.sandbox.hostnode.kube import Kube
from pawl.sandbox.ports import LOOPBACK

Json = dict[str, Any]

SERVICES = "/api/v1/services"
PODS = "/api/v1/pods"
CHUNK = 256 * 1024
CONNECT = 5.0


class NodePorts:
    """All listening NodePorts of a cluster's host nodes."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._ready: list[Json] = []
        self._servers: dict[int, asyncio.Server] = {}
        self._routes: dict[int, tuple[Json, Json]] = {}
        self._connected: set[asyncio.Task[None]] = set()
        self._turn = 0

    async def tick(self) -> None:
        """Listen on what is asked for, and on nothing else."""
        services, pods = await self._kube.items(SERVICES), await self._kube.items(PODS)
        if services is None or pods is None:
            return
        self._ready = [pod for pod in pods if _takes_requests(pod)]
        self._routes = {
            port["nodePort"]: (service, port)
            for service in services
            for port in service["spec"].get("ports") or ()
            if port.get("nodePort")
        }
        for number in set(self._servers) - set(self._routes):
            self._servers.pop(number).close()
        for number in set(self._routes) - set(self._servers):
            await self._listen(number)

    async def close(self) -> None:
        """Stop listening and cut what is connected."""
        for server in self._servers.values():
            server.close()
        self._servers.clear()
        for task in self._connected:
            task.cancel()
        await asyncio.gather(*self._connected, return_exceptions=True)
        # Cut transports say good-bye in the loop's next round.
        await asyncio.sleep(0)

    async def _listen(self, number: int) -> None:
        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(self._serve(number, reader, writer))
            self._connected.add(task)
            task.add_done_callback(self._connected.discard)

        with suppress(OSError):
            self._servers[number] = await asyncio.start_server(accept, LOOPBACK, number, limit=CHUNK)

    async def _serve(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back: asyncio.StreamWriter | None = None
        try:
            target = self._target(number)
            if target is not None:
                async with asyncio.timeout(CONNECT):
                    there, back = await asyncio.open_connection(*target, limit=CHUNK)
                await _joined(_pipe(reader, back), _pipe(there, writer))
        except (OSError, TimeoutError):
            return
        except asyncio.CancelledError:
            _end(writer, back, cut=True)
            raise
        finally:
            _end(writer, back, cut=False)

    def _target(self, number: int) -> tuple[str, int] | None:
        route = self._routes.get(number)
        if route is None:
            return None
        service, port = route
        chosen = [pod for pod in self._ready if _selects(service, pod)]
        if not chosen:
            return None
        self._turn += 1
        pod = chosen[self._turn % len(chosen)]
        return pod["status"]["podIP"], _number(port.get("targetPort") or port["port"], pod)


def _takes_requests(pod: Json) -> bool:
    status = pod.get("status", {})
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in status.get("conditions") or ())
    # Other addresses are those of simulated Pods, which nobody answers on.
    return ready and "deletionTimestamp" not in pod["metadata"] and status.get("podIP", "").startswith("127.")


def _selects(service: Json, pod: Json) -> bool:
    labels = pod["metadata"].get("labels") or {}
    selector = service["spec"].get("selector") or {}
    same = service["metadata"]["namespace"] == pod["metadata"]["namespace"]
    return bool(selector) and same and all(labels.get(key) == value for key, value in selector.items())


def _number(port: int | str, pod: Json) -> int:
    if isinstance(port, int):
        return port
    ports = (each for container in pod["spec"]["containers"] for each in container.get("ports") or ())
    return next((int(each["containerPort"]) for each in ports if each.get("name") == port), 0)


async def _joined(*ways: Coroutine[None, None, None]) -> None:
    """Both directions until both have ended; one that breaks ends the other."""
    with suppress(ExceptionGroup):
        async with asyncio.TaskGroup() as group:
            for way in ways:
                group.create_task(way)


def _end(*writers: asyncio.StreamWriter | None, cut: bool) -> None:
    """Close connections: when all is sent, or with a cut at once."""
    for writer in writers:
        if writer and cut:
            writer.transport.abort()
        elif writer:
            writer.close()


async def _pipe(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while data := await source.read(CHUNK):
        target.write(data)
        await target.drain()
    if target.can_write_eof():
        target.write_eof()
