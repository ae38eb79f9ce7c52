"""A registry with its Secrets and Pods as one plain object, for the flow without sockets.

Neighbours: `tests.support.registry` has sockets. Not here: the API server (`tests.unit.cluster.memory_api`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from tests.support.registry_client import plain

from pawl.api.errors import Missing
from pawl.api.imagepolicy import ImagePolicySpec
from pawl.controllers.answers import Answers
from pawl.controllers.gather import Errand, Gathered, Gatherer
from pawl.decide.facts import LiveImage
from pawl.decide.reference import Repository
from pawl.registry.manifests import Head, Manifest, NotModified
from pawl.registry.scans import ScanResult
from pawl.registry.tags import tag_revision
from pawl.registry.targets import Access


@dataclass
class World:
    """A registry, Secrets and Pods in one; `asked` is what was asked, in order."""

    tags: dict[str, str] = field(default_factory=dict)
    platforms: dict[str, tuple[str, ...]] = field(default_factory=dict)
    pods: Sequence[LiveImage] = ()
    listed: Sequence[str] | None = None
    fails: dict[str, Exception] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    errands: list[Errand] = field(default_factory=list)
    meanwhile: Callable[[], Awaitable[None]] | None = None

    def note(self, what: str) -> None:
        self.asked.append(what)
        for part, error in self.fails.items():
            if part in what:
                raise error

    # the hub

    async def scan(self, _access: Access, _path: str, *, not_before: float, known_revision: str | None) -> ScanResult:
        self.note("list")
        found = tuple(self.tags if self.listed is None else self.listed)
        unchanged = tag_revision(found) == known_revision
        return ScanResult(None if unchanged else found, tag_revision(found), len(found), not_before, unchanged)

    # the client

    def _digest(self, reference: str) -> str:
        if reference in self.tags.values():
            return reference
        if reference not in self.tags:
            raise Missing(f"{reference} is not there", status=404)
        return self.tags[reference]

    async def get_manifest(self, _access: Access, _path: str, reference: str, *, want_platforms: bool) -> Manifest:
        self.note(f"GET {reference}")
        offered = self.platforms.get(reference, ("linux/amd64",)) if want_platforms else None
        return Manifest(self._digest(reference), "application/vnd.oci.image.index.v1+json", 1, offered)

    async def head_manifest(
        self, _access: Access, _path: str, reference: str, *, if_none_match: str
    ) -> Head | NotModified:
        self.note(f"HEAD {reference}")
        found = self._digest(reference)
        return NotModified(found) if found == if_none_match else Head(found, "", None)

    # Secrets and Pods

    async def resolve(self, _namespace: str, _spec: ImagePolicySpec, repository: Repository) -> Access:
        self.note("access")
        return plain(repository.host)

    async def live(self, _namespace: str, _repository: Repository, _not_before: float) -> Sequence[LiveImage]:
        self.note("pods")
        return self.pods

    async def gather(self, errand: Errand) -> Gathered:
        """Gather as the controller's part does; `meanwhile` happens once, while it is under way."""
        self.errands.append(errand)
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            await meanwhile()
        gatherer = Gatherer(self, self, self, self.live, Answers(lambda: 1.0))  # type: ignore[arg-type]
        return await gatherer.gather(errand)
