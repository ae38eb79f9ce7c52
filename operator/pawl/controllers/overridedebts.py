"""Which overrides hold themselves by a finalizer, and what the others owe: noted before they write anything.

Images that Pawl wrote into templates or into fields of custom resources are held by a finalizer: nobody else knows
what stood there. An ImageOverride that rewrites Pods alone needs none: its tables are compiled anew without it, and
what it rolled is given back from the debt, at once or by the next leader. So a namespace never waits for Pawl.
Neighbours: `cluster.debts` stores, `overridefinish` gives back. Not here: tables.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

import structlog

from pawl.api.errors import ClusterError, Forbidden
from pawl.api.imageoverride import DeletionPolicy, ImageOverride, Override, OverrideMeta, Templates
from pawl.api.imageoverride_rollout import Enforcement
from pawl.api.imageoverride_spec import ImageOverrideSpec
from pawl.cluster.debts import Debt, DebtStore
from pawl.controllers.overridecopies import copied_names
from pawl.controllers.overridestore import NAMESPACED, key_of
from pawl.controllers.queue import Key
from pawl.decide.objects import COPIES, FINALIZER

POLICIES: Final = {policy.value: policy for policy in DeletionPolicy}

log = structlog.get_logger(__name__)


def is_binding(override: Override) -> bool:
    """Whether an override writes what only a finalizer makes sure to give back, or holds no namespace up by one."""
    enforcement = override.spec.enforcement
    return override.kind != NAMESPACED or enforcement.templates is not Templates.OFF or bool(enforcement.paths)


class Debts:
    """The debts of all overrides. One for a term; `scopes` are the namespaces that are watched, none for all."""

    def __init__(self, store: DebtStore, guard: Callable[[], int], scopes: Sequence[str] = ()) -> None:
        self._store = store
        self._guard = guard
        self._unlisted: tuple[str | None, ...] = tuple(scopes) or (None,)
        self._known: dict[Key, Debt] = {}
        self._since: dict[Key, str] = {}
        self._denied = ""
        self._writing = asyncio.Lock()  # the overrides of one namespace share one object

    def __iter__(self) -> Iterator[Key]:
        return iter(tuple(self._known))

    def __len__(self) -> int:
        return len(self._known)

    @property
    def complete(self) -> bool:
        """Whether all of them were listed: where that is not allowed, each is read when it is needed."""
        return not self._unlisted

    async def fill(self) -> bool:
        """List what was not listed yet; return whether asking again at once would bring nothing.

        One namespace that may not be listed, or has no Role yet, says nothing about the others.
        """
        left: list[str | None] = []
        unanswered = False
        for scope in self._unlisted:
            try:
                found = [each async for each in self._store.all(scope)]
            except ClusterError as error:
                left.append(scope)
                unanswered = unanswered or not isinstance(error, Forbidden)
                self._warn(str(error))
            else:
                self._learn({Key(NAMESPACED, namespace, name): debt for namespace, name, debt in found})
        self._unlisted = tuple(left)
        return not unanswered

    def _learn(self, read: dict[Key, Debt]) -> None:
        """Add what was read to what was written since."""
        self._known = read | self._known

    def _warn(self, error: str) -> None:
        if error != self._denied:
            log.warning("what deleted overrides owe could not be listed", error=error)
        self._denied = error

    async def owe(self, override: Override) -> None:
        """Note what an override will have to give back. Raises ClusterError."""
        key = key_of(override)
        if key not in self._known and not self.complete:
            read = await self._store.read(key.namespace)
            self._learn({Key(NAMESPACED, key.namespace, name): one for name, one in read.items()})
        known = self._known.get(key)
        debt = _debt(override, known)
        if known == debt:
            return
        async with self._writing:
            self._guard()
            await self._store.put(key.namespace, key.name, debt)
        self._known[key] = debt
        self._since.pop(key, None)

    def of_gone(self, key: Key, now: float, last: Override | None = None) -> Override | None:
        """Return an override that is gone and owes, with as much of it as its end needs; None where nothing is owed.

        What it said `last` counts where that was seen: a change right before the deletion was not noted any more.
        """
        debt = self._known.get(key)
        if debt is None:
            return None
        if last is not None and last.metadata.uid == debt.uid:
            debt = _debt(last, debt)
        since = self._since.setdefault(key, datetime.fromtimestamp(now, UTC).isoformat())
        meta = OverrideMeta(
            name=key.name,
            namespace=key.namespace,
            uid=debt.uid,
            deletion_timestamp=since,
            finalizers=[FINALIZER],
            annotations={COPIES: debt.copies},
        )
        spec = ImageOverrideSpec.model_construct(
            rules=[],
            enforcement=Enforcement(),
            deletion_policy=POLICIES.get(debt.policy, DeletionPolicy.LEAVE),
            restore_timeout=debt.timeout,
        )
        return ImageOverride.model_construct(metadata=meta, spec=spec)

    async def settle(self, key: Key) -> None:
        """Strike out what an override owed. Raises ClusterError."""
        debt = self._known.get(key)
        if debt is None:
            return
        self._guard()
        await self._store.remove(key.namespace, key.name, debt)
        self._known.pop(key, None)
        self._since.pop(key, None)


def _debt(override: Override, known: Debt | None) -> Debt:
    """Return what an override owes; names of copies that were noted before stay."""
    copies = {*copied_names(override), *(known.copies.split(",") if known is not None and known.copies else ())}
    spec = override.spec
    return Debt(override.metadata.uid, spec.deletion_policy.value, spec.restore_timeout, ",".join(sorted(copies)))
