"""Which targets are needed, and what a refusal holds back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.decide.rulebook_samples import POD, entry, table

from pawl.api.imagerules import SecretEntry
from pawl.api.reasons import Reason
from pawl.decide.objects import ImageAt, PodSpec
from pawl.decide.targets import (
    MAX_NOTE,
    OWN,
    TRANSIENT,
    Needed,
    Refusal,
    by_override,
    held_back,
    needed_by,
)

AMD = frozenset({"linux/amd64"})
SOURCE, TARGET = "docker.io/rook/ceph:1", "r.corp/rook/ceph:1"


def spec(*images: str, **more: Any) -> PodSpec:
    return PodSpec(tuple(ImageAt("containers", f"c{at}", image) for at, image in enumerate(images)), **more)


def rook(**more: Any) -> Any:
    return table({"docker.io/rook": [entry("r.corp/rook", **more)]})


@pytest.mark.parametrize(
    ("image", "changes", "wanted"),
    [
        (SOURCE, {}, [TARGET]),
        (SOURCE, {"pods": False}, [SOURCE]),
        (TARGET, {}, [TARGET]),
        ("docker.io/library/nginx:1", {}, []),
        ("UPPER/case", {}, []),
        (SOURCE, {"to": "docker.io/rook"}, [SOURCE]),
    ],
)
def test_which_targets_a_pod_needs(image: str, changes: dict[str, Any], wanted: list[str]) -> None:
    made = table({"docker.io/rook": [entry(**{"to": "r.corp/rook", **changes})]})
    assert [each.reference for each in needed_by(made, "shop", POD, spec(image), AMD)] == wanted


def test_what_is_held_or_exempt_is_not_needed() -> None:
    rules = {"docker.io/rook": [entry("r.corp/rook")]}
    assert needed_by(table(rules, held={TARGET: "ImageMissing: gone"}), "shop", POD, spec(SOURCE), AMD) == []
    exempt = table(rules, exempt={"u": "o@1"})
    owned = type(POD)(POD.kind, {}, frozenset({"u"}))
    assert needed_by(exempt, "shop", owned, spec(SOURCE), AMD) == []


def test_a_target_carries_all_that_the_pull_depends_on() -> None:
    secrets = {"r.corp": [SecretEntry(names=["regcred"])]}
    made = table({"docker.io/rook": [entry("r.corp/rook", override="shop/one", rule=3)]}, secrets=secrets)
    found = needed_by(made, "shop", POD, spec(SOURCE, pull_secrets=("own",), account="builder"), AMD)
    assert found == [Needed("shop", TARGET, ("own",), ("regcred",), "builder", AMD, "shop/one", 3)]


def test_an_ignored_pod_needs_nothing() -> None:
    assert needed_by(rook(), "shop", POD, spec(SOURCE, ignored=True), AMD) == []


def needed(reference: str = TARGET, namespace: str = "shop", override: str = "o") -> Needed:
    return Needed(namespace, reference, (), (), "default", AMD, override, 0)


def test_every_reason_is_of_one_sort() -> None:
    assert not TRANSIENT & OWN


@pytest.mark.parametrize(
    ("reason", "in_force", "everywhere", "single"),
    [
        (Reason.IMAGE_MISSING, {("shop", TARGET)}, True, False),
        (Reason.PLATFORM_MISMATCH, {("shop", TARGET)}, True, False),
        (Reason.UNREACHABLE, {("shop", TARGET)}, False, False),
        (Reason.UNREACHABLE, set(), True, False),
        (Reason.UNREACHABLE, {("other", TARGET)}, False, True),
        (Reason.RATE_LIMITED, {("shop", "r.corp/x")}, True, False),
        (Reason.UNAUTHORIZED, {("shop", TARGET)}, False, True),
        (Reason.UNAUTHORIZED, set(), False, True),
    ],
)
def test_what_a_refusal_holds_back(
    *, reason: Reason, in_force: set[tuple[str, str]], everywhere: bool, single: bool
) -> None:
    note = {TARGET: f"{reason}: no"}
    found = held_back({needed(): Refusal(reason, "no")}, in_force)
    assert found == (note if everywhere else {}, {"shop": note} if single else {})


PLACES = st.tuples(st.sampled_from(["a", "b", "c"]), st.sampled_from(["r/x:1", "r/y:1"]))
REASONS = st.sampled_from([*sorted(TRANSIENT | OWN), Reason.IMAGE_MISSING])


@given(st.dictionaries(PLACES, REASONS), st.frozensets(PLACES))
def test_a_refusal_reaches_no_further_than_it_must(
    refusals: dict[tuple[str, str], Reason], in_force: frozenset[tuple[str, str]]
) -> None:
    refused = {needed(ref, place): Refusal(reason, "no") for (place, ref), reason in refusals.items()}
    everywhere, single = held_back(refused, in_force)
    lasting = {ref for (_, ref), reason in refusals.items() if reason not in TRANSIENT | OWN}
    for place, ref in in_force:
        held = ref in everywhere or ref in single.get(place, {})
        assert held == (ref in lasting or refusals.get((place, ref)) in OWN)
    assert lasting <= set(everywhere)
    assert {(place, ref) for place, refs in single.items() for ref in refs} <= set(refusals)
    assert {ref for _, ref in refusals} >= set(everywhere)


def test_a_note_is_short_and_the_same_for_any_order() -> None:
    long = {needed(namespace=name): Refusal(Reason.IMAGE_MISSING, name * 999) for name in ("a", "b")}
    everywhere, _ = held_back(long, frozenset())
    assert len(everywhere[TARGET]) == MAX_NOTE
    assert held_back(dict(reversed(long.items())), frozenset()) == (everywhere, {})


def test_refusals_are_sorted_by_override_in_a_fixed_order() -> None:
    first, second = needed("a/x"), needed("b/x")
    other = needed("c/x", override="p")
    refused = {each: Refusal(Reason.IMAGE_MISSING, each.reference) for each in (other, second, first)}
    found = by_override(refused)
    assert {name: [each.reference for each, _ in listed] for name, listed in found.items()} == {
        "o": ["a/x", "b/x"],
        "p": ["c/x"],
    }
