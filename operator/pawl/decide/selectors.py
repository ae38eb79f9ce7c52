"""Label selectors as the API server reads them (`metav1.LabelSelector`), and whether two may hold together.

Neighbours: `decide.subjects` asks for Pods, `decide.rulebook` for namespaces. Not here: what a selector selects.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pawl.api.imageoverride_spec import LabelSelector, Operator, Requirement


def requirements(selector: LabelSelector) -> tuple[Requirement, ...]:
    """Write a selector as a list of comparisons, `matchLabels` sorted first."""
    labels = sorted(selector.match_labels.items())
    equal = tuple(Requirement(key=key, operator=Operator.IN, values=[value]) for key, value in labels)
    return (*equal, *selector.match_expressions)


def holds(requirement: Requirement, labels: Mapping[str, str]) -> bool:
    """Tell whether one comparison holds. NotIn holds for a label that is not there, as in the API server."""
    value = labels.get(requirement.key)
    match requirement.operator:
        case Operator.IN:
            return value is not None and value in requirement.values
        case Operator.NOT_IN:
            return value is None or value not in requirement.values
        case Operator.EXISTS:
            return value is not None
        case Operator.DOES_NOT_EXIST:
            return value is None


def selects(selector: LabelSelector, labels: Mapping[str, str]) -> bool:
    """Tell whether all that a selector says holds."""
    wanted = selector.match_labels.items()
    return all(labels.get(key) == value for key, value in wanted) and all(
        holds(requirement, labels) for requirement in selector.match_expressions
    )


def may_hold_together(needed: Iterable[Requirement]) -> bool:
    """Tell whether any labels satisfy all comparisons. Exact: keys do not depend on each other."""
    by_key: dict[str, list[Requirement]] = {}
    for requirement in needed:
        by_key.setdefault(requirement.key, []).append(requirement)
    return all(_satisfiable(of_key) for of_key in by_key.values())


def _satisfiable(needed: list[Requirement]) -> bool:
    """Try the label's absence, every value that is named, and one that nobody names."""
    named = {value for requirement in needed for value in requirement.values}
    unnamed = next(text for text in map(str, range(len(named) + 1)) if text not in named)
    key = needed[0].key
    worlds: list[dict[str, str]] = [{}, {key: unnamed}, *({key: value} for value in named)]
    return any(all(holds(requirement, world) for requirement in needed) for world in worlds)
