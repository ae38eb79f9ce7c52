"""The controller of the gate's tables: all overrides, policies and targets in, one table a namespace out.

Order: compile, copy pull Secrets, look at every target that is needed, compile again without what is held back, write
what differs. One key for all tables: they are compiled together and written where they differ.
Neighbours: `decide.rulebook` compiles, `targets` looks, `standing` is where the result stands, `imageoverride` goes on
from there. Not here: rolling what runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import structlog

from pawl.api.errors import ApiUnavailable, ClusterError
from pawl.api.imageoverride import Override
from pawl.api.imagerules import Table
from pawl.cluster.ruletables import CLUSTER, RuleTables, StoredTable
from pawl.cluster.world import World
from pawl.controllers.overridecopies import Copies
from pawl.controllers.overridestore import OverrideStore, key_of, label_of
from pawl.controllers.overrideterms import TermsReader
from pawl.controllers.policymarks import policies_for
from pawl.controllers.queue import Key
from pawl.controllers.standing import Board, Standing
from pawl.controllers.store import PolicyStore
from pawl.controllers.surveys import Survey
from pawl.controllers.targets import Seen, Targets, Terms
from pawl.decide.rulebook import EVERYWHERE, Rulebook, Stock, compile_rulebook
from pawl.decide.tables import CompiledTable
from pawl.decide.targets import Needed, Refusal, held_back

RULES: Final = Key("ImageRules", "", "pawl")
"""The one key of this controller."""
RESYNC: Final = 300.0
"""Seconds after which Secrets are copied again and refused targets looked at, if nothing else asks for it."""
SOON: Final = 0.2
WRITERS: Final = 8
"""Tables written at once."""

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
    exempt: Callable[[], Mapping[str, Mapping[str, str]]]
    excluded: frozenset[str]


class ImageRulesController:
    """Keeps tables. One for a term."""

    def __init__(self, parts: RulesParts) -> None:
        self._parts = parts
        self._survey = Survey(parts.world, parts.excluded)
        self._compiled: dict[str, tuple[Table, CompiledTable]] = {}

    async def reconcile(self, _key: Key) -> float | None:
        """Make all tables what they should be, and return the seconds until the next look."""
        parts = self._parts
        if not (parts.world.synced and parts.tables.synced):
            return SOON
        overrides = parts.overrides.readable()
        stock = self._stock(overrides)
        draft = compile_rulebook(stock)
        tables = self._compile(draft)
        needed = self._survey.needed(draft, tables)
        copies = await parts.copies.ensure(overrides, needed)
        seen = await self._look(overrides, needed)
        rulebook = compile_rulebook(replace(stock, held=self._held(seen))) if seen.refused else draft
        failed = await self._write(rulebook)
        self._publish(overrides, rulebook, (needed, seen, copies, failed))
        return min(RESYNC, seen.again_in or RESYNC, *((30.0,) if failed else ()))

    def interval(self, _key: Key) -> float:
        """Return the seconds after which tables that stalled are looked at again."""
        return RESYNC

    def _stock(self, overrides: tuple[Override, ...]) -> Stock:
        parts = self._parts
        stored = [table.table for table in parts.tables.tables.values() if table.table is not None]
        return Stock(
            overrides=overrides,
            policies=policies_for(overrides, parts.policies, stored),
            namespaces=parts.world.namespaces(),
            exempt=parts.exempt(),
            excluded=parts.excluded,
        )

    def _compile(self, book: Rulebook) -> dict[str, CompiledTable]:
        """Compile each table once; namespaces under the same overrides share one, and an equal one stays as it was."""
        tables: dict[str, Table] = {CLUSTER: book.cluster, **book.namespaces}
        known = {id(old): (old, compiled) for old, compiled in self._compiled.values()}
        fresh: dict[int, CompiledTable] = {}
        for namespace, table in tables.items():
            if id(table) not in fresh:
                old = self._compiled.get(namespace) or known.get(id(table))
                fresh[id(table)] = old[1] if old is not None and old[0] == table else CompiledTable.of(table)
        self._compiled = {namespace: (table, fresh[id(table)]) for namespace, table in tables.items()}
        return {namespace: fresh[id(table)] for namespace, table in tables.items()}

    async def _look(self, overrides: tuple[Override, ...], needed: frozenset[Needed]) -> Seen:
        read = await asyncio.gather(*(self._parts.terms.read(override) for override in overrides))
        terms = dict(zip((label_of(override) for override in overrides), read, strict=True))
        return await self._parts.targets.look(needed, lambda label: terms.get(label, Terms()))

    def _held(self, seen: Seen) -> Mapping[str, Mapping[str, str]]:
        everywhere, single = held_back(seen.refused, self._in_force)
        return {EVERYWHERE: everywhere, **single}

    def _in_force(self, namespace: str, reference: str) -> bool:
        """Whether Pods of a namespace run this target by the table that stands now."""
        standing = self._parts.board.standing
        if standing is None:
            return self._survey.stored_gives(self._parts.tables, namespace, reference)
        return (namespace, reference) in standing.contents

    async def _write(self, book: Rulebook) -> dict[str, str]:
        """Write what differs, the namespaces' tables first: the cluster's names them. Returns what failed."""
        stored = self._parts.tables.tables
        wanted: dict[str, Table | None] = dict(book.namespaces)
        gone = [namespace for namespace in stored if namespace != CLUSTER and namespace not in wanted]
        places = asyncio.Semaphore(WRITERS)
        failed: dict[str, str] = {}
        await asyncio.gather(*(self._put(namespace, wanted[namespace], (places, failed)) for namespace in wanted))
        empty = not (book.cluster.rules or book.cluster.mandatory or book.namespaces)
        if self._parts.overrides.clustered:
            await self._put(CLUSTER, None if empty else book.cluster, (places, failed))
        await asyncio.gather(*(self._put(namespace, None, (places, failed)) for namespace in gone))
        return failed

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

    def _publish(
        self,
        overrides: tuple[Override, ...],
        book: Rulebook,
        made: tuple[frozenset[Needed], Seen, Mapping[str, tuple[Refusal, ...]], dict[str, str]],
    ) -> None:
        needed, seen, copies, failed = made
        board, before = self._parts.board, self._parts.board.standing
        fresh = Standing(
            stamp=before.stamp if before else 0,
            rulebook=book,
            compiled=self._compile(book),
            stored=dict(self._parts.tables.tables),
            failed=failed,
            contents=seen.contents,
            needed=needed,
            refused=seen.refused,
            copies=copies,
            generations={label_of(override): override.metadata.generation for override in overrides},
        )
        if before is not None and _same(before, fresh):
            return
        board.standing = replace(fresh, stamp=fresh.stamp + 1)
        for override in overrides:
            self._parts.wake(key_of(override))


def _same(before: Standing, after: Standing) -> bool:
    parts = ("rulebook", "stored", "failed", "contents", "needed", "refused", "copies", "generations")
    return all(getattr(before, part) == getattr(after, part) for part in parts)
