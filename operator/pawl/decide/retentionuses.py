"""What of one repository is in use: a node may show the digest of an index, of one of its images, or of a config.

Neighbours: `decide.retention` asks; `api.registrywork.Use` is one use, as the operator found it in the cluster.
Not here: how uses are found.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pawl.api.registrywork import Use
from pawl.decide.compact import Digest, Node, pack


@dataclass(frozen=True, slots=True)
class Used:
    """Tags and manifests in use, each with who uses it."""

    tags: Mapping[str, str] = field(default_factory=dict)
    digests: Mapping[Digest, str] = field(default_factory=dict)

    def by(self, tag: str, digest: Digest) -> str:
        """Return who uses a tag or what it stands for, "" if nobody does."""
        return self.tags.get(tag) or self.digests.get(digest, "")


def used_of(uses: Iterable[Use], revisions: Mapping[Digest, object], nodes: Mapping[Digest, Node]) -> Used:
    """Return what these uses hold: the tag as it is written, and by digest the manifest and every index over it."""
    several = tuple(uses)
    digests: dict[Digest, str] = {}
    wanted = [(pack(use.digest), use.by or "a digest") for use in several if use.digest]
    parents = _parents(revisions, nodes) if wanted else {}
    for digest, by in wanted:
        _hold(digest, by, parents, digests)
    return Used({use.tag: use.by or "a tag" for use in several if use.tag}, digests)


def _hold(first: Digest, by: str, parents: Mapping[Digest, list[Digest]], digests: dict[Digest, str]) -> None:
    waiting = [first]
    while waiting:
        digest = waiting.pop()
        if digest and digest not in digests:
            digests[digest] = by
            waiting += parents.get(digest, ())


def _parents(revisions: Iterable[Digest], nodes: Mapping[Digest, Node]) -> dict[Digest, list[Digest]]:
    """Return for each manifest the indexes over it, and for each config the manifests that name it."""
    found = defaultdict[Digest, list[Digest]](list)
    for digest in revisions:
        node = nodes.get(digest)
        for below in (*node.children, node.config) if node is not None else ():
            found[below].append(digest)
    return dict(found)
