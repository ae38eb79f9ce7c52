"""Sources of rules: what a rule's `source` and `target.repository` name, and which sources an image stands under.

The ladder is that of registries.conf and of the image mirror sets of OpenShift: the longest path first, then the host,
then wildcards of the host, the longest first; a port is part of the host. Neighbours: `decide.reference` reads images,
`decide.tables` looks the candidates up. Not here: conditions of rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pawl.decide.reference import DEFAULT_HOST, OFFICIAL, UnparsableReference, parse

WILDCARD: Final = "*."
_PROBE: Final = "x/x"


@dataclass(frozen=True, slots=True, order=True)
class Source:
    """A host with an optional path below it, or every host below a domain (`wildcard`; then `path` is empty)."""

    host: str
    path: str = ""
    wildcard: bool = False

    @property
    def key(self) -> str:
        """The normalised text, as tables hold it."""
        if self.wildcard:
            return f"{WILDCARD}{self.host}"
        return f"{self.host}/{self.path}" if self.path else self.host


def candidates(host: str, path: str) -> tuple[str, ...]:
    """Return the keys of every source that the repository `host/path` (normalised) stands under, most specific first.

    `r.x.io:5000/a/b` gives r.x.io:5000/a/b, r.x.io:5000/a, r.x.io:5000, *.x.io, *.io.
    """
    found = []
    end = len(path)
    while end > 0:
        found.append(f"{host}/{path[:end]}")
        end = path.rfind("/", 0, end)
    return (*found, host, *wildcards(host))


def wildcards(host: str) -> tuple[str, ...]:
    """Return the wildcards that a host stands under, longest first: none for IPv6 and for hosts without a dot."""
    labels = host.partition(":")[0].split(".")
    return tuple(f"{WILDCARD}{'.'.join(labels[start:])}" for start in range(1, len(labels)))


def specificity(key: str) -> tuple[bool, int]:
    """Order the keys that one image stands under: the greater is the more specific. Wildcards are below hosts."""
    return (not key.startswith(WILDCARD), len(key))


def parse_source(text: str) -> Source:
    """Parse `host[:port][/path]` or `*.example.com`.

    Hosts are folded as in images and index.docker.io is docker.io, but `library/` is never filled in: `docker.io/nginx`
    is that path, `docker.io/library/nginx` the image. Raises UnparsableReference with a sentence.
    """
    if text.startswith(WILDCARD):
        return _wildcard(text)
    return parse_place(text, "source")


def parse_place(text: str, what: str) -> Source:
    """Parse `host[:port][/path]` for the field `what` of a message. Raises UnparsableReference with a sentence."""
    head, slash, path = text.partition("/")
    host = _host(text, head, what)
    if not slash:
        return Source(host)
    try:
        reference = parse(f"{host}/{path}")
    except UnparsableReference as error:
        raise UnparsableReference(f"{what} {text!r} is no host[:port][/path]: {error}") from None
    if reference.tag is not None or reference.digest is not None:
        raise UnparsableReference(f"{what} {text!r} has a tag or a digest; write host[:port][/path] without them")
    return Source(host, path)


def official(name: str) -> str:
    """Write `docker.io/x` as the image that it names, `docker.io/library/x`; every other repository is itself."""
    host, _, path = name.partition("/")
    return f"{host}/{OFFICIAL}{path}" if host == DEFAULT_HOST and path and "/" not in path else name


def _host(text: str, head: str, what: str) -> str:
    try:
        reference = parse(f"{head}/{_PROBE}")
    except UnparsableReference:
        raise UnparsableReference(f"{what} {text!r}: {head!r} is no registry host") from None
    if reference.path != _PROBE:
        raise UnparsableReference(
            f"{what} {text!r} does not begin with a registry host; images of Docker Hub begin with docker.io/, "
            "its official ones with docker.io/library/"
        )
    return reference.host


def _wildcard(text: str) -> Source:
    domain = text.removeprefix(WILDCARD).lower()
    try:
        host = parse(f"probe.{domain}/{_PROBE}").host
    except UnparsableReference:
        host = ""
    if host != f"probe.{domain}" or ":" in domain:
        raise UnparsableReference(f"source {text!r} is no wildcard; write *.example.com, without port and path")
    return Source(domain, wildcard=True)
