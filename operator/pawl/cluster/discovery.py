"""Which kinds an API server has in a group: how the path of a custom resource is found from apiVersion and kind.

Neighbours: `resources` holds the kinds that Pawl knows by itself. Not here: schemas.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from pawl.api.errors import NotFound
from pawl.cluster.client import Cluster
from pawl.cluster.resources import Resource


@dataclass(frozen=True, slots=True)
class _Group(Resource):
    """The list of kinds of a group, as if it were an object."""

    def path(self, namespace: str | None, name: str | None = None, subresource: str | None = None) -> str:  # noqa: ARG002
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"


class _Kind(msgspec.Struct):
    name: str
    kind: str
    namespaced: bool = False


class _Kinds(msgspec.Struct):
    resources: list[_Kind] | None = None


_KINDS: Final = msgspec.json.Decoder(_Kinds)


async def served(cluster: Cluster, group_version: str) -> Mapping[str, Resource]:
    """Return kind -> Resource of a group and version such as `ceph.rook.io/v1`, or `v1` for core.

    Empty where the cluster does not have it. Raises Forbidden, ApiUnavailable.
    """
    group, _, version = group_version.rpartition("/")
    try:
        raw = await cluster.get(_Group(group, version, "kinds", namespaced=False), None, group_version)
    except NotFound:
        return {}
    found = _KINDS.decode(raw).resources or ()
    return {each.kind: Resource(group, version, each.name, each.namespaced) for each in found if "/" not in each.name}
