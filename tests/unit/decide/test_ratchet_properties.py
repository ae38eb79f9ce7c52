"""Nothing goes back: random histories of scans, truncations, crashes, restores, stale writers and spec edits.

The oracle is the invariant itself (ratchet.md), written without the code under test: within an epoch the key never
falls, epoch and sequence never fall, a changed image has a greater sequence, a selection is never removed.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.decide.worlds import Registry, World, digest, rollback, spec

from pawl.api.errors import Retry
from pawl.api.imagepolicy import ImagePolicyStatus, Selection, TagDigest
from pawl.api.reasons import Reason
from pawl.decide.memory import Memory, from_status, join

TAGS = [f"v{major}.{minor}.{patch}" for major in range(3) for minor in range(3) for patch in range(2)]
SPECS: list[dict[str, Any]] = [
    {},
    {"select": {"semver": {"range": "<2.0.0"}}},
    {"select": {"alphabetical": {"order": "Descending"}}},
    {"blocked": ["v1.1.0", "v2.2.1"]},
    {"tagMutability": "Follow"},
    {"gates": {"minimumAge": "10m"}},
    {"select": {"digest": {"tag": "v1.0.0"}}},
]


def goes_back(before: Selection, after: Selection | None) -> str | None:
    """Return how the invariant is broken, or None."""
    if after is None:
        return "the selection was removed"
    if after.epoch < before.epoch or after.sequence < before.sequence:
        return "epoch or sequence fell"
    if after.epoch == before.epoch and (after.sort_key < before.sort_key or after.ordering != before.ordering):
        return "the key fell, or the ordering changed, within an epoch"
    changed = (after.tag, after.digest) != (before.tag, before.digest)
    if (changed or after.epoch != before.epoch) and after.sequence <= before.sequence:
        return "a change without a greater sequence"
    return None


step = st.one_of(
    st.tuples(st.just("push"), st.sampled_from(TAGS)),
    st.tuples(st.just("delete"), st.sampled_from(TAGS)),
    st.tuples(st.just("mutate"), st.sampled_from(TAGS)),
    st.tuples(st.just("half"), st.lists(st.sampled_from(TAGS), max_size=4)),
    st.tuples(st.just("fail"), st.none()),
    st.tuples(st.just("scan"), st.none()),
    st.tuples(st.just("edit"), st.sampled_from(SPECS)),
    st.tuples(st.just("accept"), st.none()),
    st.tuples(st.just("rollback"), st.tuples(st.sampled_from(TAGS), st.sampled_from(["a", "b", "c"]))),
    st.tuples(st.just("lose status"), st.none()),
    st.tuples(st.just("restore status"), st.integers(0, 5)),
    st.tuples(st.just("restore ledger"), st.integers(0, 5)),
    st.tuples(st.just("crash before status"), st.none()),
    st.tuples(st.just("clock"), st.integers(-600, 600)),
)


class Story:
    """A world with the past that restores need. Status and ledger are never lost both at once."""

    def __init__(self) -> None:
        self.it = World(spec(), Registry.of("v0.1.0", "v1.0.0"))
        self.past = [(self.it.status, self.it.ledger)]

    def act(self, name: str, value: Any) -> None:  # noqa: C901 - a table in the form of a match
        it = self.it
        match name:
            case "push":
                it.registry.tags.setdefault(value, digest(value))
            case "delete":
                it.registry.tags.pop(value, None)
            case "mutate" if value in it.registry.tags:
                it.registry.tags[value] = digest(it.registry.tags[value] + "x")
            case "half":
                it.step([tag for tag in value if tag in it.registry.tags])
            case "fail":
                it.step(failure=Retry(Reason.UNREACHABLE, "no answer"))
            case "edit":
                it.edit(**value)
            case "accept":
                it.edit(acceptOrdering=it.status.ordering)
            case "rollback" if it.tag:
                it.edit(rollback=rollback(it.tag, value[0], nonce=value[1]) if it.tag != value[0] else None)
            case "lose status":
                it.status = ImagePolicyStatus()
            case "restore status":
                it.status = self.past[max(0, len(self.past) - 1 - value)][0]
            case "restore ledger":
                it.ledger = self.past[max(0, len(self.past) - 1 - value)][1]
            case "crash before status":
                before = it.status
                it.step()
                it.status = before
            case "clock":
                it.now += timedelta(minutes=value)
        it.step()
        self.past.append((it.status, it.ledger))


@settings(max_examples=200, deadline=None)
@given(st.lists(step, max_size=25))
def test_no_history_goes_back(steps: list[tuple[str, Any]]) -> None:
    story = Story()
    story.it.step()
    known = story.it.status.selection
    assert known is not None
    for name, value in steps:
        story.act(name, value)
        now = story.it.status.selection
        assert (broken := goes_back(known, now)) is None, f"{name} {value}: {broken}: {known} -> {now}"
        assert now is not None
        known = now
        ready = next(c for c in story.it.status.conditions if c.type == "Ready")
        assert ready.status == "True", "a held selection is Ready"


@settings(max_examples=100, deadline=None)
@given(st.lists(step, max_size=12))
def test_a_decision_repeated_on_its_own_result_is_silent(steps: list[tuple[str, Any]]) -> None:
    story = Story()
    for name, value in steps:
        story.act(name, value)
    it = story.it
    it.step(minutes=0)
    it.step(minutes=0)
    before = (it.status, it.ledger)
    decision = it.step(minutes=0)
    assert (it.status, it.ledger, decision.notices, decision.moved) == (*before, (), False)


def _memories() -> st.SearchStrategy[Memory]:
    def build(rank: tuple[int, int], blocked: list[str], nonces: list[str], seen: list[str]) -> Memory:
        epoch, sequence = rank
        key = f"{epoch:03d}{sequence:03d} v1.0.0"
        selection = Selection.model_validate(
            {
                "epoch": epoch,
                "sequence": sequence,
                "tag": "v1.0.0",
                "digest": "",
                "reference": "x:v1.0.0",
                "sortKey": key,
                "ordering": "0" * 32,
                "selectedAt": "2026-11-21T03:00:00Z",
                "cause": "Newer",
            }
        )
        digests = tuple(TagDigest(tag=tag, digest=digest(tag)) for tag in dict.fromkeys(seen))
        return Memory(selection, tuple(dict.fromkeys(blocked)), None, tuple(dict.fromkeys(nonces)), digests, ())

    names = st.lists(st.sampled_from(TAGS), max_size=4)
    ranks = st.tuples(st.integers(1, 3), st.integers(1, 5))
    return st.one_of(st.just(Memory()), st.builds(build, ranks, names, st.lists(st.sampled_from("abcd")), names))


def _content(memory: Memory) -> tuple[object, ...]:
    """A memory without the order of what has none."""
    digests = frozenset((seen.tag, seen.digest) for seen in memory.digests)
    return memory.selection, frozenset(memory.blocked), frozenset(memory.nonces), digests


@given(_memories(), _memories(), _memories())
def test_the_join_commutes_associates_and_is_idempotent(a: Memory, b: Memory, c: Memory) -> None:
    assert _content(join(a, b)) == _content(join(b, a))
    assert _content(join(a, join(b, c))) == _content(join(join(a, b), c))
    assert _content(join(a, a)) == _content(a)


@given(_memories(), _memories())
def test_the_join_is_no_lower_than_either_copy(a: Memory, b: Memory) -> None:
    both = join(a, b)
    assert both.rank == max(a.rank, b.rank)
    assert set(a.nonces) | set(b.nonces) == set(both.nonces)
    assert set(a.blocked) | set(b.blocked) == set(both.blocked)


def test_status_alone_carries_what_it_can() -> None:
    assert from_status(ImagePolicyStatus()) == Memory()
