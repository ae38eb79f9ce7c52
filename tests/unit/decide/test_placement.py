"""Where a Pod may run: nodeSelector and required affinity, operator by operator, and the platforms that follow."""

from __future__ import annotations

import pytest

from pawl.decide.objects import NodeRow, NodeTerm, Placement
from pawl.decide.placement import may_run, platforms

AMD = NodeRow("a", "linux/amd64", (("disk", "ssd"), ("gen", "7")))
ARM = NodeRow("b", "linux/arm64", (("disk", "hdd"),))
ROWS = [
    (NodeTerm("disk", "In", ("ssd", "nvme")), True, False),
    (NodeTerm("disk", "NotIn", ("ssd",)), False, True),
    (NodeTerm("gen", "NotIn", ("1",)), True, True),
    (NodeTerm("gen", "Exists"), True, False),
    (NodeTerm("gen", "DoesNotExist"), False, True),
    (NodeTerm("gen", "Gt", ("6",)), True, False),
    (NodeTerm("gen", "Gt", ("7",)), False, False),
    (NodeTerm("gen", "Lt", ("8",)), True, False),
    (NodeTerm("disk", "Lt", ("8",)), False, False),
    (NodeTerm("gen", "Gt", ()), False, False),
    (NodeTerm("metadata.name", "In", ("b",)), False, True),
    (NodeTerm("gen", "Near", ("7",)), False, False),
]


@pytest.mark.parametrize(("term", "on_amd", "on_arm"), ROWS)
def test_each_operator(term: NodeTerm, *, on_amd: bool, on_arm: bool) -> None:
    placement = Placement(terms=((term,),))
    assert (may_run(placement, AMD), may_run(placement, ARM)) == (on_amd, on_arm)


def test_terms_are_alternatives_and_their_expressions_hold_together() -> None:
    both = (NodeTerm("disk", "In", ("ssd",)), NodeTerm("gen", "DoesNotExist"))
    assert not may_run(Placement(terms=(both,)), AMD)
    assert may_run(Placement(terms=(both, (NodeTerm("gen", "Exists"),))), AMD)
    assert not may_run(Placement(terms=((),)), AMD)


def test_a_selector_holds_beside_the_terms() -> None:
    assert may_run(Placement(selector=(("disk", "ssd"),)), AMD)
    assert not may_run(Placement(selector=(("disk", "ssd"),), terms=((NodeTerm("gen", "Gt", ("9",)),),)), AMD)


def test_platforms_are_those_of_fitting_nodes_or_of_all() -> None:
    assert platforms(Placement(selector=(("disk", "hdd"),)), [AMD, ARM]) == {"linux/arm64"}
    assert platforms(Placement(selector=(("disk", "tape"),)), [AMD, ARM]) == {"linux/amd64", "linux/arm64"}
    assert platforms(Placement(), []) == frozenset()
