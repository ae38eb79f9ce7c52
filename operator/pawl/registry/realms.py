"""Which foreign hosts a registry may send us to.

A registry names the realm where a token is fetched, and may answer with redirects. Both are the registry's word: a
hostile one would have its visitors' credentials carried to itself, or make the operator call hosts of its choice. So
a realm is the registry's own host and port, one of the pairs known here, or one that the user listed.
Not here: the fetch (`tokens`), the address check (`addresses`).
"""

from __future__ import annotations

from pawl.api.errors import BadAnswer, ForeignRealm
from pawl.registry.targets import Endpoint, Origin, Url

_REALMS = frozenset(
    {
        ("registry-1.docker.io", "auth.docker.io"),
        ("registry.gitlab.com", "gitlab.com"),
        ("docker.elastic.co", "docker-auth.elastic.co"),
    }
)
"""Registry and its token server where they differ. ghcr.io, quay.io, *.azurecr.io, gcr.io, *.pkg.dev, public.ecr.aws,
and Harbor hand out tokens on the registry's own host and need no entry."""

_LIST_REDIRECTS = (("registry.k8s.io", ".pkg.dev"), ("k8s.gcr.io", "registry.k8s.io"))
"""Registries whose tag list is a redirect by design (kubernetes/k8s.io#6984). Followed without credentials."""


def realm_url(endpoint: Endpoint, realm: str) -> Url:
    """The token realm as a URL that may be asked on behalf of this endpoint, with its credentials or without.

    Raises:
        BadAnswer: the realm is no URL.
        ForeignRealm: the realm is on a host that was not allowed, or plain HTTP for a registry that speaks TLS.

    """
    try:
        url = Url.parse(realm)
    except ValueError:
        raise BadAnswer(
            f"{endpoint.host} names a token realm that is no URL; this is a fault of the registry"
        ) from None
    if url.origin.scheme == "http" and not endpoint.plain_http:
        raise ForeignRealm(
            f"{endpoint.host} names a token realm without TLS, http://{url.origin.host_port}: credentials are not sent "
            "there; correct the realm in the registry's configuration"
        )
    if not _allowed(endpoint, url.origin):
        raise ForeignRealm(
            f"{endpoint.host} sends token requests to {url.origin.authority}, which is not its own host: if you trust "
            f'it with these credentials, add "{url.origin.authority}" to spec.access.tokenRealms'
        )
    return url


def _allowed(endpoint: Endpoint, realm: Origin) -> bool:
    own = endpoint.origin
    if (realm.host, realm.port) == (own.host, own.port):
        return True
    if realm.scheme == "https" and realm.port == 443 and (own.host, realm.host) in _REALMS:
        return True
    # An entry without a port means the scheme's default port: authority leaves exactly that out.
    listed = {entry.lower() for entry in endpoint.token_realms}
    return bool(listed & {realm.authority, realm.host_port})


def list_may_move(origin: Origin, target: Origin) -> bool:
    """Whether the tag list at `origin` may be answered by a redirect to `target`."""
    if origin == target:
        return True
    tls = origin.scheme == target.scheme == "https" and origin.port == target.port == 443
    return tls and any(origin.host == host and target.host.endswith(suffix) for host, suffix in _LIST_REDIRECTS)
