"""The controller of the gate's tables: all overrides, policies and targets in, one table a namespace out.

Order: compile, copy pull Secrets, look at every target that is needed, compile again without what is held back, write
what differs. One key for all tables: they are compiled together and written where they differ.
Neighbours: `decide.rulebook` compiles, `targets` looks, `standing` is where the result stands, `imageoverride` goes on
from there. Not here: rolling what runs.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import structlog

from pawl.api.errors import ApiUnavailable, ClusterError
from pawl.api.imageoverride import Mode, Override
from pawl.api.imagerules import ClusterTable, Table
from pawl.api.reasons import Reason
from pawl.cluster.ruletables import CLUSTER, RuleTables, StoredTable
from pawl.cluster.world import World
from pawl.controllers.compilations import Compilations
from pawl.controllers.frozentables import kept_tables
from pawl.controllers.overridecopies import Copies
from pawl.controllers.overridestore import OverrideStore, key_of, label_of
from pawl.controllers.overrideterms import TermsReader
from pawl.controllers.policymarks import policies_for
from pawl.controllers.queue import Key
from pawl.controllers.standing import Board, Standing
from pawl.controllers.store import PolicyStore, requested_at
from pawl.controllers.surveys import Survey
from pawl.controllers.targets import Seen, Targets, Terms
from pawl.decide.rulebook import EVERYWHERE, Rulebook, Stock, compile_rulebook
from pawl.decide.targets import TRANSIENT, Needed, held_back

RULES: Final = Key("ImageRules", "", "pawl")
"""The one key of this controller."""
RESYNC: Final = 300.0
"""Seconds after which Secrets are copied again and refused targets looked at, if nothing else asks for it."""
SOON: Final = 0.2
AGAIN: Final = 30.0
"""Seconds after which a table that could not be written is written again."""
SPOILT: Final = frozenset({Reason.INVALID_SPEC, Reason.INVALID_SOURCE, Reason.INVALID_PATTERN})
"""Refusals that lie in an override alone: what it said before stays in force until it is mended."""
WRITERS: Final = 8
"""Tables written at once."""
MANY_RULES: Final = 200
"""From so many on they are compiled in a thread, so that the Lease is renewed meanwhile: it may take seconds."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RulesParts:
    """What the controller works with. `excluded` are the namespaces that are never rewritten."""

    overrides: OverrideStore
    policies: PolicyStore
    world: World
    tables: RuleTables
    targets: Targets
    copies: Copies
    terms: TermsReader
    board: Board
    guard: Callable[[], int]
    wake: Callable[[Key], None]
    exempt: Callable[[Iterable[Override]], Mapping[str, Mapping[str, str]]]
    excluded: frozenset[str]
    clock: Callable[[], float] = time.monotonic
    complete: Callable[[], bool] = lambda: True
    """Whether every override and policy was read: a table made of half of them would take images back."""


@dataclass(frozen=True, slots=True)
class _Ground:
    """What one look begins with. `pending` wait for approval, `unusable` cannot be read or carried out as they are."""

    overrides: tuple[Override, ...]
    pending: frozenset[str]
    unusable: frozenset[str]
    alive: frozenset[str]
    """All that are not being deleted."""
    stock: Stock
    draft: Rulebook


