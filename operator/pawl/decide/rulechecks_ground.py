"""Where drafts stand beside each other, found by their source and by their target.

Neighbours: `decide.rulechecks` asks, `decide.rulebook` puts overrides down. Not here: whether they go together.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Sequence

from pawl.decide.rulebook_drafts import Draft
from pawl.decide.sources import WILDCARD, candidates, official, wildcards


class Ground:
    """Drafts that stand beside each other, indexed by source and by target. It only grows."""

    def __init__(self) -> None:
        self._tiers: dict[bool, dict[str, list[Draft]]] = {True: {}, False: {}}
        self._targets: dict[str, list[Draft]] = {}
        self._hosts: dict[str, list[Draft]] = {}
        self._sorted_sources: list[str] = []
        self._sorted_targets: list[str] = []

    def add(self, drafts: Iterable[Draft]) -> None:
        """Add the drafts of one override."""
        for draft in drafts:
            _file(self._tiers[draft.mandatory], self._sorted_sources, draft.source, draft)
            for to in {draft.entry.to, official(draft.entry.to)}:
                _file(self._targets, self._sorted_targets, to, draft)
            self._hosts.setdefault(draft.entry.to.partition("/")[0], []).append(draft)

    def at(self, source: str, mandatory: bool) -> Sequence[Draft]:  # noqa: FBT001
        """Return the drafts of one source and tier."""
        return self._tiers[mandatory].get(source, ())

    def sources_below(self, place: str) -> Iterator[str]:
        """Return the sources strictly below a place."""
        return _below(self._sorted_sources, place)

    def feeding(self, source: str) -> Iterator[Draft]:
        """Return drafts whose results may stand under a source."""
        if source.startswith(WILDCARD):
            for host, drafts in self._hosts.items():
                if source in wildcards(host):
                    yield from drafts
            return
        for to in (*_prefixes(source), *_below(self._sorted_targets, source)):
            yield from self._targets.get(to, ())


def _prefixes(source: str) -> tuple[str, ...]:
    """Return a place and every place above it, its host included."""
    host, slash, path = source.partition("/")
    return candidates(host, path)[: path.count("/") + 2] if slash else (host,)


def _below(ordered: Sequence[str], place: str) -> Iterator[str]:
    start = f"{place}/"
    for index in range(bisect_left(ordered, start), len(ordered)):
        if not ordered[index].startswith(start):
            return
        yield ordered[index]


def _file(index: dict[str, list[Draft]], ordered: list[str], key: str, draft: Draft) -> None:
    if key not in index:
        index[key] = []
        insort(ordered, key)
    index[key].append(draft)
