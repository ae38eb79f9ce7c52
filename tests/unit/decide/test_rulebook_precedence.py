"""Precedence against its sentence: of all rules that hold for an image, the one that the order names first decides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.decide.rulebook_samples import POD, book, cluster, container, local, named

from pawl.api.imageoverride import Override
from pawl.api.imageoverride_spec import WorkloadKind
from pawl.decide.reference import parse
from pawl.decide.rulebook import Rulebook, override_key
from pawl.decide.sources import candidates
from pawl.decide.tables import CompiledTable, Subject, matches

SOURCES = ["docker.io", "docker.io/a", "docker.io/a/b", "docker.io/library", "q.x", "q.x:5000", "*.x", "*.io"]
IMAGES = ["nginx", "a/b", "a/c/d", "q.x/a", "q.x:5000/a", "z.x/a", "other.y/a"]
NAMESPACES = {"shop": {"s": "1"}, "stage": {}}


@dataclass(frozen=True)
class Drawn:
    """One override before it is written: rules are pairs of source and a number for the target."""

    namespace: str
    created: int
    priority: int
    kinds: tuple[str, ...]
    mandatory: object
    selecting: object
    rules: tuple[tuple[str, int], ...]


overrides = st.lists(
    st.builds(
        Drawn,
        st.sampled_from(["", "", "shop"]),
        st.integers(1, 2),
        st.integers(0, 1),
        st.sampled_from([(), (), ("Job",), ("Pod",)]),
        st.booleans(),
        st.booleans(),
        st.lists(st.tuples(st.sampled_from(SOURCES), st.integers(0, 2)), min_size=1, max_size=3).map(tuple),
    ),
    min_size=1,
    max_size=5,
)


def write(index: int, drawn: Drawn) -> Override:
    """Write it with targets that no source covers, so that no chain is refused."""
    rules = [(source, f"t{number}.target/m") for source, number in drawn.rules]
    created = f"2026-01-0{drawn.created}T00:00:00Z"
    spec: dict[str, Any] = {"priority": drawn.priority, "workloads": {"kinds": list(drawn.kinds)}}
    if drawn.namespace:
        return local(drawn.namespace, f"o{index}", rules, created, **spec)
    where = {"namespaces": {"selector": {"matchLabels": {"s": "1"}}}} if drawn.selecting else {}
    return cluster(f"o{index}", rules, created, **spec, **where, mandatory=bool(drawn.mandatory))


def covers(drawn: Drawn, namespace: str, subject: Subject) -> bool:
    if drawn.kinds and subject.kind.value not in drawn.kinds:
        return False
    if drawn.namespace:
        return drawn.namespace == namespace
    return not drawn.selecting or NAMESPACES[namespace].get("s") == "1"


def ordered(drawn: list[Drawn], namespace: str, subject: Subject, image: str) -> list[tuple[str, int]]:
    """Sort every rule that holds by the sentence: mandatory, source, priority, scope, age, name, index."""
    reference = parse(image)
    ladder = candidates(reference.host, reference.path)
    found = []
    for number, one in enumerate(drawn):
        key = override_key(write(number, one))
        for index, (source, _) in enumerate(one.rules):
            if source in ladder and covers(one, namespace, subject):
                tier = not (one.mandatory and not one.namespace)
                rank = (tier, ladder.index(source), -one.priority, not one.namespace, one.created, key, index)
                found.append((rank, (key, index)))
    return [rule for _, rule in sorted(found)]


def held(book_: Rulebook, namespace: str) -> CompiledTable:
    table = book_.table(namespace)
    assert table is not None
    return CompiledTable.of(table)


@settings(max_examples=200, deadline=None)
@given(overrides, st.sampled_from(list(NAMESPACES)), st.sampled_from(["Job", "Pod"]), st.sampled_from(IMAGES))
def test_rules_stand_in_the_order_of_the_sentence(drawn: list[Drawn], namespace: str, kind: str, image: str) -> None:
    rows = [named(name, **labels) for name, labels in NAMESPACES.items()]
    written = [write(index, one) for index, one in enumerate(drawn)]
    made = book(*written, namespaces=rows)
    assert all(one.accepted for one in made.judged.values())
    subject = Subject(WorkloadKind(kind), POD.labels)
    found = matches(held(made, namespace), subject, container(image))
    assert [(one.entry.override, one.entry.rule) for one in found] == ordered(drawn, namespace, subject, image)
