"""Which hosts and addresses may be dialled.

A tenant writes the host of an ImagePolicy, and a registry writes redirects, page links and token realms: each of them
could point the operator at the cloud's metadata service or at a neighbour on loopback. So every hop is judged twice:
its URL here by `require_plain`, its resolved addresses by `admit`, and exactly an admitted address is dialled
(`sockets`).
Not here: resolution and sockets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

from pawl.api.errors import ForbiddenTarget
from pawl.registry.targets import Origin

IPAddress = IPv4Address | IPv6Address

_METADATA = tuple(
    ip_network(text)
    for text in (
        "100.100.100.200/32",  # Alibaba Cloud
        "168.63.129.16/32",  # Azure's wire server
        "192.0.0.192/32",  # Oracle Cloud
        "fd00:ec2::/32",  # AWS: metadata, Pod identity, time, DNS
        "fd20:ce::254/128",  # Google Cloud
        "fd00:42::42/128",  # Scaleway
    )
)  # the common 169.254.169.254 and fe80::a9fe:a9fe are link-local
_METADATA_NAMES = frozenset({"metadata", "metadata.google.internal", "instance-data", "instance-data.ec2.internal"})
_THIS_NETWORK = ip_network("0.0.0.0/8")
_BROADCAST = IPv4Address("255.255.255.255")
_NAT64 = IPv6Network("64:ff9b::/96")


@dataclass(frozen=True)
class NetworkPolicy:
    """What this process may dial (ratchet.md §9).

    Attributes:
        deny_loopback: refuse loopback addresses; True in a Pod, where they are the Pod's own containers.
        plain_http_hosts: `host:port` (or `host` for port 80) that may be spoken to without TLS, besides loopback.

    """

    deny_loopback: bool
    plain_http_hosts: frozenset[str] = frozenset()

    def require_plain(self, origin: Origin) -> None:
        """Refuse plain HTTP that was not allowed.

        Raises:
            ForbiddenTarget: the origin is http, and neither loopback nor in `plain_http_hosts`.

        """
        if origin.scheme == "https" or is_loopback_name(origin.host):
            return
        if not {origin.host_port, origin.authority} & {host.lower() for host in self.plain_http_hosts}:
            raise ForbiddenTarget(
                f"plain HTTP to {origin.host_port} is not allowed: use TLS (spec.access.caSecretRef for a private CA), "
                f"or start the operator with --plain-http-hosts {origin.host_port}"
            )

    def admit(self, host: str, addresses: Sequence[str]) -> list[str]:
        """The addresses of `host` that may be dialled.

        Raises:
            ForbiddenTarget: all of them are denied.

        """
        admitted = [address for address in addresses if self.denial(host, address) is None]
        if addresses and not admitted:
            raise ForbiddenTarget(f"{host} is never dialled: {self.denial(host, addresses[0])}")
        return admitted

    def admit_literal(self, host: str) -> None:
        """Refuse a denied host that a proxy would resolve for us: only literals and well-known names can be judged.

        Raises:
            ForbiddenTarget: the host is a denied address, the metadata service, or loopback in a Pod.

        """
        if host in _METADATA_NAMES:
            raise ForbiddenTarget(f"{host} is never dialled: it is a cloud metadata service")
        if is_loopback_name(host) and self.deny_loopback:
            raise ForbiddenTarget(
                f"{host} is never dialled from a Pod: it is loopback; use the registry's Service name"
            )
        if _parse(host) is not None:
            self.admit(host, [host])

    def denial(self, host: str, address: str) -> str | None:
        """Why `address` of `host` may not be dialled, or None."""
        parsed = _parse(address)
        if parsed is None:
            return f"{address} is no address"
        for form in (parsed, *_embedded(parsed)):
            reason = self._denied(form)
            if reason is not None:
                return f"{address} is {reason}"
        if is_loopback_name(host) and not _any_loopback(parsed):
            return f"{address} is not loopback, and {host} must be"  # RFC 6761, section 6.3
        return None

    def _denied(self, address: IPAddress) -> str | None:
        if address.is_link_local:
            return "link-local, where clouds keep their metadata"
        if any(address in network for network in _METADATA):
            return "a cloud metadata address"
        if address.is_multicast or address == _BROADCAST:
            return "multicast"
        if address.is_unspecified or address in _THIS_NETWORK:
            return "unspecified"
        if address.is_loopback and self.deny_loopback:
            return "loopback, which is the Pod itself; use the registry's Service name"
        return None


def is_loopback_name(host: str) -> bool:
    """Whether the host says by itself that it is loopback: localhost, *.localhost or a loopback literal."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = _parse(host)
    return address is not None and _any_loopback(address)


def _any_loopback(address: IPAddress) -> bool:
    return address.is_loopback or any(form.is_loopback for form in _embedded(address))


def _parse(text: str) -> IPAddress | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def _embedded(address: IPAddress) -> list[IPv4Address]:
    """IPv4 addresses that an IPv6 address stands for: mapped, 6to4, NAT64 and the deprecated compatible form."""
    if isinstance(address, IPv4Address):
        return []
    low = IPv4Address(int(address) & 0xFFFFFFFF)
    forms = [address.ipv4_mapped, address.sixtofour, low if address in _NAT64 else None]
    if int(address) >> 32 == 0 and int(address) > 1:
        forms.append(low)
    return [form for form in forms if form is not None]
