"""The ledgers' store: one ConfigMap a policy, in its namespace, without an owner, so that it outlives the policy.

The text of a ledger is opaque here; every write carries the resource version that was read. Once a policy is gone its
ledger is marked, and kept for 90 days in case it comes back.
Neighbours: the policy controller writes, `decide` understands the text. Not here: what a ledger says.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec
import structlog

from pawl.api.errors import ClusterError, Conflict, Invalid, NotFound
from pawl.cluster.client import Cluster
from pawl.cluster.resources import CONFIG_MAPS

PREFIX: Final = "pawl-ledger-"
LABEL: Final = "pawl.dev/ledger"
LABEL_VALUE: Final = "imagepolicy"
POLICY: Final = "pawl.dev/policy"
ORPHANED_SINCE: Final = "pawl.dev/orphaned-since"
DATA_KEY: Final = "ledger"
RETENTION: Final = timedelta(days=90)
CLOCK_SLACK: Final = timedelta(hours=1)
"""A mark further ahead than this comes from a wrong clock and is set anew."""
MAX_BYTES: Final = 512 * 1024
MAX_NAME: Final = 253

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Stored:
    """A ledger as read. Both are None where there is none; `text` alone where its ConfigMap was emptied by hand."""

    text: str | None
    resource_version: str | None


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One stored ledger, without its text, as the sweep sees it."""

    namespace: str
    name: str
    policy: str
    uid: str
    resource_version: str
    orphaned_since: str | None


@dataclass(frozen=True, slots=True)
class Mark:
    """Set the time since which a ledger has no policy, or take it away (`since` None)."""

    row: LedgerRow
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Remove:
    """Delete a ledger whose policy has been gone for the whole retention."""

    row: LedgerRow


def name_for(policy: str) -> str:
    """Return the ConfigMap's name for a policy: `pawl-ledger-<policy>`, cut and hashed beyond 253 characters.

    Hashed names have exactly 253 characters and others fewer, so no policy can be named into the ledger of another.
    """
    plain = PREFIX + policy
    if len(plain) < MAX_NAME:
        return plain
    digest = hashlib.sha256(policy.encode()).hexdigest()
    # Dots go, for a part of a name may not begin with the hyphen that follows the cut.
    return f"{plain[: MAX_NAME - len(digest) - 1].replace('.', '-')}-{digest}"


def sweep(
    rows: Iterable[LedgerRow], existing: Collection[tuple[str, str]], now: datetime, retention: timedelta = RETENTION
) -> tuple[Mark | Remove, ...]:
    """Decide what to do with the ledgers, given the (namespace, name) of all policies. Pure; no change, no action."""
    actions = (_judge(row, (row.namespace, row.policy) in existing, now, retention) for row in rows)
    return tuple(action for action in actions if action is not None)


def _judge(row: LedgerRow, exists: bool, now: datetime, retention: timedelta) -> Mark | Remove | None:  # noqa: FBT001
    if exists:
        return Mark(row, None) if row.orphaned_since is not None else None
    since = _moment(row.orphaned_since)
    if since is None or since > now + CLOCK_SLACK:
        return Mark(row, now)
    return Remove(row) if now - since >= retention else None


