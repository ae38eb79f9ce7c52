"""Which of `--watch-namespaces` can be worked on now: one that was deleted, or has no Role yet, stops no others.

With a namespace its Role goes, and what may not be listed would be waited for. So such namespaces are left out for the
life of a process; in a Pod it ends when that changes, to be started anew. Neighbours: `run` starts. Not here: watches.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from typing import Final

import structlog

from pawl.api.errors import ClusterError, Forbidden
from pawl.cluster.client import Cluster
from pawl.cluster.resources import IMAGE_POLICIES
from pawl.controllers.settings import Settings

LOOK: Final = 60.0
"""Seconds between two looks whether the same namespaces can be read."""

log = structlog.get_logger(__name__)


async def usable(cluster: Cluster, settings: Settings) -> Settings:
    """Leave out the namespaces that may not be read; all of them stay where none may, so that the reason is told."""
    wanted = settings.watch_namespaces
    found = await readable(cluster, wanted) or wanted
    for name in wanted:
        if name not in found:
            fix = "make it with its Role, or take it out of --watch-namespaces"
            log.warning("namespace left out", namespace=name, reason="it may not be read; is it there?", fix=fix)
    return replace(settings, watch_namespaces=found)


async def readable(cluster: Cluster, namespaces: tuple[str, ...]) -> tuple[str, ...]:
    """Return those in which policies may be listed; an API server that does not answer says nothing against any."""
    found = await asyncio.gather(*(_may_read(cluster, name) for name in namespaces))
    return tuple(name for name, may in zip(namespaces, found, strict=True) if may)


async def _may_read(cluster: Cluster, namespace: str) -> bool:
    try:
        async for _ in cluster.list_pages(IMAGE_POLICIES, namespace, limit=1, metadata_only=True):
            break
    except Forbidden:
        return False
    except ClusterError:
        return True
    return True


async def until_other(cluster: Cluster, wanted: tuple[str, ...], kept: tuple[str, ...], period: float = LOOK) -> str:
    """Return, in words, what changed once other namespaces than those kept can be read, at two looks running."""
    before: tuple[str, ...] = kept
    while True:
        await asyncio.sleep(period)
        now = await readable(cluster, wanted) or kept
        if now != kept and now == before:
            return ", ".join(sorted(set(now) ^ set(kept)))
        before = now


async def live(working: Awaitable[None], stop: asyncio.Event, other: Awaitable[str]) -> None:
    """Work until it ends by itself, or other namespaces can be read. Raises ClusterError then, after an orderly end."""
    running, waiting = asyncio.ensure_future(working), asyncio.ensure_future(other)
    try:
        await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if waiting.done() and not waiting.cancelled():
            stop.set()
            await running
            raise ClusterError(f"what may be read in namespaces {waiting.result()} changed; start this replica anew")
        await running
    finally:
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
