"""Which tags and manifests of a registry stay, and why.

The first rule whose repositories match decides about a repository. A tag stays if any reason holds; a manifest stays if
a tag that stays, an image in use, its youth or `keepUntagged` needs it, directly, through an index or as a referrer of
what stays. Referrer tags (`sha256-<hex>`, with cosign's endings) follow the image that they are about, also one that
another repository holds: signatures may have a repository of their own.
Neighbours: `decide.retentionrules` compiles rules, `decide.compact` is the form of digests, `jobs.collectplan` makes a
plan of this and holds it against the caps. Not here: input and output, what is broken in a store.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pawl.api.registrystorage_spec import Collection, RetentionRule
from pawl.api.registrywork import TagVerdict, Use
from pawl.decide.compact import Digest, Node, Tag, unpack
from pawl.decide.retentionrules import Terms, compile_terms, subject_of, terms_for
from pawl.decide.retentionuses import Used, used_of

__all__ = ["Judged", "Repository", "Tag", "judge", "judge_all"]


@dataclass(frozen=True, slots=True)
class Repository:
    """One repository. `revisions`: its manifests and when they were pushed; `nodes` may hold more than its own."""

    tags: Mapping[str, Tag]
    revisions: Mapping[Digest, float | None]
    nodes: Mapping[Digest, Node]
    gone: frozenset[Digest] = frozenset()
    """Manifests that a collection, which was cut short, had found to be without need: `keepUntagged` is not theirs."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What becomes of one repository: a verdict for each tag, and the manifests that stay."""

    verdicts: tuple[TagVerdict, ...]
    kept: frozenset[Digest]


@dataclass(slots=True)
class _Case:
    """One repository on its way to a judgement. `reasons` is a reason and its source for each tag that stays."""

    name: str
    repository: Repository
    terms: Terms
    used: Used
    elsewhere: frozenset[Digest] = frozenset()
    reasons: dict[str, tuple[str, str]] = field(default_factory=dict)


def judge(
    repositories: Mapping[str, Repository],
    rules: Sequence[RetentionRule],
    collection: Collection,
    uses: Iterable[Use],
    now: datetime,
) -> list[TagVerdict]:
    """Return a verdict for each tag, by repository and tag. Raises Stalled(InvalidPattern) and Stalled(InvalidSpec)."""
    judged = judge_all(repositories, rules, collection, uses, now)
    return [verdict for name in sorted(judged) for verdict in judged[name].verdicts]


def judge_all(
    repositories: Mapping[str, Repository],
    rules: Sequence[RetentionRule],
    collection: Collection,
    uses: Iterable[Use],
    now: datetime,
) -> dict[str, Judged]:
    """Return what becomes of each repository. Raises Stalled(InvalidPattern) and Stalled(InvalidSpec)."""
    compiled = compile_terms(rules, collection, now)
    by_repository = _by_repository(uses)

    def judged(name: str, elsewhere: frozenset[Digest] = frozenset()) -> Judged:
        uses = by_repository[name] + by_repository[""]
        return _judge(name, repositories[name], terms_for(name, compiled), uses, elsewhere)

    found = {name: judged(name) for name in repositories}
    strays = {name: about for name, repository in repositories.items() if (about := _strays(repository))}
    kept = frozenset[Digest]().union(*(one.kept for one in found.values())) if strays else frozenset[Digest]()
    return found | {name: judged(name, about & kept) for name, about in strays.items() if about & kept}


def _strays(repository: Repository) -> frozenset[Digest]:
    """Return what referrer tags are about that this repository does not hold."""
    return frozenset(filter(None, map(subject_of, repository.tags))) - repository.revisions.keys()


def _by_repository(uses: Iterable[Use]) -> defaultdict[str, tuple[Use, ...]]:
    found = defaultdict[str, list[Use]](list)
    for use in uses:
        found[use.repository].append(use)
    return defaultdict(tuple, {name: tuple(several) for name, several in found.items()})


def _judge(
    name: str, repository: Repository, terms: Terms, uses: Sequence[Use], elsewhere: frozenset[Digest]
) -> Judged:
    used = used_of(uses, repository.revisions, repository.nodes) if terms.in_use else Used()
    case = _Case(name, repository, terms, used, elsewhere)
    for tag, reason in _own_reasons(case):
        case.reasons.setdefault(tag, reason)
    kept = _closure(case)
    return Judged(tuple(_verdict(case, tag, kept) for tag in sorted(repository.tags)), kept)


