"""What `pawl uninstall` does about RegistryStorages: nothing of Pawl holds their deletion up afterwards."""

from __future__ import annotations

from typing import Any

from tests.unit.cluster.memory_api import MemoryApi

from pawl.cli.uninstall_registries import Held, let_go, registries, told
from pawl.controllers.registrymarks import FINALIZER, LEAVE

PATH = "/apis/pawl.dev/v1alpha1/namespaces/{}/registrystorages/{}"


def registry(namespace: str, name: str, *finalizers: str) -> tuple[str, dict[str, Any]]:
    return PATH.format(namespace, name), {
        "metadata": {"namespace": namespace, "name": name, "finalizers": list(finalizers)}
    }


async def test_pawls_finalizer_goes_and_others_stay() -> None:
    api = MemoryApi(("shop", "other"))
    for path, body in (registry("shop", "main", FINALIZER, "example.com/mine"), registry("other", "bare")):
        api.put(path, body)
    found = await registries(api.cluster(), ("shop", "other"))
    assert set(found) == {
        Held("shop", "main", held=True, others=("example.com/mine",)),
        Held("other", "bare", held=False),
    }
    await let_go(api.cluster(), found)
    meta = api.objects[PATH.format("shop", "main")]["metadata"]
    assert meta["finalizers"] == ["example.com/mine"]
    assert meta["annotations"] == {LEAVE: "true"}
    assert "annotations" not in api.objects[PATH.format("other", "bare")]["metadata"]


async def test_only_the_named_namespaces_and_one_that_went_is_no_error() -> None:
    api = MemoryApi(("shop", "other"))
    for path, body in (registry("shop", "main", FINALIZER), registry("other", "main", FINALIZER)):
        api.put(path, body)
    found = await registries(api.cluster(), ("shop",))
    assert [each.namespace for each in found] == ["shop"]
    del api.objects[PATH.format("shop", "main")]
    await let_go(api.cluster(), found)
    assert api.objects[PATH.format("other", "main")]["metadata"]["finalizers"] == [FINALIZER]


def test_what_stays_is_said() -> None:
    lines = told([Held("shop", "main", held=True)])
    assert "registrystorage shop/main" in lines[0]
    assert "claims" in lines[-1]
    assert told([]) == []
