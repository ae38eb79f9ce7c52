"""TLS: whom we believe."""

from __future__ import annotations

import pytest
from tests.support.registry import FakeRegistry
from tests.support.registry_client import Names, new_client, plain
from tests.support.tls import Authority

from pawl.api.errors import Unreachable, Untrusted
from pawl.registry.client import RegistryClient
from pawl.registry.targets import Access, Endpoint

pytestmark = pytest.mark.registry


async def test_a_known_authority(client: RegistryClient, authority: Authority) -> None:
    async with FakeRegistry(tls=authority.server("127.0.0.1")) as registry:
        registry.push("r", "v1")
        access = Access(Endpoint(registry.host, ca_pem=authority.pem))
        for _ in range(3):
            assert (await client.list_tags(access, "r")).count == 1


async def test_an_unknown_authority_names_host_and_way_out(client: RegistryClient, authority: Authority) -> None:
    async with FakeRegistry(tls=authority.server("127.0.0.1")) as registry:
        with pytest.raises(Untrusted, match=r"spec\.access\.caSecretRef") as caught:
            await client.list_tags(Access(Endpoint(registry.host)), "r")
    assert "127.0.0.1" in str(caught.value)
    assert registry.requests == []


async def test_trust_is_not_shared_between_authorities(client: RegistryClient, authority: Authority) -> None:
    """A connection that one tenant's CA vouched for must not serve another tenant."""
    async with FakeRegistry(tls=authority.server("127.0.0.1")) as registry:
        registry.push("r", "v1")
        await client.list_tags(Access(Endpoint(registry.host, ca_pem=authority.pem)), "r")
        for other in (None, Authority().pem):
            with pytest.raises(Untrusted):
                await client.list_tags(Access(Endpoint(registry.host, ca_pem=other)), "r")


async def test_a_wrong_name(authority: Authority) -> None:
    names = Names(registry_corp=[["127.0.0.1"]])
    async with FakeRegistry(tls=authority.server("other.corp")) as registry, new_client(resolve=names) as client:
        access = Access(Endpoint(f"registry.corp:{registry.port}", ca_pem=authority.pem))
        with pytest.raises(Untrusted, match="Hostname mismatch"):
            await client.list_tags(access, "r")


@pytest.mark.parametrize("pem", ["nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
async def test_a_ca_that_is_none(client: RegistryClient, pem: str) -> None:
    with pytest.raises(Untrusted, match=r"no PEM certificate.*ca\.crt"):
        await client.list_tags(Access(Endpoint("127.0.0.1:1", ca_pem=pem)), "r")


async def test_tls_to_a_server_that_speaks_none(client: RegistryClient) -> None:
    async with FakeRegistry() as registry:
        with pytest.raises((Untrusted, Unreachable)) as caught:
            await client.list_tags(Access(Endpoint(registry.host)), "r")
    assert "plainHTTP" in str(caught.value)


async def test_plain_http_to_a_server_that_speaks_tls(client: RegistryClient, authority: Authority) -> None:
    async with FakeRegistry(tls=authority.server("127.0.0.1")) as registry:
        with pytest.raises(Unreachable):
            await client.list_tags(plain(registry.host), "r")
