"""Images that run under two names with the same content, and the override that makes them one.

A chart with two image fields has every node hold one image under two names: two tags to move, two registries to trust,
and where the names are in two registries, two pulls with two Secrets. Names are compared as normalised references,
content by the digest that nodes report; another digest of the same content is known through registries only and comes
in as `same`. Neighbours: `decide.digests` reads imageIDs, `decide.rulebook` compiles what is proposed.
Not here: registries, clusters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import msgspec
from pydantic import ValidationError

from pawl.api.imageoverride import ClusterImageOverride, ImageOverride, Override
from pawl.decide.digests import digest_of
from pawl.decide.objects import SYSTEM_NAMESPACES, PodRow
from pawl.decide.reference import Reference, UnparsableReference, parse
from pawl.decide.rulebook import Stock, compile_rulebook

MAX_CONTAINERS: Final = 16
"""Names of containers that a rule may list."""
_NO_NAME: Final = re.compile(r"[^a-z0-9.-]+")


class Run(msgspec.Struct, frozen=True):
    """One container that runs: what its Pod's spec says, normalised, and the digest that its node reports."""

    reference: Reference
    digest: str
    namespace: str
    pod: str
    workload: str
    node: str
    container: str

    @property
    def name(self) -> str:
        """Repository and tag: what is pulled, and what two fields may say differently. A digest is no name."""
        tag = "" if self.reference.tag is None else f":{self.reference.tag}"
        return f"{self.reference.repository}{tag}"


