"""A namespace under the one operator of this folder: scenes go on in several at a time, each a test with its name.

    @on_place()
    def test_one(place): ...

Neighbours: `policy_scenes` and `override_scenes` are played there. Not here: the operator (`conftest`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

from tests.cluster.api import Api
from tests.cluster.grounds import scenario
from tests.cluster.operators import Operator, Shop, good
from tests.cluster.override_scene import Scene, scene_of

from pawl.sandbox import Cluster


@dataclass(frozen=True)
class Place:
    """One namespace, "" before there is one, and a directory."""

    api: Api
    cluster: Cluster
    pawl: Operator
    directory: Path
    namespace: str = ""

    @property
    def shop(self) -> Shop:
        return Shop(self.api, self.namespace, self.pawl)

    def scene(self) -> AbstractContextManager[Scene]:
        """Return a namespace for workloads, besides this one."""
        return scene_of(self.api, self.cluster, self.directory, self.pawl)


@contextmanager
def place_on(ground: Place) -> Iterator[Place]:
    """A fresh namespace and directory; the namespace goes with the test."""
    name = f"g-{uuid4().hex[:10]}"
    (ground.directory / name).mkdir()
    good(ground.api.post("api/v1/namespaces", {"metadata": {"name": name}}))
    try:
        yield replace(ground, namespace=name, directory=ground.directory / name)
    finally:
        ground.api.delete(f"api/v1/namespaces/{name}")


on_place = scenario(place_on)
