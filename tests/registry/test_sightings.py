"""Sightings and explanations against a registry over sockets: what is asked, with which keys, and what is said."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from tests.support.registry import Auth, FakeRegistry
from tests.support.registry_client import HERE, Clock, Names, new_client
from tests.support.tls import Authority
from tests.unit.cluster.memory_api import MemoryApi

from pawl.cluster.secrets import SecretReader
from pawl.controllers.explain import Explainer, Foreign, Knowledge
from pawl.controllers.pullkeys import Puller, PullKeys
from pawl.controllers.sightings import Sighting, Sightings, Wish
from pawl.controllers.sightings_ask import Manifests
from pawl.registry.addresses import NetworkPolicy
from pawl.registry.client import RegistryClient

pytestmark = pytest.mark.registry

PASSWORD = "hunter-two"
AMD, ARM = frozenset({"linux/amd64"}), frozenset({"linux/amd64", "linux/arm64"})
BOTH = ("linux/amd64", "linux/arm64")


class Stage:
    """A registry, the Secrets of namespace shop, and eyes on them."""

    def __init__(self, registry: FakeRegistry, client: RegistryClient, policy: NetworkPolicy = HERE) -> None:
        self.registry = registry
        self.api = MemoryApi()
        self.clock = Clock()
        keys, manifests = PullKeys(SecretReader(self.api.cluster(), ttl=0)), Manifests(client, policy)
        self.eyes = Sightings(keys, manifests, self.clock)
        self.explainer = Explainer(keys, manifests, self.clock)
        self.account()

    def account(self, *secrets: str, namespace: str = "shop") -> None:
        refs = [{"name": name} for name in secrets]
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/default"
        self.api.put(path, {"metadata": {}, "imagePullSecrets": refs})

    def secret(self, name: str, user: str, password: str = PASSWORD, namespace: str = "shop") -> None:
        auth = base64.b64encode(f"{user}:{password}".encode()).decode()
        raw = json.dumps({"auths": {self.registry.host: {"auth": auth}}}).encode()
        data = {".dockerconfigjson": base64.b64encode(raw).decode()}
        body = {"metadata": {}, "type": "kubernetes.io/dockerconfigjson", "data": data}
        self.api.put(f"/api/v1/namespaces/{namespace}/secrets/{name}", body)

    def image(self, rest: str) -> str:
        return f"{self.registry.host}/{rest}"

    async def see(self, rest: str, platforms: frozenset[str] = AMD, not_before: float = 0.0, **wish: Any) -> Sighting:
        return await self.eyes.see(Wish("shop", self.image(rest), platforms=platforms, **wish), not_before)

    def child(self, repo: str, platform: str) -> tuple[str, str]:
        """Digest of the manifest and of the config of a platform."""
        for digest, (_, body) in self.registry.repositories[repo].manifests.items():
            config = json.loads(body).get("config")
            if config and _platform(self.registry.repositories[repo].blobs[config["digest"]]) == platform:
                return digest, config["digest"]
        raise AssertionError(platform)


def _platform(config: bytes) -> str:
    said = json.loads(config)
    return f"{said['os']}/{said['architecture']}"


@pytest.fixture
async def stage(client: RegistryClient) -> AsyncIterator[Stage]:
    async with FakeRegistry() as registry:
        stage = Stage(registry, client)
        yield stage
        await stage.eyes.aclose()
        await stage.explainer.aclose()


async def test_an_index_is_followed_to_the_platforms_of_the_nodes(stage: Stage) -> None:
    digest = stage.registry.push("web", "v1", BOTH)
    seen = await stage.see("web:v1", ARM)
    children = {platform: stage.child("web", platform) for platform in BOTH}
    assert (seen.ok, seen.reason, seen.message, seen.digest) == (True, "PreflightPassed", "", digest)
    assert seen.platforms == {platform: child for platform, (child, _) in children.items()}
    assert seen.configs == {platform: config for platform, (_, config) in children.items()}


async def test_only_the_children_that_are_needed_are_read(stage: Stage) -> None:
    stage.registry.push("web", "v1", [*BOTH, "linux/s390x"])
    await stage.see("web:v1")
    assert len(stage.registry.asked("/manifests/")) == 2
    assert stage.registry.asked("/blobs/") == []


async def test_an_image_in_no_index_says_its_platform_in_its_config(stage: Stage) -> None:
    digest = stage.registry.push("web", "v1", single=True)
    manifest, config = stage.child("web", "linux/amd64")
    seen = await stage.see("web:v1")
    assert (seen.ok, seen.digest, manifest) == (True, digest, digest)
    assert (seen.platforms, seen.configs) == ({"linux/amd64": digest}, {"linux/amd64": config})
    assert (await stage.see("web:v1", ARM)).reason == "PlatformMismatch"


async def test_five_hundred_deployments_in_fifty_namespaces_ask_once(stage: Stage) -> None:
    stage.registry.auth = Auth("basic", {"robot": PASSWORD})
    stage.registry.push("web", "v1", BOTH)
    for number in range(50):
        stage.secret("regcred", "robot", namespace=f"ns-{number}")
    wishes = [Wish(f"ns-{n % 50}", stage.image("web:v1"), pull_secrets=("regcred",), platforms=ARM) for n in range(500)]
    seen = await asyncio.gather(*(stage.eyes.see(wish) for wish in wishes))
    assert all(each.ok for each in seen)
    answered = [r for r in stage.registry.asked("/manifests/") if "authorization" in r.headers]
    assert len(answered) == 3


async def test_other_credentials_are_never_shown_the_answer(stage: Stage) -> None:
    stage.registry.auth = Auth("basic", {"robot": PASSWORD})
    stage.registry.push("web", "v1")
    stage.secret("regcred", "robot")
    stage.secret("stranger", "stranger")
    assert (await stage.see("web:v1", pull_secrets=("regcred",))).ok
    for names in (("stranger",), ()):
        assert (await stage.see("web:v1", pull_secrets=names)).reason == "Unauthorized"


async def test_keys_are_tried_in_turn_like_on_a_node(stage: Stage) -> None:
    stage.registry.auth = Auth("basic", {"robot": PASSWORD})
    stage.registry.push("web", "v1")
    stage.secret("stale", "robot", "old-password")
    stage.secret("fresh", "robot")
    assert (await stage.see("web:v1", pull_secrets=("stale",))).reason == "Unauthorized"
    assert (await stage.see("web:v1", pull_secrets=("stale",), added=("fresh",))).ok
    stage.account("fresh")
    assert (await stage.see("web:v1")).ok
    assert not (await stage.see("web:v1", pull_secrets=("stale",))).ok


async def test_a_refusal_says_which_secrets_were_shown_and_which_do_not_exist(stage: Stage) -> None:
    stage.registry.auth = Auth("basic", {"robot": PASSWORD})
    stage.secret("stale", "robot", "old-password")
    one = await stage.see("web:v1", pull_secrets=("stale", "gone"))
    two = await stage.see("web:v1", pull_secrets=("gone",))
    assert "shown: Secret stale; not in namespace shop: Secret gone" in one.message
    assert f"no pull Secret of the Pod fits {stage.registry.host}; not in namespace shop: Secret gone" in two.message
    assert "name a Secret in spec.pullSecrets" in two.message
    for seen in (one, two):
        assert seen.message.startswith(f"{stage.registry.host}/web:v1 for linux/amd64: ")
        assert "spec.access" not in seen.message
        assert "old-password" not in seen.message


async def test_a_missing_platform_is_named_with_what_there_is(stage: Stage) -> None:
    stage.registry.push("web", "v1", ["linux/amd64", "linux/s390x"])
    seen = await stage.see("web:v1", ARM)
    assert (seen.ok, seen.reason, seen.digest) == (False, "PlatformMismatch", "")
    assert "nodes have linux/arm64, the image is for linux/amd64, linux/s390x" in seen.message


async def test_a_mirror_that_copied_one_platform_only(stage: Stage) -> None:
    """The index names both, so only the child shows what is missing."""
    stage.registry.push("web", "v1", BOTH)
    arm, _ = stage.child("web", "linux/arm64")
    stage.registry.delete_manifest("web", arm)
    assert (await stage.see("web:v1")).ok
    seen = await stage.see("web:v1", ARM)
    assert seen.reason == "ImageMissing"
    assert f"{arm} for linux/arm64" in seen.message


async def test_a_tag_that_moves_moves_nothing(stage: Stage) -> None:
    first = stage.registry.push("web", "v1", BOTH)
    assert (await stage.see("web:v1")).digest == first
    second = stage.registry.push("web", "v1", BOTH, content="other")
    stage.clock.now += 100_000
    assert (await stage.see("web:v1", not_before=stage.clock.now)).digest == first
    assert (await stage.see("web:v1", ARM)).digest == first  # nor for nodes that came later
    assert (await stage.see("web:v1", edition="2")).digest == second
    assert (await stage.see("web:v1", edition="3", pinned=first)).digest == first


async def test_nodes_that_came_later_get_a_new_image_only_if_the_old_one_does_not_run_there(stage: Stage) -> None:
    first = stage.registry.push("web", "v1")
    assert (await stage.see("web:v1")).digest == first
    assert (await stage.see("web:v1", ARM)).reason == "PlatformMismatch"
    second = stage.registry.push("web", "v1", BOTH, content="other")
    stage.clock.now += 31
    assert (await stage.see("web:v1", ARM)).digest == second
    for platforms in (AMD, frozenset[str]()):
        assert (await stage.see("web:v1", platforms)).digest == first


async def test_a_failure_is_told_again_until_its_pause_is_over(stage: Stage) -> None:
    first = await stage.see("web:v1")
    assert (first.reason, first.again_in) == ("ImageMissing", 30.0)
    asked = len(stage.registry.requests)
    stage.registry.push("web", "v1")
    stage.clock.now += 29
    again = await stage.see("web:v1")
    assert (again, again.again_in) == (first, 1.0)
    assert len(stage.registry.requests) == asked
    stage.clock.now += 1
    assert (await stage.see("web:v1")).ok


async def test_on_demand_it_is_asked_at_once_and_once(stage: Stage) -> None:
    await stage.see("web:v1")
    stage.clock.now += 5
    asked = len(stage.registry.requests)
    seen = await asyncio.gather(*(stage.see("web:v1", not_before=stage.clock.now) for _ in range(20)))
    for _ in range(3):
        await stage.see("web:v1", not_before=stage.clock.now)
    assert len(stage.registry.requests) == asked + 1
    assert {each.again_in for each in seen} == {60.0}
    stage.registry.push("web", "v1")
    stage.clock.now += 1
    assert (await stage.see("web:v1", not_before=stage.clock.now)).ok


FAULTS: dict[str, tuple[dict[str, Any], str, str]] = {
    "403": ({"fail": 403}, "Denied", "the Pod's pull Secrets"),
    "404": ({"fail": 404}, "ImageMissing", "push or mirror it, or correct the rule's target"),
    "500": ({"fail": 500}, "Unreachable", "500"),
    "a login page": ({"html": True}, "BadAnswer", ""),
    "damaged": ({"flip": True}, "BadAnswer", "another digest"),
    "cut": ({"truncate": 5}, "Unreachable", ""),
    "too many requests": ({"fail": 429, "retry_after": "900"}, "RateLimited", "asks to slow down"),
}


@pytest.mark.parametrize(("behaviour", "reason", "words"), FAULTS.values(), ids=FAULTS.keys())
async def test_what_a_registry_may_do(stage: Stage, behaviour: dict[str, Any], reason: str, words: str) -> None:
    stage.registry.push("web", "v1")
    stage.secret("regcred", "robot")
    stage.registry.behave(**behaviour)
    seen = await stage.see("web:v1", pull_secrets=("regcred",))
    assert (seen.ok, seen.reason) == (False, reason)
    assert words in seen.message
    assert stage.registry.host in seen.message
    assert "\n" not in seen.message
    assert "spec.access" not in seen.message
    assert seen.again_in >= (800 if reason == "RateLimited" else 30)


async def test_nobody_listens(client: RegistryClient) -> None:
    async with FakeRegistry() as registry:
        stage = Stage(registry, client)
    seen = await stage.see("web:v1")
    assert (seen.reason, stage.registry.host in seen.message) == ("Unreachable", True)


async def test_tls_with_the_overrides_ca(client: RegistryClient, authority: Authority) -> None:
    async with FakeRegistry(tls=authority.server("127.0.0.1")) as registry:
        registry.push("web", "v1")
        stage = Stage(registry, client)
        assert (await stage.see("web:v1", ca=authority.pem)).ok
        assert (await stage.see("web:v1", ca=Authority().pem)).reason == "Untrusted"
        assert (await stage.see("web:v1")).reason == "Unreachable"  # loopback without a CA is spoken to plainly


async def test_plain_http_goes_to_hosts_of_the_flag_only() -> None:
    names = Names(registry_corp=[["127.0.0.1"]])
    async with FakeRegistry() as registry:
        registry.push("web", "v1")
        host = f"registry.corp:{registry.port}"
        for flag, ca, reason in (
            (host, None, "PreflightPassed"),
            (host.upper(), "ca", "PreflightPassed"),
            ("other.corp:80", None, "Untrusted"),
        ):
            policy = NetworkPolicy(deny_loopback=False, plain_http_hosts=frozenset({flag}))
            async with new_client(policy, resolve=names) as client:
                stage = Stage(registry, client, policy)
                seen = await stage.eyes.see(Wish("shop", f"{host}/web:v1", ca=ca))
                assert seen.reason == reason or (reason, seen.reason) == ("Untrusted", "Unreachable")
                assert seen.ok or f"--plain-http-hosts {host}" in seen.message


async def test_what_a_foreign_digest_is(stage: Stage) -> None:
    index = stage.registry.push("web", "v1", BOTH)
    manifest, config = stage.child("web", "linux/arm64")
    question = Foreign(Puller("shop"), stage.image("web"), index, "linux/arm64")
    for digest in (index, manifest):
        found = await stage.explainer.explain(replace(question, digest=digest))
        assert (found.knowledge, found.configs) == (Knowledge.EXPLAINED, {config})
    asked = len(stage.registry.requests)
    stage.registry.behave(fail=500)
    assert (await stage.explainer.explain(question)).configs == {config}
    assert len(stage.registry.requests) == asked
    assert stage.registry.asked("/blobs/") == []
