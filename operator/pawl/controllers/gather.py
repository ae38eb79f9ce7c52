"""Gather: the only reads from a registry for one decision, into one frozen `Facts`.

A failure is a fact too: it is kept beside what was found out, and what was not asked stays None. Lists and manifests
are shared between policies with the same credentials, never across credentials.
Neighbours: `decide.facts` is the form, `imagepolicy` calls. Not here: judging, writing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

from pawl.api.errors import Missing, Outcome, RegistryError
from pawl.api.imagepolicy import TagMutability
from pawl.controllers.access import AccessReader
from pawl.controllers.answers import Answers
from pawl.controllers.outcomes import from_registry
from pawl.decide.facts import Facts, LiveImage, Lookup, Scan, Selected, Subject
from pawl.decide.ordering import value_part
from pawl.decide.reference import Repository, parse_repository
from pawl.decide.rollback import wants_target
from pawl.decide.shortlist import Candidate, Rules, shortlist
from pawl.registry.client import RegistryClient
from pawl.registry.manifests import NotModified
from pawl.registry.platforms import missing_platforms
from pawl.registry.scans import ScanHub
from pawl.registry.targets import Access

LOOKUPS = 5
"""Candidates that are looked at in one decision: each costs a request, and the best one nearly always serves."""

LONG_LIST = 5000
"""Tags; a list of so many is judged in a thread."""

LiveReader = Callable[[str, Repository, float], Awaitable[Sequence[LiveImage]]]
"""Reads what Pods of a namespace run of a repository, not before a time (monotonic seconds)."""


@dataclass(frozen=True, slots=True)
class Errand:
    """What one reconcile wants to know. Times in monotonic seconds.

    `known_revision`: a list of this revision brings nothing new. `seen_revision`: what the scan before saw, begun at
    `seen_at`.
    """

    namespace: str
    subject: Subject
    rules: Rules
    not_before: float
    known_revision: str | None = None
    seen_revision: str | None = None
    seen_at: float = 0.0
    audit: bool = False


@dataclass(frozen=True, slots=True)
class Gathered:
    """What was gathered: `facts` None means that nothing is new. `scanned_at`: when the list used was asked for."""

    facts: Facts | None
    revision: str | None = None
    scanned_at: float | None = None


@dataclass(slots=True)
class _Notes:
    """Facts in the making."""

    scan: Scan | None = None
    tags: tuple[str, ...] | None = None
    scanned_at: float | None = None
    selected: Selected = field(default_factory=Selected)
    lookups: dict[str, Lookup] = field(default_factory=dict)
    live: tuple[LiveImage, ...] = ()


class Gatherer:
    """Gathers facts through one registry client."""

    def __init__(
        self,
        client: RegistryClient,
        hub: ScanHub,
        access: AccessReader,
        live: LiveReader,
        lookups: Answers[Lookup],
    ) -> None:
        self._client = client
        self._hub = hub
        self._access = access
        self._live = live
        self._lookups = lookups

    async def gather(self, errand: Errand) -> Gathered:
        """Return what could be found out. Raises nothing that a registry or a Secret may cause."""
        notes = _Notes()
        failure: Outcome | None = None
        repository = parse_repository(errand.subject.spec.image)
        try:
            access = await self._access.resolve(errand.namespace, errand.subject.spec, repository)
            inquiry = _Inquiry(self._client, self._hub, self._lookups, access, repository.path, errand)
            await inquiry.fill(notes)
            if _starts(errand):
                notes.live = await self._living(errand, repository, inquiry)
        except RegistryError as error:
            failure = from_registry(error, errand.subject.spec.image)
        except Outcome as outcome:
            failure = outcome
        return _found(errand, notes, failure)

    async def _living(self, errand: Errand, repository: Repository, inquiry: _Inquiry) -> tuple[LiveImage, ...]:
        """Read what runs; keep the digest of an image only if the registry serves it."""
        images = await self._live(errand.namespace, repository, errand.not_before)
        return tuple([await inquiry.confirm(image) for image in images])


def _starts(errand: Errand) -> bool:
    """Whether this decision may make the first selection of an epoch: only then does it matter what runs."""
    held = errand.subject.memory.selection
    fingerprint = errand.rules.ordering.fingerprint
    return held is None or (held.ordering != fingerprint and errand.subject.spec.accept_ordering == fingerprint)


def _found(errand: Errand, notes: _Notes, failure: Outcome | None) -> Gathered:
    if failure is None and _nothing_new(errand, notes):
        return Gathered(None, errand.known_revision, notes.scanned_at)
    facts = Facts(
        errand.subject,
        errand.rules,
        scan=notes.scan,
        failure=failure,
        selected=notes.selected,
        lookups=notes.lookups,
        live=notes.live,
    )
    revision = notes.scan.revision if notes.scan else errand.known_revision
    return Gathered(facts, revision if failure is None else None, notes.scanned_at)


def _nothing_new(errand: Errand, notes: _Notes) -> bool:
    """The list is the one known, and nothing else was asked; or the one tag followed points where it did."""
    if errand.known_revision is None or errand.audit:
        return False
    if notes.scan is None:
        return not notes.lookups and notes.selected == Selected()
    return errand.subject.spec.select.digest is not None and notes.scan.revision == errand.known_revision


async def _best(rules: Rules, tags: Sequence[str], blocked: frozenset[str]) -> tuple[Candidate, ...]:
    """Pick candidates; a long list with a slow pattern does not keep the event loop from renewing the Lease."""
    if len(tags) < LONG_LIST:
        return shortlist(rules, tags, blocked=blocked).candidates
    return (await asyncio.to_thread(shortlist, rules, tags, blocked=blocked)).candidates


@dataclass(frozen=True, slots=True)
class _Inquiry:
    """The questions of one errand to one repository."""

    client: RegistryClient
    hub: ScanHub
    shared: Answers[Lookup]
    access: Access
    path: str
    errand: Errand

    async def fill(self, notes: _Notes) -> None:
        """Ask, in the order in which the answers matter: the way back first, it may be an emergency."""
        await self._rollback(notes)
        followed = self.errand.subject.spec.select.digest
        if followed is not None:
            await self._follow_tag(notes, followed.tag)
            return
        await self._list(notes)
        await self._candidates(notes)
        await self._selected(notes)

    async def confirm(self, image: LiveImage) -> LiveImage:
        """Return a running image with a digest that the registry serves, or without one."""
        for ref in (image.digest, image.tag):
            found = await self.lookup(ref) if ref else Lookup(found=False)
            if found.found:
                return replace(image, digest=found.digest)
        return replace(image, digest=None)

    async def lookup(self, ref: str) -> Lookup:
        """Ask for a manifest by tag or digest; a clear 404 is an answer. Raises RegistryError."""
        key = (self.access.fingerprint, self.path, ref, tuple(self.errand.subject.spec.platforms))
        return await self.shared.get(key, self.errand.not_before, lambda: self._ask(ref))

    async def _ask(self, ref: str) -> Lookup:
        wanted = self.errand.subject.spec.platforms
        try:
            found = await self.client.get_manifest(self.access, self.path, ref, want_platforms=bool(wanted))
        except Missing:
            return Lookup(found=False)
        lacking = missing_platforms(found.platforms or (), wanted) if wanted else ()
        return Lookup(found=True, digest=found.digest, lacking=lacking)

    async def _rollback(self, notes: _Notes) -> None:
        wish = self.errand.subject.spec.rollback
        if wish is not None and wants_target(self.errand.subject.memory, wish):
            notes.lookups[wish.to.digest] = await self.lookup(wish.to.digest)

    async def _follow_tag(self, notes: _Notes, tag: str) -> None:
        """With the digest strategy one manifest is all there is to see."""
        held = self.errand.subject.memory.selection
        held = held if held is not None and held.tag == tag else None
        notes.scanned_at = asyncio.get_running_loop().time()
        now = await (self._pointed(tag, held.digest) if held else self.lookup(tag))
        key = self.errand.rules.key(tag)
        found = (Candidate(tag, key),) if now.found and isinstance(key, str) else ()
        notes.lookups[tag] = now
        revision = now.digest.rpartition(":")[2]  # as long as the hash of a list
        notes.scan = Scan(revision, len(found), complete=True, candidates=found)
        if held is not None:
            served = True if now.found and now.digest == held.digest else await self._served(held.digest)
            notes.selected = Selected(listed=now.found, tag_now=now, served=served)

    async def _list(self, notes: _Notes) -> None:
        """Read the list; one that the policy knows already comes without its tags."""
        errand = self.errand
        result = await self.hub.scan(
            self.access, self.path, not_before=errand.not_before, known_revision=errand.known_revision
        )
        notes.scanned_at, notes.tags = result.started_at, result.tags
        if result.tags is None:
            return
        blocked = frozenset(errand.subject.spec.blocked) | frozenset(errand.subject.memory.blocked)
        best = await _best(errand.rules, result.tags, blocked)
        confirmed = result.revision == errand.seen_revision and result.started_at > errand.seen_at
        notes.scan = Scan(result.revision, result.count, result.complete, self._with_pending(best, blocked), confirmed)

    def _with_pending(self, best: tuple[Candidate, ...], blocked: frozenset[str]) -> tuple[Candidate, ...]:
        """A candidate that waits is not forgotten because a list does not name it; whether it exists is asked."""
        pending = self.errand.subject.status.pending
        if pending is None or any(candidate.tag == pending.tag for candidate in best):
            return best
        verdict = self.errand.rules.judge(pending.tag, blocked)
        kept = (verdict,) if isinstance(verdict, Candidate) else ()
        return tuple(sorted((*best, *kept), key=lambda candidate: candidate.key, reverse=True))

    async def _selected(self, notes: _Notes) -> None:
        """See what became of the selection: listed is free, the rest costs requests and is asked when it matters."""
        held = self.errand.subject.memory.selection
        if held is None:
            return
        listed = held.tag in notes.tags if notes.tags is not None else None
        served = await self._served(held.digest) if listed is False else None
        audit = self.errand.audit or self.errand.subject.spec.tag_mutability is TagMutability.FOLLOW
        notes.selected = Selected(listed, await self._pointed(held.tag, held.digest) if audit else None, served)

    async def _served(self, digest: str) -> bool | None:
        return (await self.lookup(digest)).found if digest else None

    async def _pointed(self, tag: str, digest: str) -> Lookup:
        """Ask what a tag points at. HEAD may say "as before"; another digest is hashed from the bytes (ratchet §6)."""
        key = (self.access.fingerprint, self.path, tag, digest)
        return await self.shared.get(key, self.errand.not_before, lambda: self._head(tag, digest))

    async def _head(self, tag: str, digest: str) -> Lookup:
        if not digest:
            return await self._ask(tag)
        try:
            head = await self.client.head_manifest(self.access, self.path, tag, if_none_match=digest)
        except Missing:
            return Lookup(found=False)
        return Lookup(found=True, digest=digest) if isinstance(head, NotModified) else await self._ask(tag)

    async def _candidates(self, notes: _Notes) -> None:
        """Look at candidates above the selection, greatest first, until one serves."""
        if notes.scan is None:
            return
        for candidate in self._above(notes.scan.candidates)[:LOOKUPS]:
            found = notes.lookups[candidate.tag] = await self.lookup(candidate.tag)
            if found.found and not found.lacking:
                return

    def _above(self, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        held = self.errand.subject.memory.selection
        if held is None or held.ordering != self.errand.rules.ordering.fingerprint:
            return candidates
        mark = value_part(held.sort_key)
        return [candidate for candidate in candidates if value_part(candidate.key) > mark]
