"""The door to registries: everything the rest of Pawl may ask them.

Built once for a process; it owns all connections, tokens and limits. Each method raises subclasses of `RegistryError`
and nothing else (ValueError for a path or reference that is none: those arrive checked).
Neighbours: controllers and jobs call it, `scans` shares its tag lists. Not here: decisions, Kubernetes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from pawl.api.errors import BadAnswer, Missing
from pawl.registry.addresses import NetworkPolicy
from pawl.registry.caches import Bounded
from pawl.registry.exchange import Ask, Exchange, Redirects
from pawl.registry.limits import HostGate
from pawl.registry.manifests import (
    ACCEPT,
    MAX_MANIFEST_BYTES,
    Head,
    Manifest,
    NotModified,
    is_digest,
    manifest_name,
    manifest_target,
    read_head,
    read_manifest,
    read_platform,
)
from pawl.registry.pools import Pools
from pawl.registry.proxies import ProxySettings
from pawl.registry.sockets import Resolver, SystemResolver
from pawl.registry.tags import TagList, read_tags
from pawl.registry.targets import Access, Endpoint, reference_target
from pawl.registry.tokens import TokenBroker
from pawl.registry.wire import Answer, Header, Observation, Wire

_LISTS_WITH_ETAG = 1024
_PING_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """Bounds of a client.

    Attributes:
        proxies: read at the edge, from `urllib.request.getproxies()`.
        concurrency: requests at a time to one host.
        scan_seconds: network time of one whole tag list.
        connect_seconds: time to resolve a name, and to connect.

    """

    proxies: ProxySettings = field(default_factory=ProxySettings)
    concurrency: int = 16
    scan_seconds: float = 60.0
    connect_seconds: float = 5.0


class RegistryClient:
    """Asks registries. `resolve` and `clock` (monotonic seconds) are given by tests that own the names and the time."""

    def __init__(
        self,
        policy: NetworkPolicy,
        observe: Callable[[Observation], None],
        *,
        settings: ClientSettings = ClientSettings(),
        resolve: Resolver | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._resolver = SystemResolver()
        self._gate = HostGate(settings.concurrency, clock)
        self._pools = Pools(
            policy,
            settings.proxies,
            resolve or self._resolver,
            concurrency=settings.concurrency,
            seconds=settings.connect_seconds,
        )
        wire = Wire(policy, self._pools, self._gate, observe)
        self._broker = TokenBroker(wire, clock)
        self._exchange = Exchange(wire, self._broker)
        self._etags: Bounded[tuple[str, str], TagList] = Bounded(_LISTS_WITH_ETAG)

    async def list_tags(self, access: Access, path: str, *, known_revision: str | None = None) -> TagList:
        """All tags of a repository. With `known_revision`, a registry that keeps ETags may answer `unchanged`.

        Raises:
            RegistryError: the list could not be read whole.

        """
        key = (access.fingerprint, path)
        known = self._etags.get(key)
        usable = known if known is not None and known.revision == known_revision else None
        found = await read_tags(
            self._exchange,
            access,
            path,
            etag=usable.etag if usable is not None else "",
            seconds=self._settings.scan_seconds,
        )
        if found is None:
            if usable is None:
                raise BadAnswer(f"tags of {access.endpoint.host}/{path}: 304 without a condition")
            return replace(usable, tags=None, unchanged=True, bytes=0, pages=1)
        self._remember(key, found)
        return found

    def _remember(self, key: tuple[str, str], found: TagList) -> None:
        if found.etag:
            self._etags.put(key, replace(found, tags=None))
        else:
            self._etags.drop(key)

    async def head_manifest(
        self, access: Access, path: str, reference: str, *, if_none_match: str | None = None
    ) -> Head | NotModified:
        """What a tag or digest names now, without its bytes. `if_none_match` is a digest that we hashed before.

        Raises:
            Missing: no such manifest.
            RegistryError: another of its subclasses.

        """
        answer = await self._ask_manifest("HEAD", access, path, reference, if_none_match)
        if answer.status == 304 and if_none_match:
            return NotModified(if_none_match)
        head = read_head(answer, manifest_name(access, path, reference))
        same = if_none_match is not None and head.claimed_digest == if_none_match
        return NotModified(head.claimed_digest) if same else head

    async def get_manifest(
        self, access: Access, path: str, reference: str, *, want_platforms: bool = False
    ) -> Manifest:
        """A manifest or index, hashed here. With `want_platforms` the config of a single manifest is read as well.

        Raises:
            Missing: no such manifest.
            BadAnswer: the bytes are not what the digest or the media type says.
            RegistryError: another of its subclasses.

        """
        answer = await self._ask_manifest("GET", access, path, reference, None)
        what = manifest_name(access, path, reference)
        manifest, config = read_manifest(answer, reference if is_digest(reference) else None, what)
        if not want_platforms:
            return replace(manifest, platforms=None)
        if not config:
            return manifest
        blob = Ask(
            "GET",
            access.url(reference_target(path, "blobs", config)),
            path,
            f"config of {what}",
            MAX_MANIFEST_BYTES,
            ((b"Accept-Encoding", b"identity"),),
            Redirects.ANYWHERE,
        )
        body = (await self._exchange.fetch(access, blob)).body
        return replace(manifest, platforms=read_platform(body, config, blob.what))

    async def exists(self, access: Access, path: str, digest: str) -> bool:
        """Whether a manifest is there by its digest. False only for a clear 404.

        Raises:
            RegistryError: the registry could not say.

        """
        try:
            await self.head_manifest(access, path, digest)
        except Missing:
            return False
        return True

    async def ping(self, access: Access) -> None:
        """Ask whether this is a registry, and whether it knows us.

        Raises:
            RegistryError: it is not, or it does not.

        """
        what = f"registry {access.endpoint.host}"
        await self._exchange.fetch(access, Ask("GET", access.url("/v2/"), "", what, _PING_BYTES))

    def host_frozen_for(self, host: str) -> float:
        """Seconds for which a registry (as in an image reference) asked to be left alone; 0 if it did not."""
        return self._gate.frozen_for(Endpoint(host).origin.authority)

    async def aclose(self) -> None:
        """Close connections and stop what runs. Nothing may be asked afterwards."""
        await self._broker.aclose()
        await self._pools.aclose()
        await self._resolver.aclose()
        await asyncio.sleep(0)  # lets the sockets of aborted connections close

    async def _ask_manifest(self, method: str, access: Access, path: str, reference: str, known: str | None) -> Answer:
        headers: tuple[Header, ...] = (*ACCEPT, (b"If-None-Match", f'"{known}"'.encode())) if known else ACCEPT
        url = access.url(manifest_target(path, reference))
        what = manifest_name(access, path, reference)
        ask = Ask(method, url, path, what, MAX_MANIFEST_BYTES, headers, Redirects.ANYWHERE)
        answer = await self._exchange.fetch(access, ask)
        if answer.status == 304 and not known:
            raise BadAnswer(f"{what}: the registry answered 304 to a question without condition")
        return answer
