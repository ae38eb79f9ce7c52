"""Proxy settings as a value: which proxy a request takes.

The environment is read once, at the edge: `ProxySettings.of(urllib.request.getproxies())`.
Not here: the environment itself, connections (`pools`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from urllib.parse import unquote, urlsplit

from pawl.registry.addresses import is_loopback_name
from pawl.registry.targets import Origin, Url, origin_of


@dataclass(frozen=True)
class Proxy:
    """One proxy: where it is, and who we are to it."""

    url: Url
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @classmethod
    def parse(cls, text: str, variable: str) -> Proxy:
        """Read `http://user:password@host:port`; without a scheme it is http.

        Raises:
            ValueError: no such URL, or a scheme other than http and https. The message holds no password.

        """
        try:
            parts = urlsplit(text if "://" in text else f"http://{text}")
            if parts.scheme not in {"http", "https"}:
                raise ValueError
            origin = origin_of(parts.scheme, parts.netloc.rpartition("@")[2])
        except ValueError:
            raise ValueError(f"{variable} is not of the form http://host:port") from None
        return cls(Url(origin, "/"), unquote(parts.username or ""), unquote(parts.password or ""))


@dataclass(frozen=True)
class ProxySettings:
    """The proxies for http and https, and the hosts that are reached without: names (with all below them), addresses,
    networks in CIDR form, each with an optional port, or `*`. Loopback never takes a proxy.
    """

    http: Proxy | None = None
    https: Proxy | None = None
    direct: tuple[str, ...] = ()

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> ProxySettings:
        """Read the mapping that `urllib.request.getproxies()` gives: keys `http`, `https`, `no`.

        Raises:
            ValueError: a proxy that cannot be used; the message names the variable.

        """
        http, https = environment.get("http"), environment.get("https")
        return cls(
            http=Proxy.parse(http, "HTTP_PROXY") if http else None,
            https=Proxy.parse(https, "HTTPS_PROXY") if https else None,
            direct=tuple(e.strip().lower() for e in environment.get("no", "").split(",") if e.strip()),
        )

    def proxy_for(self, origin: Origin) -> Proxy | None:
        """The proxy that requests to this origin take, or None."""
        proxy = self.https if origin.scheme == "https" else self.http
        if proxy is None or is_loopback_name(origin.host) or any(_covers(entry, origin) for entry in self.direct):
            return None
        return proxy


def _covers(entry: str, origin: Origin) -> bool:
    if entry == "*":
        return True
    if "/" in entry:
        return _in_network(entry, origin.host)
    host, colon, port = entry.rpartition(":")
    if colon and port.isdigit() and (":" not in host or host.startswith("[")):
        return int(port) == origin.port and _names(host.strip("[]"), origin.host)
    return _names(entry.strip("[]"), origin.host)


def _names(entry: str, host: str) -> bool:
    bare = entry.removeprefix("*").removeprefix(".")
    return host == bare or host.endswith(f".{bare}")


def _in_network(entry: str, host: str) -> bool:
    try:
        return ip_address(host) in ip_network(entry, strict=False)
    except ValueError:
        return False
