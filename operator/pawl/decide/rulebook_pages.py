"""Pages of the rulebook: drafts in the order of precedence, as tables, and where two of them tie.

What holds everywhere is ordered once; a namespace's page changes only the sources that its own overrides name, and
namespaces under the same overrides share a page. Neighbours: `decide.rulebook`. Not here: which overrides are admitted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from pawl.api.imagerules import Entry, SecretEntry, Table
from pawl.decide.reference import DEFAULT_HOST, LEGACY_HOST
from pawl.decide.rulebook_drafts import Author, Draft
from pawl.decide.rulechecks_comparisons import Comparisons, Exhausted
from pawl.decide.sources import WILDCARD, official

MAX_GIVES: Final = 1000
_QUOTES: Final = 6
"""Bytes that JSON spends on a key and a value beside their text."""


@dataclass(frozen=True, slots=True, order=True)
class Clash:
    """Two rules of one rank for one source that may both hold and give different results.

    `winner` and `loser` are an override's key and the index of its rule; the winner is the older, then by name.
    """

    source: str
    winner: tuple[str, int]
    loser: tuple[str, int]

    def sentence(self) -> str:
        """Say who wins, and the way out."""
        (override, rule), (other, loses) = self.winner, self.loser
        return (
            f"rule {rule} of {override} and rule {loses} of {other} give different targets for {self.source} with the "
            f"same priority; that of {override} is used: set spec.priority, or remove one"
        )


@dataclass(frozen=True, slots=True)
class Page:
    """One table with what is told about it. `size` is that of its JSON in bytes."""

    table: Table
    authors: tuple[Author, ...]
    clashes: tuple[Clash, ...]
    size: int


@dataclass(frozen=True, slots=True)
class _List:
    """What stands under one key of a table."""

    drafts: tuple[Draft, ...]
    entries: tuple[Entry, ...]
    secrets: tuple[SecretEntry, ...]
    clashes: tuple[Clash, ...]
    size: int


_Lists = Mapping[tuple[str, str], _List]
"""By field of the table and key."""


class Pages:
    """Makes pages over one base: the overrides that hold everywhere."""

    def __init__(self, base: Sequence[Author]) -> None:
        self._base = tuple(base)
        self._under = _lists({}, base)
        self._bound = _bound(self._under)
        self._made: dict[tuple[Author, ...], _Bound] = {}

    def page(self, more: tuple[Author, ...], held: Mapping[str, str], exempt: Mapping[str, str]) -> Page:
        """Make the page for the base and these overrides."""
        if more not in self._made:
            self._made[more] = self._bound.over(self._under, _lists(self._under, more)) if more else self._bound
        bound = self._made[more]
        table = Table.model_construct(
            mandatory=bound.entries["mandatory"],
            rules=bound.entries["rules"],
            secrets=bound.secrets,
            hosts=hosts_of((*bound.entries["mandatory"], *bound.entries["rules"])),
            gives=names_in(bound.secrets),
            held=dict(sorted(held.items())),
            exempt=dict(sorted(exempt.items())),
        )
        notes = sum(len(key) + len(text) + _QUOTES for listed in (held, exempt) for key, text in listed.items())
        return Page(table, (*self._base, *more), bound.clashes, bound.size + notes)


def names_in(secrets: Mapping[str, Sequence[SecretEntry]]) -> list[str] | None:
    """Return all names of Secrets, or None where they are too many to be looked through first."""
    names = sorted({name for listed in secrets.values() for secret in listed for name in secret.names})
    return names if len(names) <= MAX_GIVES else None


def hosts_of(sources: Iterable[str]) -> dict[str, bool]:
    """Return what the gate looks at first: the hosts of sources as people may write them, `*` for wildcards."""
    hosts = {"*" if source.startswith(WILDCARD) else source.partition("/")[0].lower() for source in sources}
    also = {LEGACY_HOST} if DEFAULT_HOST in hosts else set()
    return dict.fromkeys(sorted(hosts | also), True)


@dataclass(frozen=True, slots=True)
class _Bound:
    """Lists as the fields of a table."""

    entries: Mapping[str, dict[str, list[Entry]]]
    secrets: dict[str, list[SecretEntry]]
    clashes: tuple[Clash, ...]
    size: int

    def over(self, under: _Lists, lists: _Lists) -> _Bound:
        """Return the same with other lists under some keys; all others are shared."""
        upper = _bound(lists)
        gone = {where: under[where] for where in lists if where in under}
        clashes = set(self.clashes) - {clash for listed in gone.values() for clash in listed.clashes}
        return _Bound(
            {field: {**self.entries[field], **upper.entries[field]} for field in self.entries},
            {**self.secrets, **upper.secrets},
            (*clashes, *upper.clashes),
            self.size - _size(gone) + upper.size,
        )


def _bound(lists: _Lists) -> _Bound:
    entries: dict[str, dict[str, list[Entry]]] = {"mandatory": {}, "rules": {}}
    secrets: dict[str, list[SecretEntry]] = {}
    for (field, key), listed in sorted(lists.items(), key=lambda item: item[0]):
        if field == "secrets":
            secrets[key] = list(listed.secrets)
        else:
            entries[field][key] = list(listed.entries)
    clashes = tuple(clash for listed in lists.values() for clash in listed.clashes)
    return _Bound(entries, secrets, clashes, _size(lists))


def _size(lists: _Lists) -> int:
    return sum(len(key) + _QUOTES + listed.size for (_, key), listed in lists.items())


def _lists(base: _Lists, authors: Iterable[Author]) -> _Lists:
    """Order the drafts of these overrides together with those of the base under the same keys."""
    found: dict[tuple[str, str], list[Draft]] = {}
    for author in authors:
        for draft in author.drafts:
            for where in _keys(draft):
                found.setdefault(where, list(base[where].drafts) if where in base else []).append(draft)
    comparisons = Comparisons()
    return {where: _list(where, drafts, comparisons) for where, drafts in found.items()}


def _keys(draft: Draft) -> Iterator[tuple[str, str]]:
    yield ("mandatory" if draft.mandatory else "rules", draft.source)
    if draft.secret is not None:
        for key in {draft.entry.to, official(draft.entry.to)}:
            yield ("secrets", key)


def _list(where: tuple[str, str], drafts: list[Draft], comparisons: Comparisons) -> _List:
    ordered = tuple(sorted(drafts, key=lambda draft: (not draft.mandatory, draft.rank)))
    if where[0] == "secrets":
        secrets = _distinct(draft.secret for draft in ordered if draft.secret is not None)
        return _List(ordered, (), tuple(secrets.values()), (), sum(len(text) + 1 for text in secrets))
    entries = tuple(draft.entry for draft in ordered)
    clashes = tuple(_clashes(where[1], ordered, comparisons))
    return _List(ordered, entries, (), clashes, sum(draft.size for draft in ordered))


def _distinct(secrets: Iterable[SecretEntry]) -> Mapping[str, SecretEntry]:
    """Return each once, by its JSON."""
    return {secret.model_dump_json(by_alias=True, exclude_none=True): secret for secret in secrets}


def _clashes(source: str, drafts: Sequence[Draft], comparisons: Comparisons) -> Iterator[Clash]:
    """Name the pairs of one priority and scope that differ, may both hold, and are not decided by a rule above.

    They are told, and change nothing: what would need more comparisons than all sources are allowed is left out.
    """
    with suppress(Exhausted):
        for index, winner in enumerate(drafts):
            for loser in drafts[index + 1 :]:
                if loser.rank[:2] != winner.rank[:2]:
                    break
                if _ties(comparisons, winner, loser) and not _decided(comparisons, drafts[:index], winner, loser):
                    yield Clash(source, _rule(winner), _rule(loser))


def _ties(comparisons: Comparisons, winner: Draft, loser: Draft) -> bool:
    """Inside one override the order of its rules decides, unless the later one could never hold."""
    if winner.result == loser.result:
        return False
    if winner.entry.override == loser.entry.override:
        return comparisons.follows(winner.here, loser.here, loser.here)
    return comparisons.may_meet(winner.here, loser.here)


def _decided(comparisons: Comparisons, above: Sequence[Draft], winner: Draft, loser: Draft) -> bool:
    return any(comparisons.follows(draft.here, winner.here, loser.here) for draft in above)


def _rule(draft: Draft) -> tuple[str, int]:
    return (draft.entry.override, draft.entry.rule)
