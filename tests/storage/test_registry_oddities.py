"""What people do to a registry that no manual tells: rename it, ask while it rests, take its ledger, edit it frozen.

Neighbours: `test_registry_migration` moves it as it is meant, `tests/unit/decide/test_storagemachine_oddities` judges.
Not here: deaths (`tests/faults/test_registry_deaths`).
"""

from __future__ import annotations

import base64
import json

import pytest
from tests.storage.registry_world import Home, filesystem, made, soon, stocked
from tests.storage.registry_world_clients import Away
from tests.storage.registry_world_tales import tale
from tests.support.storageworld import World

from pawl.api.meta import COLLECT_AT

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]


def core(home: Home, kind: str, name: str) -> str:
    return f"api/v1/namespaces/{home.world.namespace}/{kind}/{home.name}-{name}"


def trusted(home: Home) -> dict[str, str]:
    """Hosts that the node was told of, with what it was told."""
    root = home.world.node.directory / "node/etc/containerd/certs.d"
    return {path.parent.name: path.read_text() for path in root.glob("*/hosts.toml")}


def pulled_by(home: Home) -> set[str]:
    """Hosts of the pull Secret."""
    data = home.api.get(core(home, "secrets", "pull")).body["data"]
    return set(json.loads(base64.b64decode(data[".dockerconfigjson"]))["auths"])


@tale
def test_what_was_named_by_an_older_address_is_pulled_on(world: World) -> None:
    home = made(world, "renamed", filesystem())
    home.serve()
    old, port = home.host, home.host.rpartition(":")[2]
    home.change(access={**home.spec["access"], "host": f"localhost:{port}"})
    found = home.until(lambda it: it["status"].get("address") == home.host)["status"]
    assert found["formerAddresses"] == [old]
    soon(lambda: {old, home.host} <= trusted(home).keys(), "both names are trusted by the node")
    assert f'[host."https://{home.host}"]' in trusted(home)[old]
    assert {old, home.host} <= pulled_by(home)


@tale
def test_a_wish_for_a_collection_does_not_outlive_a_pause(world: World) -> None:
    home = made(world, "paused", filesystem())
    home.serve()
    home.change(suspend=True)
    wish = home.annotate(COLLECT_AT)
    home.until(lambda it: it["status"].get("lastHandledCollectAt") == wish)
    home.change(suspend=False)
    found = home.until(lambda it: it["status"]["observedGeneration"] == it["metadata"]["generation"])["status"]
    assert "collection" not in found
    path = core(home, "configmaps", "registry-ledger")
    before = home.api.get(path).body["data"]
    assert home.api.delete(path).ok
    soon(lambda: home.api.get(path).body.get("data") == before, "a ledger that was deleted is there again")


@tale
def test_a_server_that_is_edited_in_the_freeze_loses_nothing(world: World) -> None:
    home = made(world, "edited", filesystem())
    home.serve()
    shelf = stocked(home, "edited/web")
    storage = world.bucket("edited")
    storage["s3"]["credentialsSecretRef"] = {"name": "edited-keys"}
    home.change(storage=storage)
    home.until(lambda it: any(one["reason"] == "SecretNotFound" for one in it["status"]["conditions"]))
    assert "migration" not in home.now()["status"], "nothing is begun without its Secret"
    minio = world.minio
    assert minio is not None
    keys = {"accessKey": minio.access_key, "secretKey": minio.secret_key}
    world.put("v1", "secrets", {"kind": "Secret", "metadata": {"name": "edited-keys"}, "stringData": keys})
    home.retry()
    home.reach("Freeze", "Final", "Verify", "Switch", "Smoke", "Open", "Hold")
    edits = 0
    with home.client() as client:
        for number in range(40):
            if home.phase() in {"Open", "Hold"}:
                break
            edits += make_writable(home)
            try:
                shelf.add(client.push("edited/web", f"sneaked{number}"))
            except Away:
                continue
    assert edits
    home.migrated(to="edited")
    home.settled()
    home.whole(shelf)


def make_writable(home: Home) -> bool:
    """Have the server take pushes by hand: its configuration, and Pods that claim to be what they are not."""
    path = core(home, "configmaps", "registry")
    data = {
        key: text.replace("enabled: true", "enabled: false") for key, text in home.api.get(path).body["data"].items()
    }
    edited = home.api.merge(path, {"data": data}).ok
    apps = f"apis/apps/v1/namespaces/{home.world.namespace}/deployments/{home.name}-registry"
    notes = {"pawl.dev/read-only": "false"}
    return edited and home.api.merge(apps, {"spec": {"template": {"metadata": {"annotations": notes}}}}).ok
