"""Looks at all targets: terms, what stays known while a registry is silent, and what never shows."""

from __future__ import annotations

import pytest
from tests.unit.controllers.override_doubles import Registry, Stage, body, digest

from pawl.api.imageoverride import ImageOverride, Preflight
from pawl.api.reasons import Reason
from pawl.controllers.targets import FAULT_AGAIN, Targets, Terms
from pawl.decide.digests import Content
from pawl.decide.targets import TRANSIENT, Needed, Refusal

REF = "r.corp/rook/ceph:1"
AMD = frozenset({"linux/amd64"})


def needed(reference: str = REF, namespace: str = "shop", override: str = "o") -> Needed:
    return Needed(namespace, reference, (), (), "default", AMD, override, 0)


def targets(registry: Registry) -> Targets:
    return Targets(registry)  # type: ignore[arg-type]


async def test_what_was_seen_is_known_by_namespace_and_reference() -> None:
    seen = await targets(Registry()).look([needed(), needed(namespace="other")], lambda _: Terms())
    known = Content(REF, digest(REF), {"linux/amd64": digest(REF)}, {"linux/amd64": digest(REF)})
    assert seen.contents == {("shop", REF): known, ("other", REF): known}
    assert (seen.refused, seen.again_in) == ({}, None)


@pytest.mark.parametrize("reason", [*sorted(TRANSIENT), Reason.IMAGE_MISSING, Reason.UNAUTHORIZED])
async def test_only_silence_leaves_what_was_known(reason: Reason) -> None:
    known = Content(REF, digest("old"))
    seen = await targets(Registry({("", REF): reason})).look([needed()], lambda _: Terms(resolved={REF: known}))
    assert seen.contents == ({("shop", REF): known} if reason in TRANSIENT else {})
    assert list(seen.refused) == [needed()]
    assert seen.again_in == 30.0


async def test_a_pinned_digest_and_the_edition_go_with_the_question() -> None:
    registry = Registry()
    terms = Terms(resolved={REF: Content(REF, digest("old"))}, edition="uid 3", ca="PEM")
    await targets(registry).look([needed()], lambda _: terms)
    (wish,) = registry.asked
    assert (wish.pinned, wish.edition, wish.ca) == (digest("old"), "uid 3", "PEM")


async def test_who_skips_the_look_is_refused_nothing() -> None:
    registry = Registry({("", REF): Reason.IMAGE_MISSING})
    seen = await targets(registry).look([needed()], lambda _: Terms(preflight=Preflight.SKIP))
    assert (seen.contents, seen.refused, registry.asked) == ({}, {}, [])


async def test_a_bad_ca_refuses_its_override_s_targets_and_delays_nobody() -> None:
    registry = Registry({("", "r.corp/x:1"): Reason.UNREACHABLE})
    fault = Refusal(Reason.SECRET_NOT_FOUND, "Secret ca is not there")
    wanted = [needed(), needed("r.corp/x:1", override="p")]
    seen = await targets(registry).look(wanted, lambda label: Terms(fault=fault) if label == "o" else Terms())
    assert seen.refused[needed()] == fault
    assert [wish.reference for wish in registry.asked] == ["r.corp/x:1"]
    assert seen.again_in == min(FAULT_AGAIN, 30.0)


def resolved(generation: int = 1) -> ImageOverride:
    found = {
        "reference": REF,
        "digest": digest("old"),
        "platforms": [{"platform": "linux/amd64", "digest": digest("a")}],
    }
    return ImageOverride.model_validate(
        body(meta={"generation": generation}, status={"observedGeneration": 1, "resolved": [found]})
    )


@pytest.mark.parametrize(("generation", "known"), [(1, True), (2, False)])
async def test_what_a_status_remembers_counts_for_its_generation(*, generation: int, known: bool) -> None:
    terms = await Stage().terms.read(resolved(generation))
    content = Content(REF, digest("old"), {"linux/amd64": digest("a")})
    assert terms.resolved == ({REF: content} if known else {})
    assert terms.edition == f"uid-one {generation}"
    assert terms.preflight is Preflight.REQUIRED
