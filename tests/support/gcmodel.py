"""What must be left of a registry after a collection, reckoned from scratch: the oracle of the collection's tests.

It shares no code with Pawl: sets, loops until nothing changes, no care for speed. Neighbours: `storelayout` writes
what is described here, `tests/registry/test_gc_model.py` compares.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field
from datetime import timedelta

from tests.support.storelayout import OLD, Layout, descriptor, digest_of

YOUNG = timedelta(hours=3)
REPOSITORIES = ("shop/web", "shop/api/v2", "lib/base", "tools")


@dataclass
class Known:
    """One manifest as it was written."""

    children: list[str] = field(default_factory=list)
    blobs: list[str] = field(default_factory=list)
    config: str = ""
    subject: str = ""
    age: timedelta = OLD


@dataclass
class Rule:
    """One rule of retention."""

    where: str
    """A regular expression over repositories."""
    glob: str
    tags: str = ""
    last: int = 0
    younger: timedelta | None = None
    in_use: bool = True
    untagged: bool = False


@dataclass
class World:
    """A registry: manifests and tags (digest and age) by repository, rules, and uses (repository, tag, digest)."""

    manifests: dict[str, dict[str, Known]] = field(default_factory=dict)
    tags: dict[str, dict[str, tuple[str, timedelta]]] = field(default_factory=dict)
    rules: list[Rule] = field(default_factory=list)
    uses: list[tuple[str, str, str]] = field(default_factory=list)


@dataclass
class Left:
    """What must be left."""

    tags: set[tuple[str, str]] = field(default_factory=set)
    revisions: set[tuple[str, str]] = field(default_factory=set)
    blobs: set[str] = field(default_factory=set)


def left_of(world: World, minimum: timedelta) -> Left:
    """The oracle."""
    left = Left()
    for name, manifests in world.manifests.items():
        tags, kept = _left_of(world, name, minimum)
        left.tags |= {(name, tag) for tag in tags}
        left.revisions |= {(name, digest) for digest in kept if digest in manifests}
        for digest in kept & manifests.keys():
            left.blobs |= {digest, *manifests[digest].blobs, *manifests[digest].children}
    return left


def _left_of(world: World, name: str, minimum: timedelta) -> tuple[set[str], set[str]]:
    manifests, tags = world.manifests[name], world.tags.get(name, {})
    rule = next((rule for rule in world.rules if re.fullmatch(rule.where, name)), None)
    if rule is None and world.rules:
        return set(tags), set(manifests)
    used_tags, used = _used(world, name) if rule is None or rule.in_use else (set[str](), set[str]())
    kept = set(tags) if rule is None else {tag for tag in tags if _holds(rule, tag, tags, minimum)}
    kept |= {tag for tag in tags if tag in used_tags or tags[tag][0] in used}
    stays = {digest for digest, known in manifests.items() if known.age < minimum} | (used & manifests.keys())
    if rule is not None and rule.untagged:
        stays |= set(manifests) - _tagged(manifests, {digest for digest, _ in tags.values()})
    while True:
        before = (len(kept), len(stays))
        stays |= {tags[tag][0] for tag in kept}
        stays |= {child for digest in stays & manifests.keys() for child in manifests[digest].children}
        stays |= {digest for digest, known in manifests.items() if known.subject in stays}
        kept |= {tag for tag in tags if _about(tag) in stays}
        if before == (len(kept), len(stays)):
            return kept, stays


def _holds(rule: Rule, tag: str, tags: dict[str, tuple[str, timedelta]], minimum: timedelta) -> bool:
    age = tags[tag][1]
    if age < minimum or (rule.tags and re.search(rule.tags, tag)):
        return True
    plain = sorted((other for other in tags if not _about(other)), key=lambda other: (-tags[other][1], other))
    young = rule.younger is not None and age <= rule.younger
    return not _about(tag) and (young or (rule.last > 0 and tag in plain[-rule.last :]))


def _used(world: World, name: str) -> tuple[set[str], set[str]]:
    here = [(tag, digest) for repository, tag, digest in world.uses if repository in ("", name)]
    used, before = {digest for _, digest in here if digest}, -1
    while len(used) != before:
        before = len(used)
        used |= {one for one, known in world.manifests[name].items() if used & {*known.children, known.config}}
    return {tag for tag, _ in here if tag}, used


def _tagged(manifests: dict[str, Known], found: set[str]) -> set[str]:
    before = -1
    while len(found) != before:
        before = len(found)
        found = found | {child for digest in found & manifests.keys() for child in manifests[digest].children}
    return found | {digest for digest, known in manifests.items() if known.subject in found}


def _about(tag: str) -> str:
    match = re.fullmatch(r"sha256-([0-9a-f]{64})(\.(sig|att|sbom))?", tag)
    return f"sha256:{match[1]}" if match else ""


class Maker:
    """Writes a random registry to a store and describes it as a World."""

    def __init__(self, store: Layout, seed: int) -> None:
        self.store, self.world, self.dice = store, World(), random.Random(seed)
        self.pool = [f"layer {seed} {number}".encode() * 20 for number in range(8)]

    def make(self) -> World:
        for name in REPOSITORIES[: self.dice.randint(1, len(REPOSITORIES))]:
            self.world.manifests[name], self.world.tags[name] = {}, {}
            for number in range(self.dice.randint(2, 7)):
                self._push(name, f"v{number}")
            self._extras(name)
        self.world.rules = [self._rule() for _ in range(self.dice.randint(0, 2))]
        self.world.uses = [self._use() for _ in range(self.dice.randint(0, 4))]
        self.store.blob(b"nobody wants this " * self.dice.randint(1, 50))
        return self.world

    def _age(self) -> timedelta:
        # A stored time has some precision; none of these is near a bound of a rule.
        return YOUNG if self.dice.random() < 0.15 else timedelta(minutes=self.dice.randint(2 * 1440, 60 * 1440))

    def _push(self, name: str, tag: str) -> None:
        age = self._age()
        digest = self._index(name, age) if self.dice.random() < 0.35 else self._image(name, age)
        self._tag(name, tag, digest, age)
        if self.dice.random() < 0.3:
            self._tag(name, f"{tag}-again", digest, self._age())
        if self.dice.random() < 0.4:
            self._about(name, digest)
        if self.dice.random() < 0.25:
            self._tag(name, tag, self._image(name, age), age)

    def _image(self, name: str, age: timedelta, subject: str = "") -> str:
        layers = self.dice.sample(self.pool, self.dice.randint(1, 3))
        if self.dice.random() < 0.5:
            layers.append(self.dice.randbytes(40))
        config = b'{"of":"%d"}' % self.dice.randint(0, 10**9)
        digest = self.store.image(name, layers, config=config, subject=subject, age=age)
        blobs = [digest_of(body) for body in (config, *layers)]
        self.world.manifests[name][digest] = Known([], blobs, blobs[0], subject, age)
        return digest

    def _index(self, name: str, age: timedelta) -> str:
        children = [self._image(name, age) for _ in range(2)]
        if self.dice.random() < 0.2:
            children.append(self._over(name, [self._image(name, age)], age))
        if self.dice.random() < 0.25:
            children.append(digest_of(self.dice.randbytes(9)))
        return self._over(name, children, age)

    def _over(self, name: str, children: list[str], age: timedelta) -> str:
        digest = self.store.index(name, children, age)
        self.world.manifests[name][digest] = Known(children, age=age)
        return digest

    def _tag(self, name: str, tag: str, digest: str, age: timedelta) -> None:
        self.store.tag(name, tag, digest, age)
        self.world.tags[name][tag] = (digest, age)

    def _about(self, name: str, subject: str) -> None:
        """Signatures and the like: without a tag, under cosign's tag, or in an index under the fallback tag."""
        age, flat = self._age(), subject.replace(":", "-")
        referrer = self._image(name, age, subject)
        if self.dice.random() < 0.5:
            self._tag(name, flat + self.dice.choice([".sig", ".att", ".sbom"]), self._image(name, age), age)
        if self.dice.random() < 0.5:
            self._tag(name, flat, self._over(name, [referrer], age), age)
        if self.dice.random() < 0.3:
            self._image(name, self._age(), referrer)

    def _extras(self, name: str) -> None:
        """What is left of other days: manifests without a tag, links to nothing, an image that lost a layer."""
        self._image(name, self._age())
        self.store.layer(name, self.dice.randbytes(30))
        if self.dice.random() < 0.5:
            lost = self.store.revision(name, self.dice.randbytes(8))
            self.store.blob_path(lost).unlink()
            self.world.manifests[name][lost] = Known()
        if self.dice.random() < 0.3:
            self.store.layer_path(name, self.store.layer(name, self.dice.randbytes(8))).write_bytes(b"")
        if self.dice.random() < 0.3:
            self._lose_a_layer(name)

    def _lose_a_layer(self, name: str) -> None:
        body = self.dice.randbytes(50)
        document = {"schemaVersion": 2, "config": descriptor(b"{}"), "layers": [descriptor(body)]}
        self.store.layer(name, b"{}")
        digest = self.store.manifest(name, document, OLD)
        self.world.manifests[name][digest] = Known([], [digest_of(b"{}"), digest_of(body)], digest_of(b"{}"))
        self._tag(name, "wounded", digest, OLD)

    def _rule(self) -> Rule:
        where = self.dice.choice(
            [(r"shop/[^/]*", "shop/*"), (r".*", "**"), (r"shop/.*", "shop/**"), (r"too.s", "too?s")]
        )
        return Rule(
            *where,
            tags=self.dice.choice(["", "^v1", "2$"]),
            last=self.dice.choice([0, 0, 1, 3]),
            younger=self.dice.choice([None, timedelta(days=20, seconds=7)]),
            in_use=self.dice.random() < 0.8,
            untagged=self.dice.random() < 0.2,
        )

    def _use(self) -> tuple[str, str, str]:
        name = self.dice.choice(sorted(self.world.manifests))
        digest, known = self.dice.choice(sorted(self.world.manifests[name].items()))
        choices = [(name, "", digest), ("", "", digest), (name, "", known.config), (name, "v0", ""), (name, "no", "")]
        return self.dice.choice(choices)
