"""The rulebook: all overrides compiled into one table for the cluster, and one for each namespace that needs its own.

An order of all overrides decides who stays if two do not agree, so neither the order of the input nor that of events
changes a table. Namespaces under the same overrides share one table.
Neighbours: `decide.rulebook_drafts` reads single overrides, `decide.rulechecks` finds chains, `decide.rulebook_pages`
builds tables and finds conflicts, `decide.tables` interprets them. Not here: writing tables to the cluster.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pawl.api.imageoverride import Override
from pawl.api.imagerules import MAX_TABLE_BYTES, ClusterTable, Table
from pawl.api.reasons import Reason
from pawl.decide.objects import SYSTEM_NAMESPACES, NamespaceRow
from pawl.decide.rulebook_drafts import Author, author_of
from pawl.decide.rulebook_pages import Clash, Page, Pages
from pawl.decide.rulebook_rules import Inactive, Policies, Policy, Refusal, override_key
from pawl.decide.rulechecks import Field, unknown_word
from pawl.decide.rulechecks_comparisons import MOST, MOST_TOGETHER, Comparisons, Exhausted
from pawl.decide.rulechecks_ground import Ground

__all__ = [
    "EVERYWHERE",
    "Clash",
    "Inactive",
    "Judged",
    "Policies",
    "Policy",
    "Refusal",
    "Rulebook",
    "Stock",
    "compile_rulebook",
    "override_key",
]

EVERYWHERE = ""
"""Stands for all namespaces in `Stock.held` and `Stock.exempt`."""

Notes = Mapping[str, Mapping[str, str]]
"""By namespace: results that are held with the reason, or uids of exempt owners with override@generation."""


@dataclass(frozen=True, slots=True)
class Stock:
    """What a rulebook is compiled from. A policy that is not in `policies` does not exist."""

    overrides: Sequence[Override]
    policies: Policies = field(default_factory=dict)
    namespaces: Sequence[NamespaceRow] = ()
    held: Notes = field(default_factory=dict)
    exempt: Notes = field(default_factory=dict)
    excluded: frozenset[str] = SYSTEM_NAMESPACES


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of one override. With a refusal none of its rules is in force."""

    override: str
    kind: str
    refusal: Refusal | None
    inactive: tuple[Inactive, ...]
    conflicts: tuple[Clash, ...]

    @property
    def accepted(self) -> bool:
        """Whether its rules are in force, but for inactive ones."""
        return self.refusal is None


@dataclass(frozen=True, slots=True)
class Rulebook:
    """The tables, and what became of each override by its key (`override_key`)."""

    cluster: ClusterTable
    namespaces: Mapping[str, Table]
    judged: Mapping[str, Judged]
    left_alone: frozenset[str]

    def table(self, namespace: str) -> Table | None:
        """Return what holds in a namespace, also in one that is not there yet; None where nothing is rewritten."""
        return None if namespace in self.left_alone else self.namespaces.get(namespace, self.cluster)


def compile_rulebook(stock: Stock) -> Rulebook:
    """Compile all overrides. Those that are being deleted are left out, suspended ones hold on."""
    read = [author_of(one, stock.policies) for one in stock.overrides if one.metadata.deletion_timestamp is None]
    authors = [_not_excluded(author, stock.excluded) for author in sorted(read, key=lambda author: author.standing)]
    refused = {author.key: author.refusal for author in authors if author.refusal is not None}
    while True:
        settled = _settle([author for author in authors if author.key not in refused], stock.namespaces)
        standing = [author for author in authors if author.key not in refused and author.key not in settled]
        pages = _pages(stock, standing)
        too_large = _too_large(pages)
        if not too_large:
            return _rulebook(stock, pages, authors, refused | settled)
        refused |= too_large


def _not_excluded(author: Author, excluded: frozenset[str]) -> Author:
    if author.namespace not in excluded or not author.namespace:
        return author
    said = f"no rule is active: images of namespace {author.namespace} are never rewritten; delete the override"
    return replace(author, drafts=(), inactive=(Inactive(0, Reason.INVALID_SPEC, said),))


