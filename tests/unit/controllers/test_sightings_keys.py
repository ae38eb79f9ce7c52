"""Keys are tried in turn as on a node, and only where another key may help."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field

import pytest
from tests.support.registry_client import HERE

from pawl.api import errors
from pawl.api.errors import RegistryError
from pawl.controllers.pullkeys import PodKeys
from pawl.controllers.sightings_ask import Manifests, Way
from pawl.decide.reference import Repository
from pawl.registry.credentials import parse_dockerconfigjson
from pawl.registry.manifests import OCI_MANIFEST, Manifest
from pawl.registry.targets import Access

WEB = Repository("registry.corp", "web")
SEEN = Manifest("sha256:web", OCI_MANIFEST, 1, ())


@dataclass
class Guard:
    """A registry that answers each user in another way."""

    answers: dict[str, RegistryError | Manifest]
    asked: list[str] = field(default_factory=list)

    async def get_manifest(
        self, access: Access, _path: str, _reference: str, *, want_platforms: bool = False
    ) -> Manifest:
        del want_platforms
        user = access.credentials.username
        self.asked.append(user)
        answer = self.answers[user]
        if isinstance(answer, RegistryError):
            raise answer
        return answer


def way_of(guard: Guard, *users: str) -> tuple[Manifests, Way]:
    configs = [
        json.dumps({"auths": {WEB.host: {"auth": base64.b64encode(f"{user}:x".encode()).decode()}}}) for user in users
    ]
    rings = tuple(
        (f"of-{user}", parse_dockerconfigjson(raw.encode())) for user, raw in zip(users, configs, strict=True)
    )
    manifests = Manifests(guard, HERE)
    return manifests, manifests.way(WEB, PodKeys("shop", rings), None)


@pytest.mark.parametrize("refusal", [errors.Unauthorized("no"), errors.Denied("no"), errors.Missing("no")])
async def test_a_refused_key_is_followed_by_the_next(refusal: RegistryError) -> None:
    guard = Guard({"one": refusal, "two": SEEN, "three": SEEN})
    manifests, way = way_of(guard, "one", "two", "three")
    shown = await manifests.top(way, "v1")
    assert (shown.manifest, shown.access.credentials.username) == (SEEN, "two")
    assert guard.asked == ["one", "two"]


async def test_without_a_key_that_opens_the_first_refusal_is_told() -> None:
    guard = Guard({"one": errors.Denied("one"), "two": errors.Missing("two")})
    manifests, way = way_of(guard, "one", "two")
    with pytest.raises(errors.Denied, match="one"):
        await manifests.top(way, "v1")
    assert guard.asked == ["one", "two"]


@pytest.mark.parametrize(
    "failure",
    [
        errors.Unreachable("down"),
        errors.Untrusted("who"),
        errors.BadAnswer("what"),
        errors.RateLimited("slow", retry_after=1, told=True),
    ],
)
async def test_where_another_key_would_not_help_none_is_shown(failure: RegistryError) -> None:
    guard = Guard({"one": failure, "two": SEEN})
    manifests, way = way_of(guard, "one", "two")
    with pytest.raises(type(failure)):
        await manifests.top(way, "v1")
    assert guard.asked == ["one"]


async def test_without_keys_a_stranger_asks_once() -> None:
    guard = Guard({"": SEEN})
    manifests, way = way_of(guard)
    assert (await manifests.top(way, "v1")).access.credentials.anonymous
    assert guard.asked == [""]


async def test_with_keys_nobody_asks_as_a_stranger() -> None:
    """The kubelet does not fall back to anonymous pulls either."""
    guard = Guard({"one": errors.Unauthorized("no"), "": SEEN})
    manifests, way = way_of(guard, "one")
    with pytest.raises(errors.Unauthorized):
        await manifests.top(way, "v1")
