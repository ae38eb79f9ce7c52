"""What `pawl rewrite` reads: overrides and policies from -f, manifests from its arguments, namespaces from all of them.

Neighbours: `cli.inputs` reads and validates, `cli.rewrite` is the command. Not here: rewriting.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pawl.api.errors import InputError
from pawl.api.imageoverride import ClusterImageOverride, ImageOverride, Override
from pawl.api.imageoverride_rollout import Templates
from pawl.api.imagepolicy import ImagePolicy
from pawl.cli.inputs import validate
from pawl.cli.rewrite_yaml import read_manifests
from pawl.decide.objects import IGNORE, NamespaceRow
from pawl.decide.places import Manifest, at, members, strings, text
from pawl.decide.rulebook import Policies, Policy, Stock, override_key

NAME_LABEL = "kubernetes.io/metadata.name"
"""The label that the API server gives to every namespace."""

DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Inputs:
    """Everything that was read, in the order of the command line."""

    overrides: tuple[Override, ...]
    policies: Policies
    manifests: tuple[Manifest, ...]
    namespaces: tuple[NamespaceRow, ...]

    def stock(self) -> Stock:
        """Return what the rulebook is compiled from.

        Templates show what will run: they are rewritten where Pods are, as their Pods would be.
        """
        return Stock([_shown(override) for override in self.overrides], self.policies, self.namespaces)


def read_inputs(rules: Sequence[str], manifests: Sequence[str]) -> Inputs:
    """Read all files. Raises InputError."""
    if (*rules, *manifests).count("-") > 1:
        raise InputError("standard input can be read once; give - only once")
    overrides: dict[tuple[str, str], Override] = {}
    policies: dict[tuple[str, str], Policy] = {}
    namespaces: list[Manifest] = []
    for source in rules:
        for document in _objects(source):
            _take(document, source, overrides, policies, namespaces)
    if not overrides:
        raise InputError(f"{', '.join(rules)}: no ImageOverride or ClusterImageOverride; give one with -f")
    read = [document for source in manifests for document in read_manifests(source)]
    shown = [member for document in read for _, member in members(document)]
    rows = _namespaces([*namespaces, *shown], overrides.values())
    return Inputs(tuple(overrides.values()), policies, tuple(read), rows)


def namespace_of(manifest: Manifest) -> str:
    """Return the namespace of an object; without one it is `default`."""
    metadata = manifest.get("metadata")
    return (text(metadata, "namespace") if isinstance(metadata, Mapping) else "") or DEFAULT


def _objects(source: str) -> list[Manifest]:
    return [member for document in read_manifests(source) for _, member in members(document)]


def _take(
    document: Manifest,
    source: str,
    overrides: dict[tuple[str, str], Override],
    policies: dict[tuple[str, str], Policy],
    namespaces: list[Manifest],
) -> None:
    """Put one object of an -f file where it belongs. Raises InputError for every other kind."""
    kind, version = text(document, "kind"), text(document, "apiVersion")
    if (version, kind) == ("v1", "Namespace"):
        namespaces.append(document)
    elif kind == "ImagePolicy":
        policy = validate(ImagePolicy, document, source)
        policies[policy.metadata.namespace, policy.metadata.name] = Policy(policy.spec.image, policy.status.selection)
    elif kind in ("ImageOverride", "ClusterImageOverride"):
        override = _override(document, kind, source)
        key = (override.kind, override_key(override))
        if key in overrides:
            raise InputError(f"{source}: {override.kind} {key[1]} is given twice; keep one")
        overrides[key] = override
    else:
        raise InputError(
            f"{source}: {kind or 'an object without kind'} is no override; -f takes ImageOverride, "
            "ClusterImageOverride, ImagePolicy and Namespace, manifests are given as arguments"
        )


def _override(document: Manifest, kind: str, source: str) -> Override:
    if kind == "ImageOverride":
        return validate(ImageOverride, document, source)
    return validate(ClusterImageOverride, document, source)


def _shown(override: Override) -> Override:
    enforcement = override.spec.enforcement
    if not enforcement.pods:
        return override
    wider = enforcement.model_copy(update={"templates": Templates.ADMISSION})
    spec = override.spec.model_copy(update={"enforcement": wider})
    return override.model_copy(update={"spec": spec})


def _namespaces(manifests: Iterable[Manifest], overrides: Iterable[Override]) -> tuple[NamespaceRow, ...]:
    """Name every namespace that is meant, with the labels of its Namespace object, if there is one."""
    labels: dict[str, dict[str, str]] = {}
    for override in overrides:
        if isinstance(override, ImageOverride):
            labels.setdefault(override.metadata.namespace, {})
    for manifest in manifests:
        if (text(manifest, "apiVersion"), text(manifest, "kind")) == ("v1", "Namespace"):
            name = at(manifest, ("metadata", "name"))
            if isinstance(name, str):
                labels.setdefault(name, {}).update(strings(at(manifest, ("metadata", "labels"))))
        else:
            labels.setdefault(namespace_of(manifest), {})
    return tuple(
        NamespaceRow(name, tuple(sorted({**given, NAME_LABEL: name}.items())), ignored=given.get(IGNORE) == "true")
        for name, given in sorted(labels.items())
    )