class ImageRulesController:
    """Keeps tables. One for a term."""

    def __init__(self, parts: RulesParts) -> None:
        self._parts = parts
        self._survey = Survey(parts.world, parts.excluded)
        self._drafts, self._standing = Compilations(), Compilations()

    async def reconcile(self, _key: Key) -> float | None:
        """Make all tables what they should be, and return the seconds until the next look."""
        parts = self._parts
        if not (parts.world.synced and parts.world.namespaces() and parts.tables.synced and parts.complete()):
            return SOON
        ground = await self._ground()
        drafted = self._drafts.of({CLUSTER: ground.draft.cluster, **ground.draft.namespaces})
        needed = self._survey.needed(ground.draft, drafted)
        asked = self._asked(ground.overrides)
        parts.guard()
        copies = await parts.copies.ensure(
            ground.overrides, [one for one in needed if one.override not in ground.pending], anew=asked
        )
        seen = await self._look(ground.overrides, needed, parts.clock() if asked else 0.0)
        book = await self._approved(ground, seen)
        tables = self._frozen(book, ground)
        failed = await self._write(tables)
        compiled = self._standing.of({name: table for name, table in tables.items() if table is not None})
        fresh = Standing(
            stamp=0,
            rulebook=replace(book, judged=ground.draft.judged if ground.pending else book.judged),
            compiled=compiled,
            drafted=drafted if ground.pending else compiled,
            pending=ground.pending,
            stored=dict(parts.tables.tables),
            failed=failed,
            contents=seen.contents,
            needed=needed,
            refused=seen.refused,
            copies=copies,
            generations={label_of(override): override.metadata.generation for override in ground.overrides},
            wishes={label_of(override): requested_at(override) for override in ground.overrides},
        )
        self._publish(ground.overrides, fresh)
        return _pause(seen, failed)

    def interval(self, _key: Key) -> float:
        """Return the seconds after which tables that stalled are looked at again."""
        return RESYNC

    async def _ground(self) -> _Ground:
        overrides = self._parts.overrides.readable()
        pending = frozenset(label_of(override) for override in overrides if awaits_approval(override))
        unreadable, stock = self._parts.overrides.unreadable(), self._stock(overrides)
        draft = await _compiled(stock)
        spoilt = {key for key, judged in draft.judged.items() if judged.refusal and judged.refusal.reason in SPOILT}
        unusable = frozenset(spoilt) | unreadable
        return _Ground(overrides, pending, unusable, frozenset(draft.judged) | unusable, stock, draft)

    async def _approved(self, ground: _Ground, seen: Seen) -> Rulebook:
        """Compile what may be stored: without what waits for approval, and without what was not found."""
        if not (ground.pending or seen.refused):
            return ground.draft
        approved = tuple(override for override in ground.overrides if label_of(override) not in ground.pending)
        return await _compiled(replace(ground.stock, overrides=approved, held=self._held(seen)))

    def _stock(self, overrides: tuple[Override, ...]) -> Stock:
        parts = self._parts
        stored = [table.table for table in parts.tables.tables.values() if table.table is not None]
        return Stock(
            overrides=overrides,
            policies=policies_for(overrides, parts.policies, stored),
            namespaces=parts.world.namespaces(),
            exempt=parts.exempt(overrides),
            excluded=parts.excluded,
        )

    def _asked(self, overrides: tuple[Override, ...]) -> bool:
        """Whether a run was asked for by annotation since the last look: then nothing that failed is waited for."""
        before = self._parts.board.standing
        return before is not None and any(
            requested_at(override) not in (None, before.wishes.get(label_of(override))) for override in overrides
        )

    async def _look(self, overrides: tuple[Override, ...], needed: frozenset[Needed], not_before: float) -> Seen:
        read = await asyncio.gather(*(self._parts.terms.read(override) for override in overrides))
        terms = dict(zip((label_of(override) for override in overrides), read, strict=True))
        return await self._parts.targets.look(needed, lambda label: terms.get(label, Terms()), not_before)

    def _held(self, seen: Seen) -> Mapping[str, Mapping[str, str]]:
        transient = any(refusal.reason in TRANSIENT for refusal in seen.refused.values())
        in_force = self._survey.stored(self._parts.tables) if transient else frozenset[tuple[str, str]]()
        everywhere, single = held_back(seen.refused, in_force)
        return {EVERYWHERE: everywhere, **single}

    def _frozen(self, book: Rulebook, ground: _Ground) -> dict[str, Table | None]:
        """Return the tables to be stored; those that hold entries of an override that waits stay as they are."""
        stored = self._parts.tables.tables
        kept = dict(kept_tables(stored, ground.pending | ground.unusable, ground.alive))
        own = {**book.cluster.own, **{name: True for name in kept if name != CLUSTER}}
        cluster = book.cluster.model_copy(update={"own": own})
        empty = not (cluster.rules or cluster.mandatory or own)
        wanted: dict[str, Table | None] = dict.fromkeys(stored)
        wanted |= {**book.namespaces, CLUSTER: None if empty else cluster}
        if CLUSTER in kept:  # a new table would take a namespace out of the one that stays
            wanted = {name: table for name, table in wanted.items() if name in stored}
        return {**wanted, **kept}

    async def _write(self, tables: Mapping[str, Table | None]) -> dict[str, str]:
        """Write what differs. A new table comes before the cluster's names it, one that goes goes after that."""
        places, failed = asyncio.Semaphore(WRITERS), dict[str, str]()
        spaces = [name for name in tables if name != CLUSTER]
        made = [name for name in spaces if tables[name] is not None]
        await _all(self._put(name, tables[name], (places, failed)) for name in made)
        if self._parts.overrides.clustered:
            await self._put(CLUSTER, self._named(tables.get(CLUSTER), failed), (places, failed))
        gone = [name for name in spaces if tables[name] is None]
        await _all(self._put(name, None, (places, failed)) for name in gone)
        return failed

    def _named(self, table: Table | None, failed: Mapping[str, str]) -> Table | None:
        """Let the cluster's table hold where a namespace's own could not be made."""
        if not isinstance(table, ClusterTable):
            return table
        own = {name: True for name in table.own if name in self._parts.tables.tables or name not in failed}
        return table.model_copy(update={"own": own})

    async def _put(
        self, namespace: str, table: Table | None, shared: tuple[asyncio.Semaphore, dict[str, str]]
    ) -> StoredTable | None:
        places, failed = shared
        async with places:
            self._parts.guard()
            try:
                return await self._parts.tables.write(namespace, table)
            except ApiUnavailable:
                raise
            except ClusterError as error:
                failed[namespace] = str(error)
                log.warning("table not written", namespace=namespace, error=str(error))
        return None

    def _publish(self, overrides: tuple[Override, ...], fresh: Standing) -> None:
        board, before = self._parts.board, self._parts.board.standing
        if before is not None and _same(before, fresh):
            return
        board.standing = replace(fresh, stamp=before.stamp + 1 if before is not None else 1)
        for override in overrides:
            self._parts.wake(key_of(override))


