"""`pawl status` and `pawl registry NAME` against a real API server, and against one that knows no RegistryStorage."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
from tests.cluster.api import Api
from tests.unit.cli import registry_samples as samples
from tests.unit.cli.run_pawl import Ended, pawl

from pawl.api.errors import NotFound
from pawl.cli.status_live import Live
from pawl.cluster.client import Cluster as Client
from pawl.sandbox import Cluster

pytestmark = pytest.mark.cluster

PATH = "/apis/pawl.dev/v1alpha1/namespaces/{}/registrystorages"


def put(api: Api, namespace: str, document: samples.Json) -> None:
    status, name = document.pop("status"), document["metadata"]["name"]
    document["metadata"] = {"name": name}
    created = api.post(PATH.format(namespace), document)
    assert created.ok, created.message
    written = api.merge(f"{PATH.format(namespace)}/{name}/status", {"status": status})
    assert written.ok, written.message


@pytest.fixture
def shop(api: Api, installed: list[str], namespace: str) -> str:
    """A namespace with a registry that serves and one that moves."""
    assert installed
    put(api, namespace, samples.document("main"))
    moving = [samples.condition("Ready", "False", "Migrating")]
    put(api, namespace, samples.document("other", migration=samples.migration(), phase="Migrating", conditions=moving))
    return namespace


def command(cluster: Cluster, *arguments: str) -> Ended:
    return pawl(*arguments, "--kubeconfig", str(cluster.kubeconfig))


def test_registries_are_shown_with_the_rest(cluster: Cluster, shop: str) -> None:
    ended = command(cluster, "status", "-n", shop)
    assert (ended.code, ended.err) == (0, "")
    main, other = ended.out.splitlines()[-2:]
    assert main.split()[:3] == [shop, "main", "True"]
    assert "Bulk 35 %" in other
    assert command(cluster, "status", "-n", shop, "--check").code == 1
    documents = json.loads(command(cluster, "status", "-n", shop, "-o", "json").out)
    assert [(each["kind"], each["name"]) for each in documents] == [
        ("RegistryStorage", "main"),
        ("RegistryStorage", "other"),
    ]


def test_one_by_kind_and_name(cluster: Cluster, shop: str) -> None:
    for name in ("other", "rgs/other", "registrystorage/other"):
        ended = command(cluster, "status", name, "-n", shop)
        assert ended.code == 0, ended.err
        assert f"RegistryStorage {shop}/other" in ended.out
    assert command(cluster, "status", "rgs/none", "-n", shop).code == 1


def test_a_watch_draws_tables_only(cluster: Cluster, shop: str) -> None:
    ended = command(cluster, "status", "-n", shop, "--watch", "-o", "json")
    assert (ended.code, ended.err.count("\n")) == (2, 1)


def test_the_looks_of_a_registry_by_name(cluster: Cluster, shop: str) -> None:
    usage = command(cluster, "registry", "usage", "main", "-n", shop)
    assert (usage.code, usage.err) == (0, "")
    assert "12.0 GiB of 100.0 GiB" in usage.out
    assert "shop/web" in usage.out
    move = command(cluster, "registry", "migrate", "--plan", "other", "-n", shop)
    assert "moves to claim main-registry-c1: Bulk 35 %" in move.out
    assert "How long" in command(cluster, "registry", "migrate", "--plan", "main", "-n", shop).out
    assert "was not collected yet" in command(cluster, "registry", "plan-gc", "main", "-n", shop).err
    assert command(cluster, "registry", "verify", "main", "-n", shop).code == 0
    none = command(cluster, "registry", "usage", "none", "-n", shop)
    assert (none.code, none.err.count("\n")) == (1, 1)


class OldCluster:
    """An API server that knows no RegistryStorage."""

    async def list_pages(self, *_asked: object) -> AsyncIterator[bytes]:
        raise NotFound("registrystorages.pawl.dev: the API server does not know this kind")
        yield b""  # an async generator, as the real one is


async def test_a_cluster_without_the_kind_has_none() -> None:
    client: Client = OldCluster()  # type: ignore[assignment]
    assert await Live(client).registries(None) == []
