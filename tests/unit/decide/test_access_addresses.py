"""Under which address a registry is found, and which names its certificate has."""

from __future__ import annotations

from typing import Any

import pytest

from pawl.api.registrystorage_access import RegistryAccess
from pawl.decide.access import ServiceSeen, addresses, certified, hint, host_of, joined

SEEN = ServiceSeen("10.0.0.7", ("203.0.113.9",))


def access(**given: Any) -> RegistryAccess:
    return RegistryAccess.model_validate(given)


@pytest.mark.parametrize(
    ("given", "seen", "wanted"),
    [
        ({}, SEEN, ("10.0.0.7:5000", "")),
        ({}, ServiceSeen(), ("", "")),
        ({}, ServiceSeen("fd00::7"), ("[fd00::7]:5000", "")),
        ({"host": "i.corp"}, ServiceSeen(), ("i.corp", "")),
        ({"anonymousPull": True}, SEEN, ("10.0.0.7:5000", "10.0.0.7:5001")),
        ({"host": "i.corp:443", "anonymousPull": True}, SEEN, ("i.corp:443", "i.corp:5001")),
        ({"host": "[::1]:5", "anonymousPull": True, "service": {"port": 5}}, SEEN, ("[::1]:5", "[::1]:6")),
        ({"service": {"type": "LoadBalancer", "port": 443}}, SEEN, ("203.0.113.9:443", "")),
        ({"service": {"type": "LoadBalancer"}}, ServiceSeen("10.0.0.7"), ("10.0.0.7:5000", "")),
        (
            {"service": {"type": "Ingress"}, "host": "i.corp", "anonymousPull": True},
            SEEN,
            ("i.corp", "10.0.0.7:5001"),
        ),
    ],
)
def test_addresses(given: Any, seen: ServiceSeen, wanted: tuple[str, str]) -> None:
    assert addresses(access(**given), seen) == wanted


def test_a_certificate_is_good_for_every_way_in() -> None:
    names = certified(access(host="i.corp:443"), ("main-registry", "main-registry.shop.svc"), SEEN)
    assert names == ("main-registry", "main-registry.shop.svc", "i.corp", "10.0.0.7", "203.0.113.9")


@pytest.mark.parametrize(
    ("address", "host"), [("a", "a"), ("a:5", "a"), ("[::1]:5", "::1"), ("[::1]", "::1"), ("::1", "::1")]
)
def test_a_host_without_its_port(address: str, host: str) -> None:
    assert host_of(address) == host
    assert host_of(joined(host, 5)) == host


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, False),
        ({"service": {"type": "NodePort"}}, True),
        ({"service": {"type": "Ingress"}}, True),
        ({"service": {"type": "NodePort"}, "host": "node:30000"}, False),
        ({"service": {"type": "LoadBalancer"}}, False),
    ],
)
def test_a_missing_host_is_named_where_nodes_cannot_know_it(given: Any, *, said: bool) -> None:
    assert ("set access.host" in hint(access(**given))) is said
