"""What the registry tests share: a client that may dial loopback, and an authority that nobody knows."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tests.support.registry_client import new_client
from tests.support.tls import Authority

from pawl.registry.client import RegistryClient
from pawl.registry.wire import Observation


@pytest.fixture
def observations() -> list[Observation]:
    return []


@pytest.fixture
async def client(observations: list[Observation]) -> AsyncIterator[RegistryClient]:
    async with new_client(observe=observations.append) as made:
        yield made


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority()
