"""Writes to templates on a real API server: what is owned, what comes back, and that nothing gone is made anew."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from tests.cluster.api import Api, Json
from tests.cluster.workloads import (
    create,
    images_of,
    live,
    managers_of,
    manifest,
    path_of,
    pod_spec,
    row_of,
    template_of,
    undisturbed,
)

from pawl.api.errors import Conflict, NotFound
from pawl.cluster.client import Cluster
from pawl.cluster.templates_restore import Skipped
from pawl.cluster.writers import annotate_template, drop_zombies, restore_template, rewrite_template
from pawl.decide.objects import ORIGINAL, RESTART, ROLLOUT, ImageAt
from pawl.sandbox import Cluster as Sandbox

pytestmark = pytest.mark.cluster

OLD, NEW = "docker.io/rook/ceph:v1", "registry.corp:5000/rook/ceph:v1"
WEB = ImageAt("containers", "web", NEW)
COUNTED = {"deployment.kubernetes.io/revision", "deprecated.daemonset.template.generation"}
KINDS = ("Deployment", "StatefulSet", "DaemonSet", "CronJob")


@pytest_asyncio.fixture
async def client(cluster: Sandbox) -> AsyncIterator[Cluster]:
    async with await Cluster.connect(str(cluster.kubeconfig)) as found:
        yield found


async def rewrite(client: Cluster, api: Api, namespace: str, kind: str, images: Sequence[ImageAt], hashed: str) -> None:
    await undisturbed(lambda: rewrite_template(client, row_of(api, kind, namespace, "web"), images, {ROLLOUT: hashed}))


async def restore(client: Cluster, api: Api, namespace: str, kind: str) -> tuple[Skipped, ...]:
    return await undisturbed(lambda: restore_template(client, row_of(api, kind, namespace, "web")))


def bare(body: Json) -> Json:
    """An object without what the cluster itself counts."""
    metadata = {
        key: value
        for key, value in body["metadata"].items()
        if key not in {"managedFields", "resourceVersion", "generation"}
    }
    metadata["annotations"] = {key: value for key, value in metadata["annotations"].items() if key not in COUNTED}
    return {"metadata": metadata, "spec": body["spec"]}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_template_is_rewritten_and_given_back_to_the_byte(
    kind: str, client: Cluster, api: Api, namespace: str
) -> None:
    before = create(api, namespace, manifest(kind, "web", pod_spec(web=OLD, side="quay.io/side:1")))
    await rewrite(client, api, namespace, kind, [WEB], "h1")
    written = live(api, kind, namespace, "web")
    assert images_of(written) == {"web": NEW, "side": "quay.io/side:1"}
    assert template_of(written)["metadata"]["annotations"] == {ROLLOUT: "h1"}
    assert written["metadata"]["annotations"]["mine"] == "stays"
    assert msgspec.json.decode(written["metadata"]["annotations"][ORIGINAL]) == {
        "containers/web": {"from": OLD, "to": NEW}
    }
    assert await restore(client, api, namespace, kind) == ()
    after = live(api, kind, namespace, "web")
    assert bare(after) == bare(before)
    assert "pawl" not in managers_of(after)


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
async def test_image_and_annotation_are_one_rollout_and_so_is_the_way_back(
    kind: str, client: Cluster, api: Api, namespace: str
) -> None:
    create(api, namespace, manifest(kind, "web", pod_spec(web=OLD)))
    await rewrite(client, api, namespace, kind, [WEB], "h1")
    assert live(api, kind, namespace, "web")["metadata"]["generation"] == 2
    await restore(client, api, namespace, kind)
    assert live(api, kind, namespace, "web")["metadata"]["generation"] == 3


async def test_a_second_write_of_the_same_changes_nothing(client: Cluster, api: Api, namespace: str) -> None:
    create(api, namespace, manifest("Deployment", "web", pod_spec(web=OLD)))
    await rewrite(client, api, namespace, "Deployment", [WEB], "h1")
    first = live(api, "Deployment", namespace, "web")
    await rewrite(client, api, namespace, "Deployment", [WEB], "h1")
    assert live(api, "Deployment", namespace, "web")["metadata"]["generation"] == first["metadata"]["generation"]
    again = live(api, "Deployment", namespace, "web")["metadata"]["annotations"][ORIGINAL]
    assert again == first["metadata"]["annotations"][ORIGINAL]


async def test_an_annotation_later_keeps_images_and_annotations_of_before(
    client: Cluster, api: Api, namespace: str
) -> None:
    create(api, namespace, manifest("Deployment", "web", pod_spec(web=OLD)))
    await rewrite(client, api, namespace, "Deployment", [WEB], "h1")
    await undisturbed(lambda: annotate_template(client, row_of(api, "Deployment", namespace, "web"), {RESTART: "r1"}))
    after = live(api, "Deployment", namespace, "web")
    assert images_of(after) == {"web": NEW}
    assert template_of(after)["metadata"]["annotations"] == {ROLLOUT: "h1", RESTART: "r1"}
    row = row_of(api, "Deployment", namespace, "web")
    assert (row.rollout, row.restart) == ("h1", "r1")


async def test_a_second_rewrite_still_restores_the_first_original(client: Cluster, api: Api, namespace: str) -> None:
    create(api, namespace, manifest("Deployment", "web", pod_spec(web=OLD, side=OLD)))
    await rewrite(client, api, namespace, "Deployment", [WEB], "h1")
    other = [ImageAt("containers", "web", "other.corp/ceph:v2"), ImageAt("containers", "side", NEW)]
    await rewrite(client, api, namespace, "Deployment", other[:1], "h2")
    await rewrite(client, api, namespace, "Deployment", other[1:], "h3")
    assert images_of(live(api, "Deployment", namespace, "web")) == {"web": "other.corp/ceph:v2", "side": NEW}
    await restore(client, api, namespace, "Deployment")
    assert images_of(live(api, "Deployment", namespace, "web")) == {"web": OLD, "side": OLD}


async def test_init_containers_sidecars_and_image_volumes_are_rewritten(
    client: Cluster, api: Api, namespace: str
) -> None:
    spec: dict[str, Any] = pod_spec(web="quay.io/web:1")
    spec["initContainers"] = [{"name": "init", "image": OLD}, {"name": "side", "image": OLD, "restartPolicy": "Always"}]
    spec["volumes"] = [{"name": "data", "emptyDir": {}}, {"name": "model", "image": {"reference": OLD}}]
    before = create(api, namespace, manifest("Deployment", "web", spec))
    places = [ImageAt("initContainers", "init", NEW), ImageAt("initContainers", "side", NEW)]
    await rewrite(client, api, namespace, "Deployment", [*places, ImageAt("volumes", "model", NEW)], "h1")
    written = live(api, "Deployment", namespace, "web")
    assert images_of(written) == {"web": "quay.io/web:1", "init": NEW, "side": NEW, "model": NEW}
    assert [each["name"] for each in template_of(written)["spec"]["volumes"]] == ["data", "model"]
    await restore(client, api, namespace, "Deployment")
    assert bare(live(api, "Deployment", namespace, "web")) == bare(before)


@pytest.mark.parametrize("gone", [False, True])
async def test_an_object_that_went_is_not_made_anew(*, gone: bool, client: Cluster, api: Api, namespace: str) -> None:
    body = manifest("Deployment", "web", pod_spec(web=OLD))
    create(api, namespace, body)
    row = row_of(api, "Deployment", namespace, "web")
    assert api.delete(path_of("Deployment", namespace, "web")).ok
    if not gone:
        create(api, namespace, body)
    for write in (annotate_template(client, row, {ROLLOUT: "h"}), rewrite_template(client, row, [WEB], {ROLLOUT: "h"})):
        with pytest.raises((Conflict, NotFound)):
            await write
    assert await restore_template(client, row) == ()
    assert api.get(path_of("Deployment", namespace, "web")).code == (404 if gone else 200)
    if not gone:
        assert images_of(live(api, "Deployment", namespace, "web")) == {"web": OLD}


async def test_another_object_of_that_name_is_not_restored(client: Cluster, api: Api, namespace: str) -> None:
    body = manifest("CronJob", "web", pod_spec(web=OLD))
    create(api, namespace, body)
    row = row_of(api, "CronJob", namespace, "web")
    assert api.delete(path_of("CronJob", namespace, "web")).ok
    create(api, namespace, body)
    await rewrite(client, api, namespace, "CronJob", [WEB], "h1")
    assert await restore_template(client, row) == ()
    assert images_of(live(api, "CronJob", namespace, "web")) == {"web": NEW}


@pytest.mark.parametrize("kind", KINDS)
async def test_annotations_alone_are_given_back_too(kind: str, client: Cluster, api: Api, namespace: str) -> None:
    before = create(api, namespace, manifest(kind, "web", pod_spec(web=OLD)))
    notes = {ROLLOUT: "h", RESTART: "r"}
    await undisturbed(lambda: annotate_template(client, row_of(api, kind, namespace, "web"), notes))
    written = live(api, kind, namespace, "web")
    assert template_of(written)["metadata"]["annotations"] == notes
    assert written["metadata"]["annotations"].keys() == {"mine", *written["metadata"]["annotations"].keys() & COUNTED}
    await restore(client, api, namespace, kind)
    after = live(api, kind, namespace, "web")
    assert bare(after) == bare(before)
    assert "pawl" not in managers_of(after)


async def test_an_old_view_is_refused(client: Cluster, api: Api, namespace: str) -> None:
    create(api, namespace, manifest("Deployment", "web", pod_spec(web=OLD)))
    row = row_of(api, "Deployment", namespace, "web")
    assert api.merge(path_of("Deployment", namespace, "web"), {"metadata": {"labels": {"a": "b"}}}).ok
    with pytest.raises(Conflict):
        await annotate_template(client, row, {ROLLOUT: "h"})


async def test_a_foreign_put_is_seen_as_a_revert_and_names_who(client: Cluster, api: Api, namespace: str) -> None:
    create(api, namespace, manifest("DaemonSet", "web", pod_spec(web=OLD)))
    await rewrite(client, api, namespace, "DaemonSet", [WEB], "h1")
    assert row_of(api, "DaemonSet", namespace, "web").reverter == ""
    body = manifest("DaemonSet", "web", pod_spec(web=OLD))  # like Rook: a whole object without a resourceVersion
    assert api.put(path_of("DaemonSet", namespace, "web"), body).ok
    row = row_of(api, "DaemonSet", namespace, "web")
    assert (row.reverter, row.original, row.rollout) == ("python-httpx", "", "")


async def test_what_somebody_else_changed_since_is_left(client: Cluster, api: Api, namespace: str) -> None:
    create(api, namespace, manifest("Deployment", "web", pod_spec(web=OLD, side=OLD)))
    side = ImageAt("containers", "side", NEW)
    await rewrite(client, api, namespace, "Deployment", [WEB, side], "h1")
    path = "/spec/template/spec/containers/1/image"
    mine = {"op": "replace", "path": path, "value": "mine.corp/x:9"}
    assert api.json_patch(path_of("Deployment", namespace, "web"), mine).ok
    skipped = await restore(client, api, namespace, "Deployment")
    assert [each.place for each in skipped] == ["containers/side"]
    assert "mine.corp/x:9" in skipped[0].why
    after = live(api, "Deployment", namespace, "web")
    assert images_of(after) == {"web": OLD, "side": "mine.corp/x:9"}
    assert "pawl" not in managers_of(after)
    assert ORIGINAL not in after["metadata"]["annotations"]


async def test_a_restore_that_died_half_way_is_finished(client: Cluster, api: Api, namespace: str) -> None:
    create(api, namespace, manifest("CronJob", "web", pod_spec(web=OLD)))
    await rewrite(client, api, namespace, "CronJob", [WEB], "h1")
    place = path_of("CronJob", namespace, "web")
    image = {"op": "replace", "path": "/spec/jobTemplate/spec/template/spec/containers/0/image", "value": OLD}
    note = {"op": "remove", "path": "/metadata/annotations/pawl.dev~1original"}
    assert api.json_patch(place, image, note).ok
    await restore(client, api, namespace, "CronJob")
    after = live(api, "CronJob", namespace, "web")
    assert images_of(after) == {"web": OLD}
    assert "pawl" not in managers_of(after)
    version = after["metadata"]["resourceVersion"]
    await restore(client, api, namespace, "CronJob")
    assert live(api, "CronJob", namespace, "web")["metadata"]["resourceVersion"] == version


async def test_the_order_of_containers_stays(client: Cluster, api: Api, namespace: str) -> None:
    names = ["z", "m", "a", "k"]
    create(api, namespace, manifest("Deployment", "web", pod_spec(**dict.fromkeys(names, OLD))))
    for number, places in enumerate((["a"], ["k", "z"], ["m"])):
        await rewrite(
            client, api, namespace, "Deployment", [ImageAt("containers", n, NEW) for n in places], f"h{number}"
        )
        assert list(images_of(live(api, "Deployment", namespace, "web"))) == names
    await restore(client, api, namespace, "Deployment")
    assert list(images_of(live(api, "Deployment", namespace, "web")).items()) == [(name, OLD) for name in names]


def flux(name: str) -> Json:
    return manifest("Deployment", "web", pod_spec(**{name: OLD}), annotations={})


async def test_a_container_that_its_owner_renamed_becomes_a_zombie_and_is_dropped(
    client: Cluster, api: Api, namespace: str
) -> None:
    place = path_of("Deployment", namespace, "web")
    assert api.apply(place, flux("web"), "flux").ok
    await rewrite(client, api, namespace, "Deployment", [WEB], "h1")
    assert api.apply(place, flux("renamed"), "flux").ok
    row = row_of(api, "Deployment", namespace, "web")
    assert set(images_of(live(api, "Deployment", namespace, "web"))) == {"web", "renamed"}
    assert row.owned == ("web",)
    await undisturbed(lambda: drop_zombies(client, row_of(api, "Deployment", namespace, "web")))
    assert images_of(live(api, "Deployment", namespace, "web")) == {"renamed": OLD}
    assert row_of(api, "Deployment", namespace, "web").owned == ()


async def test_a_rewrite_drops_the_zombie_in_the_same_write(client: Cluster, api: Api, namespace: str) -> None:
    place = path_of("Deployment", namespace, "web")
    assert api.apply(place, flux("web"), "flux").ok
    await rewrite(client, api, namespace, "Deployment", [WEB], "h1")
    assert api.apply(place, flux("renamed"), "flux").ok
    row = row_of(api, "Deployment", namespace, "web")
    await rewrite(client, api, namespace, "Deployment", [ImageAt("containers", "renamed", NEW)], "h2")
    after = live(api, "Deployment", namespace, "web")
    assert images_of(after) == {"renamed": NEW}
    assert after["metadata"]["generation"] == row.generation + 1
