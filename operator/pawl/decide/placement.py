"""On which nodes a Pod may run, and so for which platforms its images are needed.

Rules of the core API: nodeSelector as a whole, and one term of the required node affinity, whose expressions all hold.
Taints are left out: a node that repels a Pod today may not do so tomorrow. Neighbours: preflight and `decide.prepull`.
Not here: scheduling.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pawl.decide.objects import NodeRow, NodeTerm, Placement


def platforms(placement: Placement, nodes: Iterable[NodeRow]) -> frozenset[str]:
    """Return the platforms (os/arch) that Pods of this placement may meet; of all nodes if none fits now."""
    known = tuple(nodes)
    fitting = frozenset(node.platform for node in known if may_run(placement, node))
    return fitting or frozenset(node.platform for node in known)


def may_run(placement: Placement, node: NodeRow) -> bool:
    """Tell whether nodeSelector and required affinity let a Pod run on a node."""
    labels = dict(node.labels)
    if any(labels.get(key) != value for key, value in placement.selector):
        return False
    # an empty term selects nothing (core/v1 NodeSelectorTerm)
    terms = placement.terms
    return not terms or any(term and all(_holds(one, labels, node.name) for one in term) for term in terms)


def _holds(term: NodeTerm, labels: Mapping[str, str], name: str) -> bool:
    value = name if term.key == "metadata.name" else labels.get(term.key)
    match term.operator:
        case "In":
            return value in term.values
        case "NotIn":
            return value not in term.values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt":
            return _compares(term, value)
        case _:
            return False


def _compares(term: NodeTerm, value: str | None) -> bool:
    """Compare as integers; what is none holds never, as in the scheduler."""
    try:
        left, right = int(value or ""), int(term.values[0] if term.values else "")
    except ValueError:
        return False
    return left > right if term.operator == "Gt" else left < right
