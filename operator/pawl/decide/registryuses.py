"""Which images of a cluster are of this registry, and who uses each: what a collection must keep. Pure.

A reference counts under every name: an image may be pulled through a mirror, a node's own address or a host that was
renamed, and nobody can list all of these. Too much is kept at worst. A digest counts whatever the repository is.
Neighbours: `controllers.registryuses` lists. Not here: what is kept (`decide.retention`).
"""

from __future__ import annotations

from collections.abc import Iterable

from pawl.api.registrystorage import RegistryStorage
from pawl.api.registrywork import Use
from pawl.decide.reference import UnparsableReference, parse
from pawl.decide.registrynames import ANONYMOUS_PORT, PORT, Names

ANYWHERE = ""
"""Repository of a use of which only the digest is known."""


class Uses:
    """Collects uses; the first who uses an image is named."""

    def __init__(self, hosts: Iterable[str]) -> None:
        self._hosts = frozenset(host.lower() for host in hosts if host)
        self._found: dict[tuple[str, str, str], str] = {}

    def image(self, text: str, by: str) -> None:
        """Note a reference as it stands in a Pod, a template or a status; what is none uses nothing."""
        try:
            reference = parse(text)
        except UnparsableReference:
            return
        host, path = reference.repository.host, reference.repository.path
        tag = reference.tag or ("" if reference.digest else "latest")
        if host in self._hosts:
            self._note(path, tag, reference.digest or "", by)
        elif reference.digest:
            self.digest(reference.digest, by)
        else:
            self._note(path, tag, "", f"{by}, as {host}")

    def image_id(self, text: str, by: str) -> None:
        """Note what a node runs, as its runtime names it."""
        digest = text.rpartition("@")[2]
        if digest.startswith("sha256:"):
            self.digest(digest, by)

    def digest(self, digest: str, by: str) -> None:
        """Note a digest that is used under any name."""
        self._note(ANYWHERE, "", digest, by)

    def all(self) -> list[Use]:
        """Return every use once, in a fixed order."""
        found = sorted(self._found.items())
        return [Use(repository=repository, tag=tag, digest=digest, by=by) for (repository, tag, digest), by in found]

    def _note(self, repository: str, tag: str, digest: str, by: str) -> None:
        self._found.setdefault((repository, tag, digest), by)


def hosts_of(storage: RegistryStorage) -> frozenset[str]:
    """Return every host[:port] by which images of a registry may be named."""
    access, status = storage.spec.access, storage.status
    names = Names(storage.metadata.name).hosts(storage.metadata.namespace)
    ports = {access.service.port, access.service.port + 1, PORT, ANONYMOUS_PORT}
    if access.service.node_port is not None:
        ports.add(access.service.node_port)
    inside = {f"{name}:{port}" for name in names for port in ports}
    return frozenset(
        each
        for each in (
            *inside,
            *names,
            access.host or "",
            status.address,
            status.anonymous_address,
            *status.former_addresses,
        )
        if each
    )
