"""Tables made ready for lookups: patterns compiled, every reference parsed and composed once.

Neighbours: `decide.tables` is the door and asks conditions; `decide.sources` gives the ladder of an image.
Not here: who may be rewritten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Final, Literal, TypeVar

import msgspec

from pawl.api.imagerules import Conditions, Entry, Table
from pawl.decide.reference import MAX_NAME, Reference, UnparsableReference, parse
from pawl.decide.sources import WILDCARD, candidates, official, specificity
from pawl.decide.subjects import Guard

Layer = Literal["pods", "templates"]
"""Where an image is rewritten: as a Pod is admitted, or in the template that it is made from."""

Outcome = Literal["Rewritten", "Same", "Unmatched", "Held", "TooLong", "Unparsable", "Exempt", "Off", "Ignored"]
"""Same: the rule gives what is there. Off: the override leaves this layer alone. All but Rewritten change nothing."""

CACHED: Final = 1024
"""References that a table remembers; one takes about a KiB."""

C = TypeVar("C", bound=Conditions)


class Ruling(msgspec.Struct, frozen=True):
    """What a table says of one image. `source` and `entry` name what decided, `reason` says why it did nothing."""

    image: str
    source: str | None
    entry: Entry | None
    outcome: Outcome
    reason: str = ""


class Match(msgspec.Struct, frozen=True):
    """An entry on the ladder of an image, and what it makes of that image. Without a guard it always holds."""

    source: str
    entry: Entry
    mandatory: bool
    guard: Guard | None
    rulings: Mapping[Layer, Ruling]


class Found(msgspec.Struct, frozen=True):
    """What a table holds for one reference."""

    reference: Reference | None
    matches: tuple[Match, ...]
    unmatched: Ruling
    secrets: tuple[tuple[Guard, tuple[str, ...]], ...] = ()


Compiled = tuple[C, Guard]
Targets = Mapping[str, tuple[Compiled[Entry], ...]]


class CompiledTable:
    """A table ready for lookups. It never changes; what it remembers is bounded."""

    def __init__(self, table: Table) -> None:
        guards: Callable[[Conditions], Guard] = _guards()
        self._mandatory = _compile(table.mandatory, guards)
        self._rules = _compile(table.rules, guards)
        self._secrets = _compile(table.secrets, guards)
        self._targets: Targets | None = None
        self._held = table.held
        self.exempt: Mapping[str, str] = table.exempt
        self.find: Callable[[str], Found] = lru_cache(CACHED)(self._find)

    @classmethod
    def of(cls, table: Table) -> CompiledTable:
        """Compile a table. Raises Stalled(InvalidPattern) for a container pattern that RE2 does not take."""
        return cls(table)

    @property
    def gives_secrets(self) -> bool:
        """Whether any Pod may be given a pull Secret."""
        return bool(self._secrets)

    def all_matches(self, image: str) -> tuple[Match, ...]:
        """Return every entry on the ladder of an image in the order of precedence, conditions not asked."""
        reference = self.find(image).reference
        return () if reference is None else tuple(self._ladder(image, reference))

    def targets(self, reference: Reference) -> Iterator[tuple[Compiled[Entry], ...]]:
        """Return the entries whose `to` this image stands under: a group for each `to`, the most specific first."""
        if self._targets is None:
            self._targets = _by_target((*_ranked(self._mandatory), *_ranked(self._rules)))
        for key in candidates(reference.host, reference.path):
            yield self._targets.get(key, ())

    def _find(self, image: str) -> Found:
        try:
            reference = parse(image)
        except UnparsableReference as error:
            return Found(None, (), Ruling(image, None, None, "Unparsable", str(error)))
        matches = tuple(_until_certain(self._ladder(image, reference)))
        return Found(reference, matches, Ruling(image, None, None, "Unmatched"), self._secrets_of(reference))

    def _ladder(self, image: str, reference: Reference) -> Iterator[Match]:
        keys = candidates(reference.host, reference.path)
        for entries, mandatory in ((self._mandatory, True), (self._rules, False)):
            for key in keys if entries else ():
                for entry, guard in entries.get(key, ()):
                    rulings = self._rulings(image, reference, key, entry)
                    yield Match(key, entry, mandatory, None if guard.always else guard, rulings)

    def _rulings(self, image: str, reference: Reference, key: str, entry: Entry) -> Mapping[Layer, Ruling]:
        name = compose(reference, key, entry.to)
        result = name + suffix(reference, entry)
        if len(name) > MAX_NAME:
            reason = f"{name[:80]}... would have {len(name)} characters, more than {MAX_NAME}"
            return dict.fromkeys(("pods", "templates"), Ruling(image, key, entry, "TooLong", reason))
        if result == str(reference):
            return dict.fromkeys(("pods", "templates"), Ruling(image, key, entry, "Same"))
        held = self._held.get(result)
        last = Ruling(result, key, entry, "Rewritten") if held is None else Ruling(image, key, entry, "Held", held)
        off = Ruling(image, key, entry, "Off")
        return {"pods": last if entry.pods else off, "templates": last if entry.templates else off}

    def _secrets_of(self, reference: Reference) -> tuple[tuple[Guard, tuple[str, ...]], ...]:
        if not self._secrets:
            return ()
        keys = candidates(reference.host, reference.path)
        return tuple((guard, tuple(entry.names)) for key in keys for entry, guard in self._secrets.get(key, ()))


def compose(reference: Reference, key: str, to: str) -> str:
    """Put `to` in the place of the source `key` that the image stands under, and return host and path."""
    start = len(reference.host) if key.startswith(WILDCARD) else len(key)
    return official(to + f"{reference.host}/{reference.path}"[start:])


def suffix(reference: Reference, entry: Entry) -> str:
    """Return `:tag@digest` of the result: of the entry if it has one of them, else of the image."""
    given = reference if entry.tag is None and entry.digest is None else entry
    tag = "" if given.tag is None else f":{given.tag}"
    return tag if given.digest is None else f"{tag}@{given.digest}"


def _until_certain(ladder: Iterable[Match]) -> Iterator[Match]:
    """Cut the ladder below the first entry that always holds: nothing below it is ever asked."""
    for match in ladder:
        yield match
        if match.guard is None:
            return


def _guards() -> Callable[[Conditions], Guard]:
    """Make a compiler of conditions that compiles equal ones once."""
    known: dict[tuple[object, ...], Guard] = {}

    def guard(conditions: Conditions) -> Guard:
        labels = tuple((item.key, item.operator, tuple(item.values)) for item in conditions.labels or ())
        key = (conditions.containers, tuple(conditions.kinds or ()), labels)
        if key not in known:
            known[key] = Guard.of(conditions)
        return known[key]

    return guard


def _compile(
    entries: Mapping[str, list[C]], guards: Callable[[Conditions], Guard]
) -> Mapping[str, tuple[Compiled[C], ...]]:
    return {key: tuple((entry, guards(entry)) for entry in listed) for key, listed in entries.items()}


def _ranked(compiled: Mapping[str, tuple[Compiled[Entry], ...]]) -> list[tuple[Compiled[Entry], ...]]:
    """Order the lists by their sources, so that no order of a map decides: the most specific first, then by text."""
    keys = sorted(sorted(compiled), key=specificity, reverse=True)
    return [compiled[key] for key in keys]


def _by_target(lists: Iterable[tuple[Compiled[Entry], ...]]) -> Targets:
    """Index entries by `to`; `docker.io/x` names the image docker.io/library/x too."""
    found: dict[str, list[Compiled[Entry]]] = {}
    for listed in lists:
        for entry, guard in listed:
            for key in {entry.to, official(entry.to)}:
                found.setdefault(key, []).append((entry, guard))
    return {key: tuple(listed) for key, listed in found.items()}
