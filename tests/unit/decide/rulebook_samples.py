"""Overrides, tables and images in one line each, and a naive reading of rules to hold the tables against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pawl.api.imageoverride import ClusterImageOverride, ImageOverride, Override
from pawl.api.imageoverride_spec import WorkloadKind
from pawl.api.imagerules import Entry, Table
from pawl.decide.objects import ImageAt, NamespaceRow
from pawl.decide.rulebook import Rulebook, Stock, compile_rulebook
from pawl.decide.tables import CompiledTable, Ruling, Subject, rewrite_image

DIGEST = "sha256:" + "a" * 64
OTHER_DIGEST = "sha256:" + "b" * 64
POD = Subject(WorkloadKind.POD, {})

Rules = Sequence[tuple[str, Any]]
"""Source and target; a target that is text is a repository."""


def rule(source: str, target: Any, **more: Any) -> dict[str, Any]:
    return {"source": source, "target": {"repository": target} if isinstance(target, str) else target, **more}


def cluster(name: str, rules: Sequence[Any], created: str = "2026-01-01T00:00:00Z", **spec: Any) -> Override:
    return ClusterImageOverride.model_validate(
        {"metadata": {"name": name, "creationTimestamp": created}, "spec": {"rules": _rules(rules), **spec}}
    )


def local(
    namespace: str, name: str, rules: Sequence[Any], created: str = "2026-01-01T00:00:00Z", **spec: Any
) -> Override:
    meta = {"name": name, "namespace": namespace, "creationTimestamp": created}
    return ImageOverride.model_validate({"metadata": meta, "spec": {"rules": _rules(rules), **spec}})


def named(name: str, **labels: str) -> NamespaceRow:
    return NamespaceRow(name, tuple(sorted({"kubernetes.io/metadata.name": name, **labels}.items())))


def book(*overrides: Override, namespaces: Sequence[NamespaceRow] = (), **more: Any) -> Rulebook:
    return compile_rulebook(Stock(overrides, namespaces=namespaces, **more))


def entry(to: str, **more: Any) -> Entry:
    return Entry.model_validate({"to": to, "override": "o", "rule": 0, **more})


def table(rules: Mapping[str, Sequence[Entry]], **more: Any) -> CompiledTable:
    return CompiledTable.of(
        Table.model_validate({"rules": {key: list(entries) for key, entries in rules.items()}, **more})
    )


def container(image: str, name: str = "app") -> ImageAt:
    return ImageAt("containers", name, image)


def ruled(held: Rulebook, image: str, namespace: str = "shop", subject: Subject = POD) -> Ruling:
    found = held.table(namespace)
    assert found is not None
    return rewrite_image(CompiledTable.of(found), subject, container(image))


def image_of(held: Rulebook, image: str, namespace: str = "shop") -> str:
    return ruled(held, image, namespace).image


def _rules(rules: Sequence[Any]) -> list[Any]:
    return [rule(*one) if isinstance(one, tuple) else one for one in rules]
