"""What a target means and whether a Pod could pull it: asked before anything is rewritten, with the Pod's own keys.

Five hundred Deployments with one image ask once: an answer is shared by all who come with the same credentials, and by
nobody else. What was seen stays as it was seen as long as this object lives, so a tag that moves later moves nothing;
what was refused is asked again after a pause.
Neighbours: `pullkeys` finds the keys, `sightings_ask` asks, `sightings_words` speaks. Not here: which nodes count
(`decide`), prepulls.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from pawl.api.errors import Outcome, RegistryError
from pawl.api.reasons import Reason
from pawl.cluster.refusals import one_line
from pawl.controllers.pullkeys import PodKeys, Puller, PullKeys
from pawl.controllers.sightings_ask import MAX_PLATFORMS, Manifests, Shown, Way, child_for
from pawl.controllers.sightings_pauses import FIRST, Pauses
from pawl.controllers.sightings_words import MESSAGE_BYTES, Failure, failure_of, keys_note, mismatch
from pawl.decide.reference import Reference, UnparsableReference, parse
from pawl.registry.caches import Bounded, Flights
from pawl.registry.platforms import missing_platforms

CAPACITY: Final = 8192
"""Answers that are kept, about 1 KiB each."""


@dataclass(frozen=True, slots=True)
class Wish:
    """An image that Pods of a namespace shall pull.

    Attributes:
        namespace: of the Pods.
        reference: the image after rewriting; without tag and digest it is `latest`.
        pull_secrets: imagePullSecrets of the Pod or template itself.
        account: its ServiceAccount.
        platforms: os/arch[/variant] of the nodes where it may run; empty if there are none, then any image will do.
        ca: PEM certificates for the registry, from spec.caSecretRef.
        added: pull Secrets that overrides add.
        pinned: the digest that the tag is known to mean, from status.resolved; empty for none.
        edition: who wishes, such as the override with its generation. What was seen is kept for one edition, so that a
            new generation reads its tags anew; manifests are shared by all.

    """

    namespace: str
    reference: str
    pull_secrets: tuple[str, ...] = ()
    account: str = "default"
    platforms: frozenset[str] = frozenset()
    ca: str | None = field(default=None, repr=False)
    added: tuple[str, ...] = ()
    pinned: str = ""
    edition: str = ""

    @property
    def puller(self) -> Puller:
        """Who pulls."""
        return Puller(self.namespace, self.pull_secrets, self.added, self.account)


@dataclass(frozen=True, slots=True)
class Sighting:
    """What was seen. One that is not `ok` holds reason and message, and nothing else that counts.

    Attributes:
        reference: as it was wished.
        ok: the Pod can pull it, on nodes of all platforms wished for.
        reason: a word of `api.reasons`; PreflightPassed if ok.
        message: one line that names image, platform and the registry's answer; empty if ok.
        digest: of the index, or of the manifest of an image for one platform; sha256, computed by Pawl.
        platforms: platform wished for -> digest of the manifest that a node takes for it.
        configs: platform wished for -> digest of that manifest's config.
        again_in: seconds after which asking again may bring news; 0 if ok.

    """

    reference: str
    ok: bool
    reason: str
    message: str = ""
    digest: str = ""
    platforms: Mapping[str, str] = field(default_factory=dict)
    configs: Mapping[str, str] = field(default_factory=dict)
    again_in: float = field(default=0.0, compare=False)


@dataclass(frozen=True, slots=True)
class _Found:
    digest: str
    platforms: Mapping[str, str]
    configs: Mapping[str, str]


_Top = tuple[str, ...]
_Key = tuple[_Top, frozenset[str]]


@dataclass(frozen=True, slots=True)
class _Look:
    """One question, ready to be asked."""

    way: Way
    ref: str
    platforms: frozenset[str]
    edition: str

    @property
    def top(self) -> _Top:
        return (*self.way.identity, self.ref, self.edition)

    @property
    def key(self) -> _Key:
        return self.top, self.platforms


class Sightings:
    """Looks at targets. One for a term. `clock` gives monotonic seconds."""

    def __init__(self, keys: PullKeys, manifests: Manifests, clock: Callable[[], float] = time.monotonic) -> None:
        self._keys = keys
        self._manifests = manifests
        self._pauses: Pauses[_Key, Failure] = Pauses(clock)
        self._found: Bounded[_Key, _Found] = Bounded(CAPACITY)
        self._pins: Bounded[_Top, Shown] = Bounded(CAPACITY)
        self._tops: Flights[_Top, Shown] = Flights()
        self._looks: Flights[_Key, _Found | Failure] = Flights()

    async def see(self, wish: Wish, not_before: float = 0.0) -> Sighting:
        """Return what is known of a target, asking if nothing is. Raises nothing that a registry or Secret may cause.

        A failure that was asked for before `not_before` (monotonic seconds) is asked again, whatever its pause. A tag
        that was seen does not move for it.
        """
        try:
            reference = parse(wish.reference)
            keys = await self._keys.of(wish.puller)
            look = self._look(wish, reference, keys)
        except UnparsableReference as error:
            return _refused(wish, Failure(Reason.INVALID_IMAGE, str(error)), FIRST)
        except Outcome as outcome:
            text = one_line(f"{wish.reference}: {outcome.message}", MESSAGE_BYTES)
            return Sighting(wish.reference, False, outcome.reason, text, again_in=FIRST)
        except RegistryError as error:
            return _refused(wish, Failure(Reason.INVALID_IMAGE, str(error)), FIRST)
        return await self._seen(wish, look, keys, not_before)

    def _look(self, wish: Wish, reference: Reference, keys: PodKeys) -> _Look:
        way = self._manifests.way(reference.repository, keys, wish.ca)
        return _Look(way, reference.digest or wish.pinned or reference.tag or "latest", wish.platforms, wish.edition)

    async def _seen(self, wish: Wish, look: _Look, keys: PodKeys, not_before: float) -> Sighting:
        known = self._found.get(look.key) or self._pauses.held(look.key, not_before)
        if known is None:
            known = await self._looks.join(look.key, lambda: self._ask(look))
        if isinstance(known, Failure):
            note = keys_note(known, look.way, keys.absent, wish.namespace)
            return _refused(wish, known, self._pauses.left(look.key), note)
        return Sighting(wish.reference, True, Reason.PREFLIGHT_PASSED, "", known.digest, known.platforms, known.configs)

    async def _ask(self, look: _Look) -> _Found | Failure:
        """Look, and keep what comes of it."""
        asked = self._pauses.clock()
        try:
            found = await self._judge(look)
        except RegistryError as error:
            found = failure_of(error, look.way.repository.host)
        if isinstance(found, Failure):
            self._pauses.fail(look.key, found, asked, found.at_least)
        else:
            self._found.put(look.key, found)
        return found

    async def _judge(self, look: _Look) -> _Found | Failure:
        """What was seen goes first, for Pods may run it already; the tag is read anew if that lacks a platform."""
        if len(look.platforms) > MAX_PLATFORMS:
            return Failure(
                Reason.TOO_LARGE, f"the nodes have {len(look.platforms)} platforms, more than {MAX_PLATFORMS}"
            )
        pinned = self._pins.get(look.top)
        if pinned is not None and not _lacking(pinned, look.platforms):
            return await self._fill(look, pinned)
        shown = await self._tops.join(look.top, lambda: self._manifests.top(look.way, look.ref))
        lacking = _lacking(shown, look.platforms)
        if lacking:
            return mismatch(lacking, shown.manifest.platforms or ())
        found = await self._fill(look, shown)
        if self._pins.get(look.top) is None:
            self._pins.put(look.top, shown)
        return found

    async def _fill(self, look: _Look, shown: Shown) -> _Found:
        manifest = shown.manifest
        wanted = sorted(look.platforms)
        if manifest.config is not None:
            platforms = dict.fromkeys(wanted, manifest.digest)
            return _found(manifest.digest, platforms, dict.fromkeys(wanted, manifest.config))
        children = {one: child for one in wanted if (child := child_for(manifest.children, one)) is not None}
        configs = await self._manifests.configs(look.way, shown, children)
        return _found(manifest.digest, {one: child.digest for one, child in children.items()}, configs)

    async def aclose(self) -> None:
        """Stop what runs. Nothing may be asked afterwards."""
        await self._looks.aclose()
        await self._tops.aclose()
        await self._manifests.aclose()


def _lacking(shown: Shown, wanted: frozenset[str]) -> list[str]:
    return list(missing_platforms(shown.manifest.platforms or (), sorted(wanted)))


def _found(digest: str, platforms: dict[str, str], configs: dict[str, str]) -> _Found:
    return _Found(digest, MappingProxyType(platforms), MappingProxyType(configs))


def _refused(wish: Wish, failure: Failure, again_in: float, note: str = "") -> Sighting:
    where = f" for {', '.join(sorted(wish.platforms)[:8])}" if wish.platforms else ""
    said = failure.text.removeprefix(f"{wish.reference}: ")
    message = one_line(f"{wish.reference}{where}: {said}{note}", MESSAGE_BYTES)
    return Sighting(wish.reference, False, failure.reason, message, again_in=again_in)
