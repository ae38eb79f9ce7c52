"""Every state of an ImagePolicy that a health check tells apart, brought about by the running operator.

Neighbours: `override_scenes` does it for overrides, `fixtures` writes down what comes out. Not here: expectations.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tests.cluster.api import POLICIES, Api, Json
from tests.cluster.coherence import says, true_types
from tests.cluster.operators import Shop, good, manifest, spec
from tests.support.registry import FakeRegistry


@dataclass(frozen=True)
class Counter:
    """A shop with its registry; the policy is called `web`."""

    shop: Shop
    registry: FakeRegistry

    def push(self, *tags: str) -> None:
        for tag in tags:
            self.registry.push("shop/web", tag)

    async def selects(self, *tags: str, **fields: Any) -> Json:
        """A policy that went through these tags."""
        self.push(tags[0])
        self.shop.create(spec(self.registry.host, **fields))
        await self.shop.tag(tags[0])
        for tag in tags[1:]:
            self.push(tag)
            await self.shop.ask()
            await self.shop.tag(tag)
        return self.shop.read()

    async def says(self, kind: str, status: str, reason: str) -> Json:
        """The policy when a condition says this."""
        return await self.shop.until(lambda policy: says(policy, kind) == (status, reason))

    def approved(self, tag: str) -> list[Json]:
        return [{"tag": tag, "digest": self.registry.repositories["shop/web"].tags[tag]}]


Play = Callable[[Counter], Awaitable[Json]]


def untouched(api: Api, namespace: str) -> Json:
    """A policy as the API server answers its creation, before anybody saw it."""
    body = manifest("web", spec("registry.example.com"))
    return good(api.post(f"{POLICIES}/namespaces/{namespace}/imagepolicies", body)).body


async def _selected(at: Counter) -> Json:
    return await at.selects("v1.0.0", "v1.1.0")


async def _below(at: Counter) -> Json:
    await at.selects("v1.0.0", "v2.0.0")
    at.shop.edit(select={"semver": {"range": "1.x"}})
    return await at.says("BelowHighWater", "True", "BelowHighWater")


async def _reordered(at: Counter) -> Json:
    await at.selects("v1.0.0")
    at.shop.edit(select={"semver": None, "alphabetical": {}})
    return await at.says("OrderingChanged", "True", "OrderingChanged")


async def _pending(at: Counter) -> Json:
    at.push("v1.0.0")
    await at.selects("v1.0.0", gates={"approval": "Required"}, approved=at.approved("v1.0.0"))
    at.push("v1.1.0")
    at.shop.annotate()
    return await at.says("Pending", "True", "ApprovalRequired")


async def _rolled_back(at: Counter) -> Json:
    await at.selects("v1.0.0", "v1.1.0")
    (to,) = at.approved("v1.0.0")
    wish = {"nonce": "inc-42", "from": {"tag": "v1.1.0"}, "to": to, "reason": "checkout fails", "requestedBy": "ann"}
    at.shop.edit(rollback=wish)
    return await at.says("RollbackActive", "True", "RolledBack")


async def _scan_failed(at: Counter) -> Json:
    await at.selects("v1.0.0")
    at.registry.behave(fail=500)
    at.shop.annotate()
    return await at.says("ScanComplete", "False", "Unreachable")


async def _no_tags(at: Counter) -> Json:
    at.registry.repository("shop/web")
    at.shop.create(spec(at.registry.host))
    return await at.says("Ready", "False", "NoTags")


async def _unreachable(at: Counter) -> Json:
    at.registry.behave(fail=500)
    at.shop.create(spec(at.registry.host))
    return await at.shop.until(lambda policy: "Reconciling" in true_types(policy))


async def _not_found(at: Counter) -> Json:
    at.shop.create(spec(at.registry.host))
    return await at.says("Stalled", "True", "RepositoryNotFound")


async def _awaits(at: Counter) -> Json:
    at.push("v1.0.0")
    at.shop.create(spec(at.registry.host, bootstrap="Hold"))
    return await at.says("Ready", "False", "ApprovalRequired")


async def _suspended(at: Counter) -> Json:
    await at.selects("v1.0.0")
    at.shop.edit(suspend=True)
    return await at.says("Ready", "True", "Suspended")


PLAYS: Final[Mapping[str, Play]] = {
    "imagepolicy-selected": _selected,
    "imagepolicy-below-high-water": _below,
    "imagepolicy-ordering-changed": _reordered,
    "imagepolicy-pending": _pending,
    "imagepolicy-rolled-back": _rolled_back,
    "imagepolicy-scan-failed": _scan_failed,
    "imagepolicy-no-tags": _no_tags,
    "imagepolicy-unreachable": _unreachable,
    "imagepolicy-repository-not-found": _not_found,
    "imagepolicy-awaits-approval": _awaits,
    "imagepolicy-suspended": _suspended,
}
