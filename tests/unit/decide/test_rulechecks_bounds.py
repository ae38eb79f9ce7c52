"""Rules that were written to be compared for ever: what Pawl thinks about them is bounded, whoever writes them.

Before comparisons were counted, one source for other containers or for long globs did not end within fifteen seconds,
nor did hosts onto one with exceptions below it; the operator stood still for minutes.
"""

from __future__ import annotations

import time
from typing import Any

import pytest
from tests.unit.decide.rulebook_samples import book, cluster, local, named, rule

from pawl.api.imageoverride import Override
from pawl.api.reasons import Reason
from pawl.decide.rulechecks_comparisons import Comparisons, Exhausted
from pawl.decide.rulechecks_conditions import Terms

SECONDS = 20.0
"""On a quiet machine two are enough."""
N = 1000
SHOP = [named("shop")]


def many_labels(number: int) -> dict[str, Any]:
    return {"selector": {"matchLabels": {f"key{at}": f"value{number}" for at in range(16)}}}


def long_globs(number: int) -> list[str]:
    return [f"{number:03}{at:02}*{'x' * 25}*{'y' * 25}" for at in range(16)]


HARMLESS: dict[str, list[Override]] = {
    "hosts onto one, with exceptions below it": [
        local(
            "shop",
            "o",
            [
                *(rule(f"h{at}.io", "r.corp") for at in range(N // 2)),
                *(rule(f"r.corp/a{at}", f"r.corp/a{at}") for at in range(N // 2)),
            ],
        )
    ],
    "one rule a thousand times": [local("shop", "o", [rule("r.corp/a", "r.corp/a", containers=["x"])] * N)],
    "tags for a thousand images": [local("shop", "o", [rule(f"r.corp/a{at}", {"tag": "v1"}) for at in range(N)])],
    "one source for other containers each, elsewhere": [
        local("shop", "o", [rule("r.corp/a", f"s.corp/b{at}", containers=[f"c{at}"]) for at in range(N)])
    ],
    "one source for half the containers twice, elsewhere": [
        local(
            "shop",
            "o",
            [rule("r.corp/a", f"s.corp/b{at}", containers=["same"] if at % 2 else [f"c{at}"]) for at in range(N)],
        )
    ],
    "as many for one source as docs/limits.md says": [
        local("shop", "o", [rule("r.corp/a", {"tag": f"v{at}"}, containers=[f"c{at}"]) for at in range(300)])
    ],
    "as many overrides of one image by a label as docs/limits.md says": [
        local(
            "shop",
            f"o{at:03}",
            [rule("r.corp/a", {"tag": f"v{at}"})],
            workloads={"selector": {"matchLabels": {"app": f"v{at}"}}},
        )
        for at in range(800)
    ],
    "a thousand overrides of one source": [
        local("shop", f"o{at:03}", [rule("r.corp/a", f"s.corp/b{at}")]) for at in range(N)
    ],
}
TANGLED: dict[str, list[Override]] = {
    "one source for other containers each": [
        local("shop", "o", [rule("r.corp/a", {"tag": f"v{at}"}, containers=[f"c{at}"]) for at in range(N)])
    ],
    "one source for long globs": [
        cluster("o", [rule("r.corp/a", {"tag": f"v{at}"}, containers=long_globs(at)) for at in range(N)])
    ],
    "a thousand overrides of one image by labels": [
        local("shop", f"o{at:03}", [rule("r.corp/a", {"tag": f"v{at}"})], workloads=many_labels(at)) for at in range(N)
    ],
}


@pytest.mark.parametrize("title", HARMLESS)
def test_rules_that_go_together_are_taken_however_many(title: str) -> None:
    begin = time.monotonic()
    held = book(*HARMLESS[title], namespaces=SHOP)
    assert {key: one.refusal for key, one in held.judged.items() if one.refusal is not None} == {}
    assert time.monotonic() - begin < SECONDS


@pytest.mark.parametrize("title", TANGLED)
def test_rules_that_are_too_tangled_are_refused_in_time(title: str) -> None:
    begin = time.monotonic()
    held = book(*TANGLED[title], namespaces=SHOP)
    refusals = [one.refusal for _, one in sorted(held.judged.items())]
    assert time.monotonic() - begin < SECONDS
    last = refusals[-1]
    assert last is not None
    assert last.reason is Reason.RULES_TOO_TANGLED
    assert "use fewer rules for one source" in last.message
    # the older ones stay, and from one on all are refused
    first = next(at for at, refusal in enumerate(refusals) if refusal is not None)
    assert all(refusal is None for refusal in refusals[:first])
    assert len(refusals) == 1 or first > 50


def test_one_namespace_spends_nothing_of_another() -> None:
    tangled = [rule("r.corp/a", {"tag": f"v{at}"}, containers=[f"c{at}"]) for at in range(N)]
    fair = [("docker.io", "r.corp")]
    held = book(
        local("shop", "greedy", tangled), local("other", "o", fair), cluster("all", [("quay.io", "r.corp/quay")])
    )
    assert {key for key, one in held.judged.items() if one.refusal is not None} == {"shop/greedy"}


def test_what_stands_is_not_refused_for_what_comes_later() -> None:
    tangled = [rule("r.corp/a", {"tag": f"v{at}"}, containers=[f"c{at}"]) for at in range(N)]
    held = book(
        local("shop", "b", [("docker.io", "r.corp")], "2026-01-01T00:00:00Z"),
        local("shop", "a", tangled, "2026-02-01T00:00:00Z"),
    )
    assert {key for key, one in held.judged.items() if one.refusal is not None} == {"shop/a"}


def test_what_is_refused_takes_little_from_those_after_it() -> None:
    tangled = [rule("r.corp/a", {"tag": f"v{at}"}, containers=[f"c{at}"]) for at in range(N)]
    fair = [("docker.io", "r.corp")]
    greedy = [local("shop", f"a{at}", tangled) for at in range(5)]
    held = book(*greedy[:3], local("shop", "b", fair))
    assert {key for key, one in held.judged.items() if one.refusal is not None} == {"shop/a0", "shop/a1", "shop/a2"}
    begin = time.monotonic()
    held = book(*greedy, local("shop", "b", fair))
    assert all(one.refusal is not None for one in held.judged.values())
    assert time.monotonic() - begin < SECONDS


def test_what_is_only_told_is_bounded_for_all_sources_together() -> None:
    """Above a hundred rules that tie stand a hundred that decide none of them: half a million questions a source."""
    sources = [f"r{number}.corp/a" for number in range(5)]
    rules = [
        rule(source, f"s.corp/b{at}", containers=[f"c{at}"] if at < 100 else ["same"])
        for source in sources
        for at in range(200)
    ]
    (judged,) = book(local("shop", "o", rules), namespaces=SHOP).judged.values()
    assert judged.refusal is None
    told = {clash.source for clash in judged.conflicts}
    assert sources[0] in told
    assert sources[-1] not in told


def test_tables_that_are_too_large_lose_their_last_overrides_and_no_more() -> None:
    overrides = [
        local("shop", f"o{at:02}", [rule(f"r{at}.corp/{'a' * 200}/{one}", f"s.corp/{'b' * 200}") for one in range(600)])
        for at in range(12)
    ]
    begin = time.monotonic()
    held = book(*overrides, namespaces=SHOP)
    assert time.monotonic() - begin < SECONDS
    refused = sorted(key for key, one in held.judged.items() if one.refusal is not None)
    accepted = len(overrides) - len(refused)
    assert accepted >= 1
    assert refused == [f"shop/o{at:02}" for at in range(accepted, len(overrides))]
    one_more = book(*overrides[: accepted + 1], namespaces=SHOP)
    assert {key for key, one in one_more.judged.items() if one.refusal is not None} == {f"shop/o{accepted:02}"}


def test_comparisons_end() -> None:
    comparisons, one = Comparisons(3, 5), Terms()
    assert comparisons.may_meet(one, one)
    assert comparisons.follows(one, one, one)
    comparisons.count()
    with pytest.raises(Exhausted):
        comparisons.may_meet(one, one)
    comparisons.begin()
    comparisons.count()
    with pytest.raises(Exhausted):
        comparisons.count()
