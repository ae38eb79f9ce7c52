"""Report: ledger first, then status, each only if it says something new, each guarded by version and Lease.

The order matters: a crash between the two leaves the greater copy in the ledger, and the join finds it (ratchet.md §4).
Neighbours: `ledgerbook` and `cluster.client` write, `imagepolicy` calls. Not here: decisions.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from pawl.api.errors import Forbidden
from pawl.api.imagepolicy import ImagePolicy, ImagePolicyStatus
from pawl.api.meta import API_VERSION
from pawl.cluster.client import Cluster
from pawl.cluster.events import ObjectRef, Recorder
from pawl.cluster.resources import IMAGE_POLICIES
from pawl.controllers.ledgerbook import LedgerBook
from pawl.controllers.outcomes import from_cluster
from pawl.controllers.queue import Key
from pawl.controllers.store import PolicyStore
from pawl.decide.memory import label, to_ledger
from pawl.decide.policy import Decision

log = structlog.get_logger(__name__)

Guard = Callable[[], int]
"""Returns the Lease's term, or raises LeaseLost. Asked right before every write."""


class Reporter:
    """Writes what was decided."""

    def __init__(
        self, cluster: Cluster, ledgers: LedgerBook, store: PolicyStore, events: Recorder, guard: Guard
    ) -> None:
        self._cluster = cluster
        self._ledgers = ledgers
        self._store = store
        self._events = events
        self._guard = guard

    async def report(self, key: Key, policy: ImagePolicy, decision: Decision, asked_at: float) -> int | None:
        """Write ledger, status and events. `asked_at`: since when the resource is as it was decided on.

        Returns the version that the status was written as, None where there was nothing to write.
        Raises ClusterError (Conflict: read again, decide again), LeaseLost, or Stalled where a
        right to write the ledger is missing.
        """
        if decision.memory.selection is not None:
            self._guard()
            await self._remember(key, policy, decision)
        patch, written = status_patch(policy.status, decision.status), None
        if patch:
            raw = await self._write_status(key, policy, patch, decision)
            written = self._store.keep(raw, asked_at=asked_at)
        self._tell(key, policy, decision)
        return written

    async def _remember(self, key: Key, policy: ImagePolicy, decision: Decision) -> None:
        try:
            await self._ledgers.write(key, to_ledger(decision.memory, policy.spec.image))
        except Forbidden as error:
            raise from_cluster(error, "the ledger") from error

    async def _write_status(self, key: Key, policy: ImagePolicy, patch: dict[str, object], decision: Decision) -> bytes:
        term = self._guard()
        body = {"metadata": {"resourceVersion": policy.metadata.resource_version}, "status": patch}
        raw = await self._cluster.merge_patch(IMAGE_POLICIES, key.namespace, key.name, body, subresource="status")
        held = decision.status.selection
        log.info(
            "status written",
            policy=f"{key.namespace}/{key.name}",
            term=term,
            selection=label(held) if held else None,
            epoch=held.epoch if held else None,
            sequence=held.sequence if held else None,
            moved=decision.moved,
            fields=sorted(patch),
        )
        return raw

    def _tell(self, key: Key, policy: ImagePolicy, decision: Decision) -> None:
        ref = ObjectRef(API_VERSION, "ImagePolicy", key.namespace, key.name, policy.metadata.uid)
        for notice in decision.notices:
            self._events.event(ref, "Warning" if notice.warning else "Normal", notice.reason, notice.message)


def status_patch(before: ImagePolicyStatus, after: ImagePolicyStatus) -> dict[str, object]:
    """Return the merge patch from one status to the other: changed fields whole, removed ones null, {} for none."""
    old, new = before.wire(), after.wire()
    changed = {name: value for name, value in new.items() if old.get(name) != value}
    return changed | {name: None for name in old if name not in new}
