"""What Pods run: images by repository, with the digest that reference or node names, and one list for many."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from tests.unit.cluster.memory_api import MemoryApi, status

from pawl.api.errors import Retry, Stalled
from pawl.cluster.calls import Answer, Request
from pawl.cluster.client import Options
from pawl.controllers.answers import Answers
from pawl.controllers.live import LiveImages, _Pod, running
from pawl.decide.facts import LiveImage
from pawl.decide.reference import parse_repository

WEB = parse_repository("r.example.com/shop/web")
A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64


def pod(*images: str, ids: dict[str, str] | None = None, inits: tuple[str, ...] = ()) -> dict[str, Any]:
    """A Pod of containers c0, c1, ... and init containers i0, ...; `ids` are imageIDs by container."""
    statuses = [{"name": name, "imageID": known} for name, known in (ids or {}).items()]
    return {
        "spec": {
            "containers": [{"name": f"c{n}", "image": image} for n, image in enumerate(images)],
            "initContainers": [{"name": f"i{n}", "image": image} for n, image in enumerate(inits)],
        },
        "status": {"containerStatuses": statuses},
    }


ROWS = {
    "tag": (pod("r.example.com/shop/web:v1"), [LiveImage("v1", None)]),
    "pinned": (pod(f"r.example.com/shop/web:v1@{A}"), [LiveImage("v1", A)]),
    "digest of the node": (
        pod("r.example.com/shop/web:v1", ids={"c0": f"r.example.com/shop/web@{A}"}),
        [LiveImage("v1", A)],
    ),
    "docker's form": (
        pod("r.example.com/shop/web:v1", ids={"c0": f"docker-pullable://r.example.com/shop/web@{A}"}),
        [LiveImage("v1", A)],
    ),
    "reference before node": (
        pod(f"r.example.com/shop/web:v1@{A}", ids={"c0": f"r.example.com/shop/web@{B}"}),
        [LiveImage("v1", A)],
    ),
    "a config is no manifest": (pod("r.example.com/shop/web:v1", ids={"c0": A}), [LiveImage("v1", None)]),
    "no tag": (pod(f"r.example.com/shop/web@{A}"), []),
    "nonsense": (pod("???", "", "a/UPPER:v1"), []),
    "init": (pod(inits=("r.example.com/shop/web:v2",)), [LiveImage("v2", None)]),
    "without status": (
        {"spec": {"containers": [{"name": "c", "image": "r.example.com/shop/web:v1"}]}},
        [LiveImage("v1")],
    ),
}


@pytest.mark.parametrize(("body", "wanted"), ROWS.values(), ids=ROWS.keys())
def test_images_of_a_pod(body: dict[str, Any], wanted: list[LiveImage]) -> None:
    found = running(msgspec.convert(body, _Pod))
    assert [image for _, image in found] == wanted
    assert {repository for repository, _ in found} <= {WEB}


def test_short_names_are_those_of_the_hub() -> None:
    found = running(msgspec.convert(pod("nginx:1.27"), _Pod))
    assert found == [(parse_repository("docker.io/library/nginx"), LiveImage("1.27", None))]


@pytest.fixture
def api() -> MemoryApi:
    found = MemoryApi()
    bodies = [pod("r.example.com/shop/web:v1", "r.example.com/shop/web:v2"), pod("r.example.com/shop/web:v1")]
    for number, body in enumerate(bodies):
        found.put(f"/api/v1/namespaces/default/pods/p{number}", body)
    return found


async def test_one_list_serves_all_policies_that_start(api: MemoryApi) -> None:
    live = LiveImages(api.cluster(), Answers(asyncio.get_running_loop().time))
    api_repository = parse_repository("r.example.com/shop/api")
    assert await live.read("default", WEB, 0.0) == (LiveImage("v1", None), LiveImage("v2", None))
    assert await live.read("default", api_repository, 0.0) == ()
    assert api.verbs == {"list": 1}
    assert await live.read("other", WEB, 0.0) == ()
    assert api.verbs == {"list": 2}


async def test_refusals_are_outcomes() -> None:
    code = 403

    async def refuse(_request: Request) -> Answer:
        return status(code, "Forbidden", "no")

    live = LiveImages(MemoryApi().cluster(refuse, Options(tries=1)), Answers(asyncio.get_running_loop().time))
    with pytest.raises(Stalled, match="Pods of namespace default") as caught:
        await live.read("default", WEB, 0.0)
    assert caught.value.reason == "MissingRight"
    code = 503
    with pytest.raises(Retry):
        await live.read("default", WEB, 0.0)
