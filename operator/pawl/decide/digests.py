"""What a reference means in its registry, and which digests a node may show for it.

containerd shows the first digest of all names that a local image has, so the acceptance set of a container is the
index digest, the manifest digest of the node's platform and the digest of that manifest's config; any other digest is
explained by the registry and accepted if its config is the same (study of the runtimes, DESIGN 3.2).
Neighbours: `decide.verdicts` judges containers by these. Not here: requests to registries.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final

import msgspec

from pawl.decide.reference import UnparsableReference, parse

PREFIXES: Final = ("docker-pullable://", "docker://")
"""What dockershim and its heirs write before an imageID."""


class Content(msgspec.Struct, frozen=True):
    """One reference as its registry holds it; the maps go from os/arch[/variant] to a digest.

    `digest` is that of the index, or of the manifest of an image for one platform.
    """

    reference: str
    digest: str
    platforms: Mapping[str, str] = {}
    configs: Mapping[str, str] = {}


class Answer(StrEnum):
    """What came of the question what a digest is."""

    KNOWN = "Known"
    MISSING = "Missing"
    UNREACHABLE = "Unreachable"


class Explanation(msgspec.Struct, frozen=True):
    """What a digest is: the configs of its manifests, by platform (`""` for an image of one unknown platform).

    MISSING: the registry answered that it has no such manifest. UNREACHABLE: nobody could be asked.
    """

    answer: Answer
    configs: Mapping[str, str] = {}


class Ask(msgspec.Struct, frozen=True, order=True):
    """A digest to be explained by its registry: `repository` is host/path, asked with the Pod's keys."""

    repository: str
    digest: str
    namespace: str = ""
    pull_secrets: tuple[str, ...] = ()
    account: str = "default"


Contents = Mapping[tuple[str, str], Content]
"""(namespace, reference) to content; the namespace `""` holds for all. Absent: not seen in its registry."""

Explained = Mapping[tuple[str, str] | Ask, Explanation]
"""What came of an Ask. What is known holds for all, by (repository, digest); what is not, for who asked alone: to
strangers a private repository may be a 404. Absent: not asked yet."""


def explanation_of(explained: Explained, ask: Ask) -> Explanation | None:
    """Look up what came of an Ask."""
    return explained.get((ask.repository, ask.digest)) or explained.get(ask)


def digest_of(image_id: str) -> str:
    """Return the digest in an imageID, without runtime prefix and repository; `""` if it holds none."""
    text = image_id
    for prefix in PREFIXES:
        text = text.removeprefix(prefix)
    found = text.rpartition("@")[2]
    return found if ":" in found and "/" not in found else ""


def repository_of(image_id: str) -> str:
    """Return the repository (host/path) in an imageID; `""` if it holds none: then it says only what, not whence."""
    text = image_id
    for prefix in PREFIXES:
        text = text.removeprefix(prefix)
    try:
        return str(parse(text).repository) if "@" in text else ""
    except UnparsableReference:
        return ""


def accepted(content: Content, platform: str) -> frozenset[str]:
    """Return the digests that a node of this platform may show for content: index, fitting manifests and configs."""
    manifests = (digest for name, digest in content.platforms.items() if fits(name, platform))
    return frozenset({content.digest, *manifests, *configs(content.configs, platform)} - {""})


def configs(by_platform: Mapping[str, str], platform: str) -> frozenset[str]:
    """Return the config digests for one platform of a node."""
    return frozenset(digest for name, digest in by_platform.items() if not name or fits(name, platform))


def fits(name: str, platform: str) -> bool:
    """Tell whether an image for `name` (os/arch[/variant]) may run on a node of `platform` (os/arch[/variant]).

    A node says no variant, so every variant of its architecture fits; an unknown node fits all.
    """
    if not platform:
        return True
    wanted, given = platform.split("/"), name.split("/")
    return all(a == b for a, b in zip(wanted, given, strict=False))


def content_of(contents: Contents, namespace: str, reference: str) -> Content | None:
    """Look up what a reference means for Pods of a namespace."""
    return contents.get((namespace, reference)) or contents.get(("", reference))


def missing_platforms(content: Content, platforms: Iterable[str]) -> tuple[str, ...]:
    """Return the platforms of nodes for which the content has no manifest, sorted."""
    return tuple(sorted(p for p in platforms if not any(fits(name, p) for name in content.platforms)))
