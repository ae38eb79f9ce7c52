"""What is known of the access to one registry: names of Secrets, checksums, addresses. No secret stands in a message.

`controllers.registryaccess` gathers it, `decide.serverobjects` makes objects of it. Neighbours: `decide.accessusers`
and `decide.accesspairs` say when credentials and certificates change. Not here: judgement of the registry.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pawl.api.meta import Condition
from pawl.api.registrystorage_access import RegistryAccess, ServiceType
from pawl.api.registrystorage_status import StoreRef
from pawl.decide.storagefacts import Notice


@dataclass(frozen=True, slots=True)
class AccessFacts:
    """Everything about access that objects, checks and the status need.

    `address` is empty until the Service has one. An empty `ca` means that clients trust it by the authorities of their
    system. `tls_secret` is empty for plain HTTP, `htpasswd_secret` where nobody needs to log in.
    """

    address: str = ""
    also: tuple[str, ...] = ()
    """Other host[:port] by which images are named: inside the cluster, and those that `address` was before."""
    anonymous_address: str = ""
    server_name: str = ""
    """The name to ask for in TLS, whatever address is dialled."""
    ca: str = ""
    tls_secret: str = ""
    tls_version: str = ""
    """Changes with the certificate that is served."""
    internal_secret: str = ""
    internal_version: str = ""
    """Changes with what the Pods share."""
    users_secret: str = ""
    htpasswd_secret: str = ""
    pull_secret: str = ""
    store_versions: Mapping[str, str] = field(default_factory=dict)
    """Versions of the Secrets that stores name."""
    missing: tuple[str, ...] = ()
    """Sentences about Secrets of stores that are not there."""
    conditions: tuple[Condition, ...] = ()
    notices: tuple[Notice, ...] = ()
    warning: str = ""
    """A sentence about what the user must mend, though the server can run."""
    blocked: str = ""
    """A sentence where the server cannot be made until the user acts."""
    due: datetime | None = None
    """When to look again at the latest: a certificate or a password changes then."""
    username: str = ""
    password: str = field(default="", repr=False)
    """Pawl's own user, for the operator's checks."""
    token: str = field(default="", repr=False)
    """Bearer token of the workers."""

    @property
    def secure(self) -> bool:
        """Whether the server speaks TLS."""
        return bool(self.tls_secret)

    def missing_of(self, store: StoreRef) -> str:
        """Return the sentence about a Secret of a store that is not there, or nothing."""
        names = {store.credentials_secret, store.ca_secret} - {""}
        return next((text for text in self.missing if _secret_in(text) in names), "")

    def version_of(self, store: StoreRef) -> str:
        """What changes with the credentials of a store."""
        names = (store.credentials_secret, store.ca_secret)
        return ",".join(self.store_versions.get(name, "") for name in names if name)


def missing_secret(namespace: str, name: str, why: str = "") -> str:
    """Say that a Secret of a store cannot be had."""
    where = f"Secret {namespace}/{name}"
    return f"{where}: {why}" if why else f"{where} does not exist; create it, or correct spec.storage.s3"


def _secret_in(text: str) -> str:
    """Return the name of the Secret that a sentence of `missing_secret` is about."""
    return text.split()[1].rstrip(":").partition("/")[2]


@dataclass(frozen=True, slots=True)
class ServiceSeen:
    """What the API server gave the Service; both are empty until it did."""

    cluster_ip: str = ""
    ingress: tuple[str, ...] = ()
    """Addresses and names of a load balancer."""


def addresses(access: RegistryAccess, seen: ServiceSeen) -> tuple[str, str]:
    """Return host[:port] for images, and for pulls without credentials; empty while not known."""
    balanced = access.service.type is ServiceType.LOAD_BALANCER
    found = (*seen.ingress, seen.cluster_ip) if balanced else (seen.cluster_ip,)
    host = next((each for each in found if each), "")
    main = access.host or (joined(host, access.service.port) if host else "")
    # An Ingress offers the main port alone: the other one is reached inside the cluster.
    bare = host_of(main) if main and access.service.type is not ServiceType.INGRESS else seen.cluster_ip
    return main, joined(bare, access.service.port + 1) if access.anonymous_pull and bare else ""


def certified(access: RegistryAccess, names: Iterable[str], seen: ServiceSeen) -> tuple[str, ...]:
    """Return all names and addresses for which a certificate of Pawl's own is made."""
    own = (host_of(access.host),) if access.host else ()
    found = (*names, *own, seen.cluster_ip, *seen.ingress)
    return tuple(dict.fromkeys(each for each in found if each))


def host_of(address: str) -> str:
    """Return a host without its port and brackets: `[::1]:5000` is `::1`."""
    if address.startswith("["):
        return address[1:].partition("]")[0]
    return address if address.count(":") > 1 else address.partition(":")[0]


def joined(host: str, port: int) -> str:
    """Return host:port, an IPv6 address in brackets."""
    try:
        is_v6 = ipaddress.ip_address(host).version == 6
    except ValueError:
        is_v6 = False
    return f"[{host}]:{port}" if is_v6 else f"{host}:{port}"


def hint(access: RegistryAccess) -> str:
    """Return what a user should add so that nodes find the registry, or an empty text."""
    if access.host or access.service.type not in (ServiceType.NODE_PORT, ServiceType.INGRESS):
        return ""
    kind = access.service.type.value
    return (
        f"service type {kind} without access.host: images are named by the cluster IP, which nobody outside can "
        f"reach; set access.host to the name and port under which nodes reach the {kind}"
    )
