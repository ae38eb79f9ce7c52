"""Copies of pull Secrets in the namespaces of the Pods that need them.

The owner of a Secret says with `pawl.dev/allow-copy-to` which namespaces may have it; nothing that an override says
stands in for that. Copies are counted by the overrides that want them and go with the last one. A Secret that Pawl did
not make is never written. Secrets are read one by one where they are named, and never listed.

A grant that was withdrawn, like a source that is gone, stops the refreshing of the copy and is reported; the copy stays
until its last override lets go, for Pods pull with it now and whoever withdraws the grant can delete it, or change the
password. Neighbours: `secretcopies_marks` says what copies look like. Not here: who needs which copy.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec

from pawl.api.errors import ClusterError, Conflict, Expired, Forbidden, Invalid, NotFound
from pawl.api.reasons import Reason
from pawl.cluster.client import Cluster
from pawl.cluster.resources import SECRETS
from pawl.controllers.answers import Answers
from pawl.controllers.pullkeys import CONFIG_TYPE
from pawl.controllers.secretcopies_marks import (
    CopyWish,
    Meta,
    StoredSecret,
    body_of,
    granted,
    patch_of,
    unmark_of,
)
from pawl.decide.objects import ALLOW_COPY_TO, COPIED_FROM

TRIES: Final = 3
"""How often a write that somebody else overtook is decided anew."""
FRESH: Final = 1.0
"""Seconds for which a source that was read serves: fifty namespaces that want one copy each cost one read."""
SOURCES: Final = 32

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CopyResult:
    """Whether the copy is there and right, and whether this call wrote it.

    `reason` is a word of `api.reasons` and `message` one line; both are empty if it is `ok`.
    """

    ok: bool
    reason: str = ""
    message: str = ""
    written: bool = False


@dataclass(frozen=True, slots=True)
class Released:
    """What letting go came to: copies (namespace, name) deleted and left to other overrides, and what failed."""

    deleted: tuple[tuple[str, str], ...] = ()
    left: tuple[tuple[str, str], ...] = ()
    failures: tuple[str, ...] = ()
    denied: str = ""
    """The first failure that a right would mend."""


class _Row(msgspec.Struct):
    metadata: Meta


_SECRET: Final = msgspec.json.Decoder(StoredSecret)
_ROW: Final = msgspec.json.Decoder(_Row)


class SecretCopies:
    """Makes, refreshes and removes copies. One for a term. `clock` gives monotonic seconds."""

    def __init__(self, cluster: Cluster, clock: Callable[[], float] = time.monotonic) -> None:
        self._cluster = cluster
        self._clock = clock
        self._sources: Answers[StoredSecret] = Answers(clock, SOURCES)

    async def ensure(self, wish: CopyWish) -> CopyResult:
        """Make the copy be there and equal to its source; nothing is written if it is. Raises nothing."""
        if (wish.source_namespace, wish.source_name) == (wish.namespace, wish.name):
            return CopyResult(ok=True)
        try:
            source = await self._source(wish)
        except NotFound:
            text = f"Secret {wish.source} does not exist; create it, or correct copyFrom"
            return _refused(Reason.SECRET_NOT_FOUND, text)
        except ClusterError as error:
            return _failed(error, f"Secret {wish.source}")
        return _judged(wish, source) or await self._written(wish, source)

    async def _source(self, wish: CopyWish) -> StoredSecret:
        place = (wish.source_namespace, wish.source_name)
        return await self._sources.get(place, self._clock() - FRESH, lambda: self._read(*place))

    async def _read(self, namespace: str, name: str) -> StoredSecret:
        return _decode(_SECRET, await self._cluster.get(SECRETS, namespace, name), f"Secret {namespace}/{name}")

    async def _written(self, wish: CopyWish, source: StoredSecret) -> CopyResult:
        try:
            for _ in range(TRIES):
                try:
                    return await self._write(wish, source)
                except Conflict:
                    continue
        except NotFound as error:
            return _refused(Reason.NAMESPACE_NOT_FOUND, f"copy {wish.target}: {error}")
        except ClusterError as error:
            return _failed(error, f"copy {wish.target}")
        return _refused(Reason.CONTENDED, f"copy {wish.target}: somebody else writes this Secret again and again")

    async def _write(self, wish: CopyWish, source: StoredSecret) -> CopyResult:
        """Write once, on what is stored now. Raises Conflict where that changed meanwhile."""
        try:
            copy = await self._read(wish.namespace, wish.name)
        except NotFound:
            await self._cluster.create(SECRETS, wish.namespace, body_of(wish, source))
            return CopyResult(ok=True, written=True)
        taken = _taken(wish, copy)
        if taken is not None:
            return taken
        patch = patch_of(wish, source, copy)
        if patch is not None:
            await self._patch(copy.metadata, patch)
        return CopyResult(ok=True, written=patch is not None)

    async def _patch(self, copy: Meta, patch: dict[str, object]) -> None:
        try:
            await self._cluster.merge_patch(SECRETS, copy.namespace, copy.name, patch)
        except NotFound as error:
            raise Conflict(f"Secret {copy.namespace}/{copy.name} was deleted meanwhile", status=404) from error

    async def release(self, override: str, places: Iterable[tuple[str, str]]) -> Released:
        """Take an override's mark from the copies at these places (namespace, name).

        A copy without any mark left is deleted, unless it changed since it was looked at. Raises nothing.
        """
        tally = _Tally([], [], [], [])
        for place in places:
            await self._let_go(override, place, tally)
        denied = tally.denied[0] if tally.denied else ""
        return Released(tuple(tally.deleted), tuple(tally.left), tuple(tally.failures), denied)

    async def _let_go(self, override: str, place: tuple[str, str], tally: _Tally) -> None:
        name = "/".join(place)
        try:
            for _ in range(TRIES):
                copy = await self._meta(place)
                if copy is None or not copy.ours or override not in copy.wanted_for:
                    return
                try:
                    await self._unmark(override, copy, tally)
                except Conflict:
                    continue
                return
            tally.failures.append(f"copy {name}: somebody else writes it again and again")
        except ClusterError as error:
            tally.failures.append(f"copy {name}: {error}")
            tally.denied.extend([f"copy {name}: {error}"] if isinstance(error, Forbidden) else [])

    async def _unmark(self, override: str, copy: Meta, tally: _Tally) -> None:
        place, left = (copy.namespace, copy.name), copy.wanted_for - {override}
        if left:
            await self._patch(copy, unmark_of(copy, left))
            tally.left.append(place)
            return
        try:
            await self._cluster.delete(SECRETS, *place, uid=copy.uid, resource_version=copy.resource_version)
        except NotFound:
            return
        tally.deleted.append(place)

    async def _meta(self, place: tuple[str, str]) -> Meta | None:
        try:
            raw = await self._cluster.get(SECRETS, *place, metadata_only=True)
        except NotFound:
            return None
        return _decode(_ROW, raw, f"Secret {'/'.join(place)}").metadata


@dataclass(frozen=True, slots=True)
class _Tally:
    deleted: list[tuple[str, str]]
    left: list[tuple[str, str]]
    failures: list[str]
    denied: list[str]


def _judged(wish: CopyWish, source: StoredSecret) -> CopyResult | None:
    """Return why a source may not be copied, or None."""
    if source.type != CONFIG_TYPE:
        text = f"Secret {wish.source} has type {source.type}; pull Secrets that are copied have {CONFIG_TYPE}"
        return _refused(Reason.SECRET_TYPE_WRONG, text)
    if not granted(source, wish.namespace):
        text = (
            f"Secret {wish.source} does not allow a copy in namespace {wish.namespace}; its owner allows it with the "
            f"annotation {ALLOW_COPY_TO}: {wish.namespace}. A copy made before stays, and is not refreshed"
        )
        return _refused(Reason.COPY_NOT_ALLOWED, text)
    return None


def _taken(wish: CopyWish, copy: StoredSecret) -> CopyResult | None:
    """Return why a stored Secret may not become this copy, or None."""
    if not copy.metadata.ours or copy.type != CONFIG_TYPE:
        text = f"Secret {wish.target} exists and was not made by Pawl; delete it, or choose another name in pullSecrets"
        return _refused(Reason.OWNED_BY_OTHER, text)
    origin, others = copy.metadata.note(COPIED_FROM), sorted(copy.metadata.wanted_for - {wish.override})
    if origin != wish.source and others:
        text = f"Secret {wish.target} is a copy of {origin} already, for {', '.join(others[:5])}; choose another name"
        return _refused(Reason.OWNED_BY_OTHER, text)
    return None


def _refused(reason: Reason, message: str) -> CopyResult:
    return CopyResult(ok=False, reason=reason, message=message)


def _failed(error: ClusterError, what: str) -> CopyResult:
    if isinstance(error, Forbidden):
        return _refused(Reason.MISSING_RIGHT, f"{what}: {error}")
    refused = isinstance(error, (Invalid, Expired))
    return _refused(Reason.REFUSED if refused else Reason.UNREACHABLE, f"{what}: {error}")


def _decode(decoder: msgspec.json.Decoder[T], raw: bytes, what: str) -> T:
    try:
        return decoder.decode(raw)
    except msgspec.DecodeError:
        # Without a cause: msgspec quotes the path, and a later version might quote the value.
        raise Invalid(f"{what} cannot be read as such an object") from None