def _own_reasons(case: _Case) -> Iterable[tuple[str, tuple[str, str]]]:
    """Yield what keeps tags for their own sake, the reasons that say most first."""
    tags, terms = case.repository.tags, case.terms
    plain = [tag for tag in tags if not subject_of(tag)]
    yield from ((tag, ("NoRule", "")) for tag in tags if terms.all_tags)
    yield from ((tag, ("KeepTags", terms.label)) for tag in tags if terms.keeps(tag))
    yield from ((tag, ("InUse", by)) for tag, at in tags.items() if (by := case.used.by(tag, at.digest)))
    yield from ((tag, ("KeepLast", terms.label)) for tag in _last(plain, tags, terms.keep_last))
    yield from ((tag, ("KeepYounger", terms.label)) for tag in plain if _since(tags[tag].pushed, terms.younger))
    yield from ((tag, ("Referrer", unpack(about))) for tag in tags if (about := subject_of(tag)) in case.elsewhere)
    yield from ((tag, ("MinimumAge", "")) for tag, at in tags.items() if terms.is_young(at.pushed))


def _last(plain: Iterable[str], tags: Mapping[str, Tag], count: int) -> list[str]:
    """Return the tags that were pushed last. One whose time is unknown is young anyway, and takes nobody's place."""
    timed = [(pushed, tag) for tag in plain if (pushed := tags[tag].pushed) is not None]
    return [tag for _, tag in sorted(timed, reverse=True)[:count]]


def _since(pushed: float | None, start: float | None) -> bool:
    return pushed is not None and start is not None and pushed >= start


def _closure(case: _Case) -> frozenset[Digest]:
    """Return the manifests that stay, and give the tags that follow one of them their reason."""
    followers, referrers = _followers(case.repository.tags), _referrers(case.repository)
    waiting, kept = _roots(case), set[Digest]()
    while waiting:
        digest = waiting.pop()
        if digest in kept or not digest:
            continue
        kept.add(digest)
        node = case.repository.nodes.get(digest)
        waiting += node.children if node is not None else ()
        waiting += referrers.get(digest, ())
        for tag in followers.get(digest, ()):
            case.reasons.setdefault(tag, ("Referrer", unpack(digest)))
            waiting.append(case.repository.tags[tag].digest)
    return frozenset(kept)


def _roots(case: _Case) -> list[Digest]:
    repository, terms = case.repository, case.terms
    found = [repository.tags[tag].digest for tag in case.reasons]
    found += [digest for digest in repository.revisions if digest in case.used.digests]
    found += [digest for digest, pushed in repository.revisions.items() if terms.is_young(pushed)]
    return found + (_untagged(repository) if terms.untagged else [])


def _untagged(repository: Repository) -> list[Digest]:
    """Return the manifests that no tag reaches, whether it stays or goes."""
    waiting, tagged = [tag.digest for tag in repository.tags.values()], set[Digest]()
    while waiting:
        if (digest := waiting.pop()) not in tagged:
            tagged.add(digest)
            node = repository.nodes.get(digest)
            waiting += node.children if node is not None else ()
    about = {digest for digest, node in _own_nodes(repository) if node.subject in tagged}
    return [digest for digest in repository.revisions if digest not in tagged | about | repository.gone]


def _own_nodes(repository: Repository) -> Iterable[tuple[Digest, Node]]:
    return ((digest, node) for digest in repository.revisions if (node := repository.nodes.get(digest)) is not None)


def _followers(tags: Mapping[str, Tag]) -> Mapping[Digest, Sequence[str]]:
    found = defaultdict[Digest, list[str]](list)
    for tag in tags:
        if subject := subject_of(tag):
            found[subject].append(tag)
    return found


def _referrers(repository: Repository) -> Mapping[Digest, Sequence[Digest]]:
    found = defaultdict[Digest, list[Digest]](list)
    for digest, node in _own_nodes(repository):
        if node.subject:
            found[node.subject].append(digest)
    return found


def _verdict(case: _Case, tag: str, kept: frozenset[Digest]) -> TagVerdict:
    digest = case.repository.tags[tag].digest
    keep = tag in case.reasons
    gone = "Referrer" if subject_of(tag) else "SharedDigest" if digest in kept else "Expired"
    reason, by = case.reasons.get(tag, (gone, case.terms.label))
    return TagVerdict(repository=case.name, tag=tag, digest=unpack(digest), keep=keep, reason=reason, by=by)