def _settle(authors: Sequence[Author], rows: Sequence[NamespaceRow]) -> dict[str, Refusal]:
    """Admit overrides in the order of their standing; one that makes a chain with what stands already is refused.

    So is one that would need more comparisons than are allowed, itself or with those before it.
    """
    word = unknown_word(draft for author in authors for draft in author.drafts)
    cluster, at_cluster = Ground(), Comparisons()
    refused: dict[str, Refusal] = {}
    standing: list[Author] = []
    for author in (author for author in authors if not author.namespace):
        refusal = _refusal(author, _Place((cluster,), None, word, at_cluster))
        if refusal is not None:
            refused[author.key] = refusal
            continue
        cluster.add(author.drafts)
        standing.append(author)
    known = {row.name: row for row in rows}
    local: dict[str, tuple[Ground, Comparisons]] = {}
    for author in (author for author in authors if author.namespace):
        row = known.get(author.namespace, NamespaceRow(author.namespace))
        ground, comparisons = local.setdefault(author.namespace, (Ground(), Comparisons()))
        here = frozenset(one.key for one in standing if one.covers(row))
        refusal = _refusal(author, _Place((cluster, ground), here, word, comparisons))
        if refusal is not None:
            refused[author.key] = refusal
        else:
            ground.add(author.drafts)
    return refused


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an override is to stand: what stands there, and which cluster-wide overrides hold in its namespace."""

    grounds: tuple[Ground, ...]
    here: frozenset[str] | None
    word: str
    comparisons: Comparisons


def _refusal(author: Author, place: _Place) -> Refusal | None:
    place.comparisons.begin()
    try:
        return _beside(author, replace(place, grounds=(), here=None)) or _beside(author, place)
    except Exhausted:
        said = (
            f"its {len(author.drafts)} rules need more than {MOST} comparisons with each other and with those of other "
            f"overrides, or all overrides here more than {MOST_TOGETHER}: use fewer rules for one source, or fewer "
            "patterns of containers"
        )
        return Refusal(Reason.RULES_TOO_TANGLED, said)


def _beside(author: Author, place: _Place) -> Refusal | None:
    """Look for a chain between an override and what stands."""
    own = Ground()
    own.add(author.drafts)
    here, namespaced = place.here, place.here or frozenset()
    field_ = Field(
        own,
        place.grounds,
        lambda draft: here is None or "/" in draft.entry.override or draft.entry.override in namespaced,
        place.word,
        place.comparisons,
        one=bool(author.namespace),
    )
    chain = field_.chain_of(author.drafts)
    return None if chain is None else Refusal(Reason.NOT_IDEMPOTENT, chain.sentence())


def _pages(stock: Stock, authors: Sequence[Author]) -> Mapping[str, Page]:
    """Build the page of the cluster (EVERYWHERE) and those of namespaces that need one of their own."""
    pages = Pages([author for author in authors if author.everywhere])
    extra = [author for author in authors if not author.everywhere]
    held, exempt = stock.held.get(EVERYWHERE, {}), stock.exempt.get(EVERYWHERE, {})
    found = {EVERYWHERE: pages.page((), held, exempt)}
    for row in stock.namespaces:
        if row.terminating or row.ignored or row.name in stock.excluded:
            continue
        more = tuple(author for author in extra if author.covers(row))
        own_held, own_exempt = stock.held.get(row.name, {}), stock.exempt.get(row.name, {})
        if more or own_held or own_exempt:
            found[row.name] = pages.page(more, {**held, **own_held}, {**exempt, **own_exempt})
    return found


def _too_large(pages: Mapping[str, Page]) -> dict[str, Refusal]:
    """Refuse, for each table beyond its bound, those overrides in it that stand last; too few rather than too many."""
    refused = {}
    for namespace, page in sorted(pages.items()):
        size = page.size
        for last in sorted(page.authors, key=lambda author: author.standing, reverse=True):
            if size <= MAX_TABLE_BYTES:
                break
            where = f"of namespace {namespace}" if namespace else "of the cluster"
            said = (
                f"with it the table {where} would have at least {size} bytes, more than {MAX_TABLE_BYTES}; "
                "use fewer rules with broader sources, or give overrides to fewer namespaces"
            )
            refused[last.key] = Refusal(Reason.TABLE_TOO_LARGE, said)
            size -= sum(draft.most for draft in last.drafts)
    return refused


def _rulebook(
    stock: Stock, pages: Mapping[str, Page], authors: Sequence[Author], refused: Mapping[str, Refusal]
) -> Rulebook:
    own = dict.fromkeys(sorted(name for name in pages if name != EVERYWHERE), True)
    cluster = ClusterTable.model_construct(**dict(pages[EVERYWHERE].table), own=own)
    clashes = _by_override(clash for page in pages.values() for clash in page.clashes)
    judged = {
        author.key: Judged(
            author.key, author.kind, refused.get(author.key), author.inactive, tuple(clashes.get(author.key, ()))
        )
        for author in authors
    }
    ignored = frozenset(row.name for row in stock.namespaces if row.ignored)
    tables = {name: pages[name].table for name in own}
    return Rulebook(cluster, tables, judged, stock.excluded | ignored)


def _by_override(clashes: Iterable[Clash]) -> Mapping[str, list[Clash]]:
    found: dict[str, list[Clash]] = {}
    for clash in sorted(set(clashes)):
        for key in {clash.winner[0], clash.loser[0]}:
            found.setdefault(key, []).append(clash)
    return found
