"""Builders of facts for tests of the decision: a policy, a registry's tags, and a clock that the test turns."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pawl.api.errors import Outcome
from pawl.api.imagepolicy import ImagePolicySpec, ImagePolicyStatus
from pawl.api.ledger import Ledger
from pawl.decide.facts import Facts, LiveImage, Lookup, Scan, Selected, Subject
from pawl.decide.memory import from_ledger, from_status, join, to_ledger
from pawl.decide.policy import Decision, decide
from pawl.decide.shortlist import compile_rules, revision, shortlist

EPOCH = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
IMAGE = "registry.example.com/shop/web"


def digest(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def spec(**fields: Any) -> ImagePolicySpec:
    """A policy of semantic versions; `fields` in the wire's camelCase replace or add."""
    return ImagePolicySpec.model_validate({"image": IMAGE, "select": {"semver": {"range": "*"}}} | fields)


@dataclass
class Registry:
    """What a registry holds: tag -> digest, and digests that lack platforms or are gone."""

    tags: dict[str, str] = field(default_factory=dict)
    lacking: dict[str, tuple[str, ...]] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, *tags: str) -> Registry:
        return cls({tag: digest(tag) for tag in tags})

    def lookup(self, ref: str) -> Lookup:
        found = self.tags.get(ref, ref if ref.startswith("sha256:") and ref in self.tags.values() else "")
        if not found or found in self.gone:
            return Lookup(found=False)
        return Lookup(found=True, digest=found, lacking=self.lacking.get(ref, ()))


@dataclass
class World:
    """One policy over time: every `step` gathers, decides and keeps status and ledger as the controller would."""

    spec: ImagePolicySpec
    registry: Registry
    status: ImagePolicyStatus = field(default_factory=ImagePolicyStatus)
    ledger: Ledger | None = None
    now: datetime = EPOCH
    generation: int = 1
    live: tuple[LiveImage, ...] = ()
    requested_at: str | None = None

    def facts(self, tags: Iterable[str] | None = None, failure: Outcome | None = None) -> Facts:
        """Gather as the controller does; `tags` is what the list answers, None for all that the registry holds."""
        rules = compile_rules(self.spec)
        memory = join(from_status(self.status), from_ledger(self.ledger))
        subject = Subject(self.spec, self.status, self.generation, memory, self.now, "pawl-0#1", self.requested_at)
        facts = Facts(subject, rules, failure=failure, live=self.live)
        lookups = {tag: self.registry.lookup(tag) for tag in self.registry.tags}
        lookups |= {found: self.registry.lookup(found) for found in self.registry.tags.values()}
        if self.spec.rollback:
            wanted = self.spec.rollback.to.digest
            lookups.setdefault(wanted, self.registry.lookup(wanted))
        if failure is not None:
            return replace(facts, lookups={})
        listed = list(self.registry.tags if tags is None else tags)
        found = shortlist(rules, listed, blocked=facts.blocked)
        lookups |= {c.tag: self.registry.lookup(c.tag) for c in found.candidates}
        scan = Scan(revision(listed), len(set(listed)), complete=True, candidates=found.candidates)
        return replace(facts, scan=scan, selected=self._selected(listed), lookups=lookups)

    def _selected(self, listed: list[str]) -> Selected:
        held = join(from_status(self.status), from_ledger(self.ledger)).selection
        if held is None:
            return Selected()
        now = self.registry.lookup(held.tag)
        return Selected(held.tag in listed, now, self.registry.lookup(held.digest).found or now.digest == held.digest)

    def step(
        self, tags: Iterable[str] | None = None, failure: Outcome | None = None, *, minutes: float = 5
    ) -> Decision:
        decision = decide(self.facts(tags, failure))
        self.status = decision.status
        self.ledger = to_ledger(decision.memory, self.spec.image) if decision.memory.selection else self.ledger
        self.now += timedelta(minutes=minutes)
        return decision

    def edit(self, **fields: Any) -> None:
        wire = self.spec.wire() | fields
        self.spec = ImagePolicySpec.model_validate({key: value for key, value in wire.items() if value is not None})
        self.generation += 1

    @property
    def tag(self) -> str | None:
        return self.status.selection.tag if self.status.selection else None

    def conditions(self) -> Mapping[str, tuple[str, str]]:
        return {c.type: (c.status, c.reason) for c in self.status.conditions}


def rollback(source: str, target: str, nonce: str = "inc-1", **fields: Any) -> dict[str, Any]:
    to = {"tag": target, "digest": digest(target)}
    return {"nonce": nonce, "from": {"tag": source}, "to": to, "reason": "bad build"} | fields
