"""The follower of Rook's namespace: what was listed, every change after it, and an error that comes through bare."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from pawl.cli.demo_checks import CheckFailedError
from pawl.cli.demo_rook_watch import Follower, Held
from pawl.cluster.client import Cluster
from pawl.cluster.resources import JOBS, PODS


def thing(uid: str, note: str = "") -> dict[str, Any]:
    return {"metadata": {"uid": uid}, "note": note}


class Server:
    """Lists one object of a kind, then tells these lines of Pods and nothing more."""

    def __init__(self, *lines: tuple[str, dict[str, Any]]) -> None:
        self._lines = lines
        self.asked: list[dict[str, str]] = []
        self.done = asyncio.Event()

    async def list_pages(self, kind: object, _namespace: str) -> AsyncIterator[bytes]:
        items = [thing("a", "listed")] if kind == PODS else []
        yield json.dumps({"metadata": {"resourceVersion": "7"}, "items": items}).encode()

    @asynccontextmanager
    async def watch(
        self, kind: object, _namespace: str, query: dict[str, str], _silence: float
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        self.asked.append(query)
        yield self._told() if kind == PODS else self._nothing()

    async def _told(self) -> AsyncIterator[bytes]:
        for event, body in self._lines:
            yield json.dumps({"type": event, "object": body}).encode()
        self.done.set()
        await asyncio.Event().wait()

    async def _nothing(self) -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""


def follower(server: Server, seen: list[list[str]]) -> Follower:
    def tell(held: Held) -> None:
        seen.append([f"{each['metadata']['uid']} {each['note']}" for each in held[PODS]])

    return Follower(cast("Cluster", server), "rook", tell)


async def test_every_change_is_told_from_the_list_on() -> None:
    server = Server(("MODIFIED", thing("a", "new")), ("ADDED", thing("b", "made")), ("DELETED", thing("a", "new")))
    seen: list[list[str]] = []
    async with follower(server, seen).following(PODS, JOBS), asyncio.timeout(5):
        await server.done.wait()
    assert seen == [["a listed"], ["a new"], ["a new", "b made"], ["b made"]]
    assert server.asked == [{"resourceVersion": "7"}] * 2


async def test_what_fails_in_the_block_comes_through_as_it_is() -> None:
    with pytest.raises(CheckFailedError, match="not so"):
        async with follower(Server(), []).following(PODS):
            raise CheckFailedError("not so")
