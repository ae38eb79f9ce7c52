"""A registry is cleaned while it is used: planned, frozen, collected by the server's own program, thawed.

Neighbours: `tests/registry/test_collect*` and `test_gc_model` try what goes and what stays, this is the whole way with
real controllers. Not here: pressure (`test_registry_pressure`), deaths of operators (`tests/faults`).
"""

from __future__ import annotations

from functools import partial

import pytest
from tests.cluster.api import POLICIES, Json
from tests.storage.registry_world import Home, filesystem, is_settled, made, soon, stocked
from tests.storage.registry_world_clients import Shelf, busy, persist
from tests.storage.registry_world_tales import tale
from tests.support.storageworld import World

from pawl.api.meta import COLLECT_AT

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

TRIES = 5
EAGER = {"minimumAge": "0s", "maxDeletePercent": 100}
"""Whatever no rule keeps goes."""
USED = ("in-pod", "in-template", "pinned", "selected", "history")


def used_images(home: Home, shelf: Shelf, repository: str) -> None:
    """Let the cluster need some tags: by a Pod, a template, a digest, and a policy's selection and history."""
    place = f"{home.host}/{repository}"

    def at(tag: str) -> str:
        return f"{tag}@{shelf.held[repository, tag]}"

    pod = {"containers": [{"name": "app", "image": f"{place}:in-pod"}], "nodeSelector": {"no": "where"}}
    home.world.put("v1", "pods", {"kind": "Pod", "metadata": {"name": f"{home.name}-user"}, "spec": pod})
    workload(home, "template", f"{place}:in-template")
    workload(home, "digest", f"{place}@{shelf.held[repository, 'pinned']}")
    policy = {
        "kind": "ImagePolicy",
        "metadata": {"name": home.name},
        "spec": {"image": place, "suspend": True, "select": {"alphabetical": {}}},
    }
    home.world.put("pawl.dev/v1alpha1", "imagepolicies", policy)
    digest = shelf.held[repository, "selected"]
    selection = {"epoch": 1, "sequence": 2, "tag": "selected", "digest": digest, "selectedAt": TIME}
    selection |= {"reference": f"{place}:selected@{digest}", "ordering": "0" * 32, "cause": "Newer"}
    selection |= {"sortKey": "selected selected"}
    entry = {"time": TIME, "cause": "Newer", "epoch": 1, "sequence": 2, "from": at("history"), "to": at("selected")}
    status = {"status": {"selection": selection, "history": [entry]}}
    path = f"{POLICIES}/namespaces/{home.world.namespace}/imagepolicies/{home.name}/status"
    answer = home.api.merge(path, status)
    assert answer.ok, answer.message


TIME = "2026-11-21T12:00:00Z"


def workload(home: Home, name: str, image: str) -> None:
    """A Deployment without Pods: what it may run again is needed all the same."""
    labels = {"app": f"{home.name}-{name}"}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": image}]}}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": pod}
    found = {"kind": "Deployment", "metadata": {"name": f"{home.name}-{name}"}, "spec": spec}
    home.world.put("apps/v1", "deployments", found)


def blobs(home: Home) -> int:
    return sum(1 for _ in (home.directory() / "docker").rglob("data"))


def rule(**more: object) -> list[Json]:
    return [{"repositories": ["**"], **more}]


@tale
def test_what_is_needed_stays_and_all_else_goes_while_clients_go_on(world: World) -> None:
    home = made(world, "clean", filesystem(), collection={**EAGER, "dryRun": True}, retention=rule(keepTags=["^v"]))
    home.serve()
    shelf = stocked(home, "clean/web")
    with home.client() as client:
        for tag in (*USED, "old1", "old2", "old3"):
            shelf.add(client.push("clean/web", tag))
    used_images(home, shelf, "clean/web")
    before = blobs(home)

    dry = home.collect()
    assert (dry["phase"], dry["reason"]) == ("Done", "DryRun")
    going = {each["tag"] for each in dry["sample"] if each["repository"] == "clean/web"}
    assert (going, blobs(home)) == ({"old1", "old2", "old3", "large", "both"}, before)
    home.whole(shelf)

    home.change(collection={**EAGER, "maxDeletePercent": 10})
    capped = home.collect()
    assert (capped["phase"], capped["reason"]) == ("Refused", "CapExceeded")
    home.whole(shelf)

    keeps = rule(keepTags=["^v", "^n"])
    home.change(collection=EAGER, retention=keeps)
    home.settled()
    with home.client() as pusher, home.client() as puller:
        kept = Shelf({name: at for name, at in shelf.held.items() if name[1][0] == "v"})
        with busy(pusher, puller, kept, "clean/app") as met:
            soon(lambda: met.pushes > 1, "pushes")
            real = home.collect()
            pushes = met.pushes
            soon(lambda: met.pushes > pushes + 1, "pushes go on")
    assert (real["phase"], real["reason"]) == ("Done", "Collected"), real
    assert real["freedBytes"] > 4 << 20, real  # the large layer
    assert met.refused, "nobody met the freeze"
    for tag in ("old1", "old2", "old3", "large", "both"):
        shelf.drop(("clean/web", tag))
    home.settled()
    home.whole(shelf)
    home.whole(kept_of(kept, "clean/app"))


def kept_of(shelf: Shelf, repository: str) -> Shelf:
    """What a shelf says of one repository."""
    held = {name: digest for name, digest in shelf.held.items() if name[0] == repository}
    return Shelf(held, {name for name in shelf.gone if name[0] == repository})


@tale
def test_a_killed_collection_thaws_by_itself_and_the_next_one_ends_it(world: World) -> None:
    home = made(world, "killed", filesystem(), collection=EAGER, retention=rule(keepTags=["^v"]))
    home.serve()
    shelf = stocked(home, "killed/web")
    for container in ("prepare", "collect", "account"):
        assert any(killed(home, container, number) for number in range(TRIES)), f"{container} was always over too soon"
        home.until(is_settled)
        with home.client() as client:
            shelf.add(persist(partial(client.push, "killed/web", f"v-{container}")))
    shelf.gone |= {("killed/web", f"lost-{number}") for number in range(TRIES)}
    assert home.collect()["phase"] == "Done"
    for tag in ("large", "both"):
        shelf.drop(("killed/web", tag))
    home.settled()
    home.whole(shelf)


def killed(home: Home, container: str, number: int) -> bool:
    """Give a collection something to do and kill this part of it; whether it was killed before its end."""
    with home.client() as client:
        persist(partial(client.push, "killed/web", f"lost-{number}", (container.encode(),)))
    before = (home.now()["status"].get("collection") or {}).get("id")
    home.annotate(COLLECT_AT)
    home.until(lambda it: (it["status"].get("collection") or {}).get("id") not in (before, None))
    hit = home.kill("work", container, unless=lambda: ended(home.now()))
    # A process that had just done its work may have been hit in vain.
    return hit and home.until(ended)["status"]["collection"]["phase"] == "Failed"


def ended(found: Json) -> bool:
    return bool((found["status"].get("collection") or {}).get("finishedAt"))
