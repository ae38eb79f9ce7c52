"""Manifests for sightings and explanations: with every key that a node would try, each manifest once, few at a time.

Which scheme is spoken: plain HTTP to hosts of `--plain-http-hosts`, and to loopback unless the override brings a CA
(which says that TLS is meant, as a node takes it); TLS to all others, without falling back. Nobody writes `plainHTTP`
here: containerd on the node is not asked by the override either.
Neighbours: `sightings` asks for what a target means, `explain` what a foreign digest is. Not here: verdicts, pauses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Final, Protocol

from pawl.api.errors import BadAnswer, Denied, ForbiddenTarget, Missing, RegistryError, Unauthorized
from pawl.controllers.pullkeys import Key, PodKeys
from pawl.decide.reference import Repository
from pawl.registry.addresses import NetworkPolicy, is_loopback_name
from pawl.registry.caches import Bounded, Flights
from pawl.registry.credentials import ANONYMOUS
from pawl.registry.manifests import Child, Manifest
from pawl.registry.platforms import offers
from pawl.registry.targets import Access, Endpoint

MAX_PLATFORMS: Final = 32
"""Platforms of one question, and so children that are read for it; each is at most 4 MiB."""
CHILDREN: Final = 4096
"""Manifests of single platforms that are remembered, about 1 KiB each."""
CONCURRENCY: Final = 8
"""Questions at once, so that a preflight of a thousand images leaves room for policies and other tenants."""

_Place = tuple[str, str, str]


class ManifestSource(Protocol):
    """The part of `RegistryClient` that is needed here."""

    def get_manifest(
        self, access: Access, path: str, reference: str, *, want_platforms: bool = False
    ) -> Awaitable[Manifest]:
        """See `RegistryClient.get_manifest`."""
        ...


@dataclass(frozen=True, slots=True)
class Way:
    """A way into a repository: its keys in the order in which a node tries them, anonymous if there is none."""

    repository: Repository
    endpoint: Endpoint
    keys: tuple[Key, ...]

    @property
    def accesses(self) -> tuple[Access, ...]:
        """One for each key."""
        tried = [key.credentials for key in self.keys] or [ANONYMOUS]
        return tuple(Access(self.endpoint, credentials) for credentials in tried)

    @property
    def identity(self) -> tuple[str, ...]:
        """Opaque: equal for Pods that come to the same repository with the same keys."""
        return (str(self.repository), *(access.fingerprint for access in self.accesses))


@dataclass(frozen=True, slots=True)
class Shown:
    """A manifest, and the access that it was shown to."""

    manifest: Manifest
    access: Access


class Manifests:
    """Reads manifests through one client. One for a term; `policy` is the client's own."""

    def __init__(self, client: ManifestSource, policy: NetworkPolicy, concurrency: int = CONCURRENCY) -> None:
        self._client = client
        self._policy = policy
        self._places = asyncio.Semaphore(concurrency)
        self._flights: Flights[_Place, Manifest] = Flights()
        self._children: Bounded[_Place, Manifest] = Bounded(CHILDREN)

    def way(self, repository: Repository, keys: PodKeys, ca_pem: str | None) -> Way:
        """Return the way into a repository. Raises BadAnswer if its host cannot be dialled at all."""
        plain = Endpoint(repository.host, plain_http=True)
        try:
            speaks_plainly = self._speaks_plainly(plain, ca_pem)
        except ValueError as error:
            raise BadAnswer(f"{repository.host} is no registry host: {error}") from None
        endpoint = plain if speaks_plainly else Endpoint(repository.host, ca_pem=ca_pem)
        return Way(repository, endpoint, keys.fitting(repository))

    def _speaks_plainly(self, plain: Endpoint, ca_pem: str | None) -> bool:
        origin = plain.origin
        if is_loopback_name(origin.host) and ca_pem is not None:
            return bool({origin.host_port, origin.authority} & {host.lower() for host in self._policy.plain_http_hosts})
        try:
            self._policy.require_plain(origin)
        except ForbiddenTarget:
            return False
        return True

    async def top(self, way: Way, reference: str, *, platforms: bool = True) -> Shown:
        """Return what a tag or digest names, seen with the first key that opens.

        `platforms` reads the config of an image that is in no index as well, for nothing else names its platform.

        Raises RegistryError: that of the first key if none opens, at once if another key would not help.
        """
        refusals: list[RegistryError] = []
        for access in way.accesses:
            try:
                return Shown(await self._ask(access, way.repository.path, reference, platforms=platforms), access)
            except (Unauthorized, Denied, Missing) as error:  # a private repository may be a 404 to strangers
                refusals.append(error)
        raise refusals[0]

    async def configs(self, way: Way, shown: Shown, children: dict[str, Child]) -> dict[str, str]:
        """Return the config digest of each platform's child. Raises RegistryError; Missing names the platform."""
        found = await asyncio.gather(
            *(self._config(way, shown, platform, child) for platform, child in children.items())
        )
        return dict(zip(children, found, strict=True))

    async def _config(self, way: Way, shown: Shown, platform: str, child: Child) -> str:
        try:
            manifest = await self._child(shown.access, way.repository.path, child.digest)
        except Missing as error:
            text = f"the index names {child.digest} for {platform}, but the registry does not have it: copy all of it"
            raise Missing(text, status=error.status) from error
        if manifest.config is None:
            raise BadAnswer(f"{way.repository}@{child.digest} stands for {platform}, but is no image")
        return manifest.config

    async def _child(self, access: Access, path: str, digest: str) -> Manifest:
        """A digest means the same for ever, so it is asked for once for each access."""
        place = (access.fingerprint, path, digest)
        known = self._children.get(place)
        if known is None:
            known = await self._flights.join(place, lambda: self._ask(access, path, digest, platforms=False))
            self._children.put(place, known)
        return known

    async def _ask(self, access: Access, path: str, reference: str, *, platforms: bool) -> Manifest:
        async with self._places:
            return await self._client.get_manifest(access, path, reference, want_platforms=platforms)

    async def aclose(self) -> None:
        """Stop what runs."""
        await self._flights.aclose()


def child_for(children: tuple[Child, ...], wanted: str) -> Child | None:
    """Return the image of an index that a node takes: the nearest to its platform, of equal ones the first."""
    fitting = [child for child in children if offers([child.platform], wanted)]
    everything = [child.platform for child in fitting]
    nearest = (child for child in fitting if all(offers([other], child.platform) for other in everything))
    return next(nearest, None)