async def _all(works: Iterable[Awaitable[object]]) -> None:
    """Do all; the first error is raised when none is under way any more, or two looks would write side by side."""
    for ended in await asyncio.gather(*works, return_exceptions=True):
        if isinstance(ended, BaseException):
            raise ended


def awaits_approval(override: Override) -> bool:
    """Whether nothing of an override may be in force yet: its plan is to be approved, and was not."""
    rollout, plan = override.spec.rollout, override.status.plan
    if rollout.mode is not Mode.PLAN or _ending(override):
        return False
    return plan is None or not rollout.approved_plan or rollout.approved_plan != plan.hash


def _pause(seen: Seen, failed: Mapping[str, str]) -> float:
    again = seen.again_in if seen.again_in is not None else RESYNC
    return max(SOON, min(again, AGAIN if failed else RESYNC))


def _ending(override: Override) -> bool:
    return override.metadata.deletion_timestamp is not None


def _same(before: Standing, after: Standing) -> bool:
    parts = (
        "rulebook",
        "stored",
        "failed",
        "contents",
        "needed",
        "refused",
        "copies",
        "generations",
        "wishes",
        "pending",
    )
    return all(getattr(before, part) == getattr(after, part) for part in parts)


async def _compiled(stock: Stock) -> Rulebook:
    if sum(len(override.spec.rules) for override in stock.overrides) < MANY_RULES:
        return compile_rulebook(stock)
    return await asyncio.to_thread(compile_rulebook, stock)