def _moment(text: str | None) -> datetime | None:
    """Read a mark; None where there is none or nobody can read it."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


class _Meta(msgspec.Struct):
    name: str
    namespace: str
    uid: str
    resource_version: str = msgspec.field(name="resourceVersion")
    annotations: dict[str, str] | None = None


class _ConfigMap(msgspec.Struct):
    metadata: _Meta
    data: dict[str, str] | None = None


class _Row(msgspec.Struct):
    metadata: _Meta


class _Rows(msgspec.Struct):
    items: list[_Row] | None = None  # Go writes an empty list as null


class _ConfigMaps(msgspec.Struct):
    items: list[_ConfigMap] | None = None


_CONFIG_MAPS: Final = msgspec.json.Decoder(_ConfigMaps)
_CONFIG_MAP: Final = msgspec.json.Decoder(_ConfigMap)
_ROW: Final = msgspec.json.Decoder(_Row)
_ROWS: Final = msgspec.json.Decoder(_Rows)


class LedgerStore:
    """Reads and writes the ledgers of policies. Every method may raise a ClusterError."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def read(self, namespace: str, policy: str) -> Stored:
        """Return the ledger of a policy; an absent one is no error."""
        try:
            raw = await self._cluster.get(CONFIG_MAPS, namespace, name_for(policy))
        except NotFound:
            return Stored(None, None)
        found = _CONFIG_MAP.decode(raw)
        return Stored((found.data or {}).get(DATA_KEY), found.metadata.resource_version)

    async def write(self, namespace: str, policy: str, text: str, resource_version: str | None) -> str:
        """Store a ledger and return its new resource version.

        `resource_version` is what `read` returned: None creates. Raises Conflict where somebody else was first, made it
        or deleted it; read again, decide again. Raises Invalid for a text over 512 KiB.
        """
        name = name_for(policy)
        size = len(text.encode())
        if size > MAX_BYTES:
            raise Invalid(f"the ledger of imagepolicy {namespace}/{policy} has {size} bytes and may have {MAX_BYTES}")
        if resource_version is None:
            body = _body(namespace, name, policy, text)
            return _ROW.decode(await self._cluster.create(CONFIG_MAPS, namespace, body)).metadata.resource_version
        try:
            raw = await self._cluster.merge_patch(CONFIG_MAPS, namespace, name, _patch(policy, text, resource_version))
        except NotFound:
            raise Conflict(f"configmaps {namespace}/{name} was deleted; read again", status=404) from None
        return _ROW.decode(raw).metadata.resource_version

    async def texts(self, namespace: str | None) -> AsyncIterator[tuple[str, str, Stored]]:
        """Yield namespace, policy and ledger of all that carry our label, in pages: one request for many reads."""
        async for page in self._cluster.list_pages(CONFIG_MAPS, namespace, label_selector=f"{LABEL}={LABEL_VALUE}"):
            for found in _CONFIG_MAPS.decode(page).items or ():
                policy = (found.metadata.annotations or {}).get(POLICY, "")
                if found.metadata.name == name_for(policy):
                    stored = Stored((found.data or {}).get(DATA_KEY), found.metadata.resource_version)
                    yield found.metadata.namespace, policy, stored

    async def rows(self, namespace: str | None) -> AsyncIterator[LedgerRow]:
        """Yield all ledgers of a namespace, or of all namespaces, in pages and without their texts."""
        async for page in self._cluster.list_pages(
            CONFIG_MAPS, namespace, label_selector=f"{LABEL}={LABEL_VALUE}", metadata_only=True
        ):
            for row in _ROWS.decode(page).items or ():
                yield _row(row.metadata)

    async def execute(self, actions: Iterable[Mark | Remove]) -> int:
        """Carry the actions of a sweep out and return how many were.

        A ledger that changed since it was listed is left for the next sweep; other failures are logged and do not stop
        the rest.
        """
        done = 0
        for action in actions:
            try:
                await self._execute(action)
                done += 1
            except (Conflict, NotFound):
                continue
            except ClusterError as error:
                log.warning(
                    "ledger could not be swept", ledger=f"{action.row.namespace}/{action.row.name}", error=str(error)
                )
        return done

    async def _execute(self, action: Mark | Remove) -> None:
        row = action.row
        if isinstance(action, Remove):
            await self._cluster.delete(
                CONFIG_MAPS, row.namespace, row.name, uid=row.uid, resource_version=row.resource_version
            )
            return
        since = None if action.since is None else action.since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        metadata = {"resourceVersion": row.resource_version, "annotations": {ORPHANED_SINCE: since}}
        await self._cluster.merge_patch(CONFIG_MAPS, row.namespace, row.name, {"metadata": metadata})


def _row(metadata: _Meta) -> LedgerRow:
    annotations = metadata.annotations or {}
    return LedgerRow(
        namespace=metadata.namespace,
        name=metadata.name,
        policy=annotations.get(POLICY, metadata.name.removeprefix(PREFIX)),
        uid=metadata.uid,
        resource_version=metadata.resource_version,
        orphaned_since=annotations.get(ORPHANED_SINCE),
    )


def _body(namespace: str, name: str, policy: str, text: str) -> dict[str, object]:
    """The whole ConfigMap. No ownerReference: the ledger must survive its policy."""
    metadata = {
        "name": name,
        "namespace": namespace,
        "labels": {LABEL: LABEL_VALUE},
        "annotations": {POLICY: policy},
    }
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {DATA_KEY: text}}


def _patch(policy: str, text: str, resource_version: str) -> dict[str, object]:
    """The change of an existing ledger: labels of others (backup, GitOps) stay, a mark of ours goes."""
    metadata = {
        "resourceVersion": resource_version,
        "labels": {LABEL: LABEL_VALUE},
        "annotations": {POLICY: policy, ORPHANED_SINCE: None},
    }
    return {"metadata": metadata, "data": {DATA_KEY: text}}