class Name(msgspec.Struct, frozen=True):
    """One name of some content, and everything that runs it."""

    name: str
    runs: tuple[Run, ...]

    @property
    def repository(self) -> str:
        """Host and path."""
        return str(self.runs[0].reference.repository)

    @property
    def tag(self) -> str | None:
        """The tag, None for none."""
        return self.runs[0].reference.tag

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes that run it."""
        return tuple(sorted({run.node for run in self.runs}))

    @property
    def pods(self) -> tuple[str, ...]:
        """The Pods that run it, as namespace/name."""
        return tuple(sorted({f"{run.namespace}/{run.pod}" for run in self.runs}))

    @property
    def workloads(self) -> tuple[str, ...]:
        """What these Pods belong to."""
        return tuple(sorted({run.workload for run in self.runs}))


class Duplicate(msgspec.Struct, frozen=True):
    """Content that at least one node runs under several names. `digests` are those that nodes report for it."""

    digests: tuple[str, ...]
    names: tuple[Name, ...]
    nodes: tuple[str, ...]
    """The nodes with more than one name."""


class Proposal(msgspec.Struct, frozen=True):
    """An override that unifies the names: its manifest, the name that stays, and what else it does."""

    manifest: dict[str, object]
    keeps: str
    caution: str = ""


def runs_of(pods: Iterable[PodRow], workload_of: Callable[[PodRow], str]) -> tuple[Run, ...]:
    """Return the containers of live Pods on nodes whose digest is known; what is no reference is passed over."""
    found = []
    for pod in pods:
        digests = {state.name: digest_of(state.image_id) for state in pod.states} if pod.live and pod.node else {}
        for at in pod.spec.images:
            reference = _parsed(at.image) if at.group != "volumes" and digests.get(at.name) else None
            if reference is not None:
                key = (pod.namespace, pod.name, workload_of(pod), pod.node, at.name)
                found.append(Run(reference, digests[at.name], *key))
    return tuple(found)


def duplicates(runs: Iterable[Run], same: Mapping[str, str] | None = None) -> tuple[Duplicate, ...]:
    """Return all content that one node runs under several names, the most nodes first.

    `same` maps a digest to what its content is known by (the config digest); digests that it lacks stand for
    themselves.
    """
    known = same or {}
    by_content: dict[str, list[Run]] = {}
    for run in runs:
        by_content.setdefault(known.get(run.digest, run.digest), []).append(run)
    found = (_duplicate(grouped) for grouped in by_content.values())
    return tuple(sorted((one for one in found if one is not None), key=lambda one: (-len(one.nodes), one.digests)))


def proposal(found: Duplicate, excluded: frozenset[str] = SYSTEM_NAMESPACES) -> Proposal | None:
    """Return the override that leaves one name, None where no rule can.

    The name that most Pods have stays; one in a namespace that is never rewritten stays before all others. What is not
    in force alone, because its rules would find their own results again, is not proposed.
    """
    for keeps in sorted(found.names, key=lambda name: _rank(name, excluded)):
        others = [other for name in found.names if _differs(name, keeps) and (other := _movable(name, excluded))]
        made = _proposal(keeps, others) if others else None
        if made is not None and _in_force(made.manifest):
            return made
    return None


def _in_force(manifest: Mapping[str, object]) -> bool:
    model = ImageOverride if manifest["kind"] == "ImageOverride" else ClusterImageOverride
    try:
        override: Override = model.model_validate(manifest)
    except ValidationError:
        return False
    return all(judged.accepted for judged in compile_rulebook(Stock([override])).judged.values())


def _parsed(image: str) -> Reference | None:
    try:
        return parse(image)
    except UnparsableReference:
        return None


def _duplicate(runs: Sequence[Run]) -> Duplicate | None:
    by_name: dict[str, list[Run]] = {}
    by_node: dict[str, set[str]] = {}
    for run in runs:
        by_name.setdefault(run.name, []).append(run)
        by_node.setdefault(run.node, set()).add(run.name)
    nodes = tuple(sorted(node for node, names in by_node.items() if len(names) > 1))
    if not nodes:
        return None
    names = tuple(Name(name, tuple(grouped)) for name, grouped in sorted(by_name.items()))
    return Duplicate(tuple(sorted({run.digest for run in runs})), names, nodes)


def _rank(name: Name, excluded: frozenset[str]) -> tuple[bool, int, str]:
    fixed = any(run.namespace in excluded for run in name.runs)
    return not fixed, -len(name.pods), name.name


def _differs(name: Name, keeps: Name) -> bool:
    """Whether a rule can turn one name into the other: within one repository it needs two tags."""
    if name.repository != keeps.repository:
        return True
    return name.tag is not None and keeps.tag not in (None, name.tag)


def _movable(name: Name, excluded: frozenset[str]) -> Name | None:
    """Return what of a name can be rewritten."""
    runs = tuple(run for run in name.runs if run.namespace not in excluded)
    return Name(name.name, runs) if runs else None


def _proposal(keeps: Name, others: Sequence[Name]) -> Proposal:
    by_repository: dict[str, list[Name]] = {}
    for other in others:
        by_repository.setdefault(other.repository, []).append(other)
    retag = keeps.tag is not None and any(other.tag not in (None, keeps.tag) for other in others)
    rules = [_rule(keeps, repository, names, retag=retag) for repository, names in sorted(by_repository.items())]
    caution = (
        f"every tag of {', '.join(sorted(by_repository))} in these containers becomes {keeps.tag}, without a digest"
        if retag
        else ""
    )
    spaces = sorted({run.namespace for other in others for run in other.runs})
    single = len(spaces) == 1
    metadata = {"name": _object_name(keeps.repository), **({"namespace": spaces[0]} if single else {})}
    manifest: dict[str, object] = {
        "apiVersion": "pawl.dev/v1alpha1",
        "kind": "ImageOverride" if single else "ClusterImageOverride",
        "metadata": metadata,
        "spec": {"rules": rules},
    }
    return Proposal(manifest, keeps.name, caution)


def _rule(keeps: Name, repository: str, names: Sequence[Name], *, retag: bool) -> dict[str, object]:
    """Write the rule for one repository. Where tags differ, all rules set one, and only in the containers that run."""
    target = {"repository": keeps.repository, **({"tag": keeps.tag} if retag else {})}
    rule: dict[str, object] = {"source": repository, "target": target}
    if retag:
        containers = sorted({run.container for name in names for run in name.runs})
        rule["containers"] = containers if len(containers) <= MAX_CONTAINERS else ["*"]
    return rule


def _object_name(repository: str) -> str:
    last = repository.rpartition("/")[2]
    return f"one-{_NO_NAME.sub('-', last)}"[:253].rstrip("-.")
