"""Ways to the fake registry, and clients with a clock or names of their own.

Neighbours: `registry` and `registry_raw` are what they talk to.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from pawl.registry.addresses import NetworkPolicy
from pawl.registry.client import RegistryClient
from pawl.registry.credentials import ANONYMOUS, Credentials
from pawl.registry.targets import Access, Endpoint

HERE = NetworkPolicy(deny_loopback=False)


class Clock:
    """Monotonic seconds that move when told."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Names:
    """A resolver: each question takes the next answer of a host, the last one stays. Unknown names fail."""

    def __init__(self, **answers: Sequence[Sequence[str]]) -> None:
        self.answers = {name.replace("_", "."): list(found) for name, found in answers.items()}
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        del port
        self.asked.append(host)
        if host not in self.answers:
            return [host]
        found = self.answers[host]
        return found.pop(0) if len(found) > 1 else found[0]


@asynccontextmanager
async def new_client(policy: NetworkPolicy = HERE, **options: Any) -> AsyncIterator[RegistryClient]:
    """A client that is closed at the end."""
    made = RegistryClient(policy, options.pop("observe", lambda _: None), **options)
    try:
        yield made
    finally:
        await made.aclose()


def plain(host: str, credentials: Credentials = ANONYMOUS, **endpoint: Any) -> Access:
    """Access over plain HTTP."""
    return Access(Endpoint(host, plain_http=True, **endpoint), credentials)


def port_of(host: str) -> str:
    """The port of host:port."""
    return host.rpartition(":")[2]
