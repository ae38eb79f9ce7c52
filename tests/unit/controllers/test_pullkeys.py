"""The keys of a Pod: whose list counts, in which order they are tried, and what is said of those that are not there."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.cluster.memory_api import MemoryApi, status

from pawl.api.errors import Retry, Stalled
from pawl.cluster.calls import Answer, Request
from pawl.cluster.client import Options
from pawl.cluster.secrets import SecretReader
from pawl.controllers.pullkeys import Key, PodKeys, Puller, PullKeys
from pawl.decide.reference import Repository
from pawl.registry.credentials import Credentials, parse_dockerconfigjson

PASSWORD = "hunter-two"
HOST = "registry.example.com"
WEB = Repository(HOST, "shop/web")
PULL = "kubernetes.io/dockerconfigjson"


def auths(user: str, *places: str) -> dict[str, Any]:
    auth = base64.b64encode(f"{user}:{PASSWORD}".encode()).decode()
    return {place: {"auth": auth} for place in places or (HOST,)}


class Stage:
    def __init__(self) -> None:
        self.api = MemoryApi()
        self.code = 0
        self.keys = PullKeys(SecretReader(self.api.cluster(self.hook, Options(tries=1)), ttl=0))

    async def hook(self, _request: Request) -> Answer | None:
        return status(self.code, "Forbidden" if self.code == 403 else "Busy", "no") if self.code else None

    def put(self, name: str, key: str, value: bytes, type_: str) -> None:
        data = {key: base64.b64encode(value).decode()}
        self.api.put(f"/api/v1/namespaces/shop/secrets/{name}", {"metadata": {}, "type": type_, "data": data})

    def secret(self, name: str, user: str, *places: str) -> None:
        self.put(name, ".dockerconfigjson", json.dumps({"auths": auths(user, *places)}).encode(), PULL)

    def account(self, name: str, *secrets: str) -> None:
        refs = [{"name": secret} for secret in secrets]
        self.api.put(f"/api/v1/namespaces/shop/serviceaccounts/{name}", {"metadata": {}, "imagePullSecrets": refs})

    async def of(self, *own: str, added: tuple[str, ...] = (), account: str = "default") -> PodKeys:
        return await self.keys.of(Puller("shop", own, added, account))

    async def names(self, *own: str, **more: Any) -> list[str]:
        return [key.secret for key in (await self.of(*own, **more)).fitting(WEB)]


@pytest.fixture
def stage() -> Stage:
    stage = Stage()
    for name in ("own", "added", "account"):
        stage.secret(name, f"user-of-{name}")
    stage.account("default", "account")
    stage.account("bare")
    return stage


WHOSE: dict[str, tuple[tuple[str, ...], tuple[str, ...], str, list[str]]] = {
    "the account's where the Pod has none": ((), (), "default", ["account"]),
    "no account named is default": ((), (), "", ["account"]),
    "the Pod's switch the account's off": (("own",), (), "default", ["own"]),
    "added to the account's": ((), ("added",), "default", ["account", "added"]),
    "added to the Pod's": (("own",), ("added",), "default", ["own", "added"]),
    "added alone": ((), ("added",), "bare", ["added"]),
    "named twice, tried once": (("own",), ("own", "added"), "default", ["own", "added"]),
    "a list of empty names is a list": (("",), ("added",), "default", ["added"]),
    "nobody": ((), (), "bare", []),
}


@pytest.mark.parametrize(("own", "added", "account", "names"), WHOSE.values(), ids=WHOSE.keys())
async def test_whose_list_counts(
    stage: Stage, own: tuple[str, ...], added: tuple[str, ...], account: str, names: list[str]
) -> None:
    assert await stage.names(*own, added=added, account=account) == names


async def test_the_account_is_not_read_where_it_does_not_count(stage: Stage) -> None:
    await stage.of("own")
    assert [request.name for request in stage.api.requests] == ["own"]


async def test_the_most_specific_entry_goes_first_then_the_order_of_the_list(stage: Stage) -> None:
    stage.secret("deep", "deep", f"{HOST}/shop")
    stage.secret("elsewhere", "elsewhere", "other.example.com")
    assert await stage.names("elsewhere", "own", "added", "deep") == ["deep", "own", "added"]


async def test_equal_credentials_are_tried_once(stage: Stage) -> None:
    for name in ("first", "third"):
        stage.secret(name, "same")
    assert await stage.names("first", "own", "third") == ["first", "own"]


async def test_what_does_not_exist_is_passed_over_and_named(stage: Stage) -> None:
    keys = await stage.of("gone", "own")
    assert keys.absent == ("Secret gone",)
    assert [key.secret for key in keys.fitting(WEB)] == ["own"]
    assert (await stage.of(account="nobody")).absent == ("ServiceAccount nobody",)
    stage.account("default", "gone", "account")
    assert (await stage.of()).absent == ("Secret gone",)


async def test_the_older_form_is_read_too(stage: Stage) -> None:
    stage.put("old", ".dockercfg", json.dumps(auths("veteran")).encode(), "kubernetes.io/dockercfg")
    found = (await stage.of("old")).fitting(WEB)
    assert [key.credentials.username for key in found] == ["veteran"]


@pytest.mark.parametrize(
    ("key", "type_"),
    [(".dockerconfigjson", "Opaque"), (".dockercfg", PULL), (".dockerconfigjson", "kubernetes.io/dockercfg")],
)
async def test_another_type_is_no_key_and_no_fault(stage: Stage, key: str, type_: str) -> None:
    stage.put("odd", key, b"not json at all", type_)
    keys = await stage.of("odd")
    assert (keys.fitting(WEB), keys.absent) == ((), ())


@pytest.mark.parametrize(
    ("key", "type_", "value"),
    [
        (".dockerconfigjson", PULL, PASSWORD),
        (".dockercfg", "kubernetes.io/dockercfg", PASSWORD),
        (".dockerconfigjson", PULL, json.dumps({"auths": {HOST: {"auth": PASSWORD}}})),
    ],
)
async def test_a_secret_on_which_the_kubelet_fails_fails_here(stage: Stage, key: str, type_: str, value: str) -> None:
    stage.put("broken", key, value.encode(), type_)
    with pytest.raises(Stalled, match="Secret broken: ") as caught:
        await stage.of("broken", "own")
    assert caught.value.reason == "SecretInvalid"
    assert PASSWORD not in str(caught.value)


async def test_missing_rights_and_failures_are_no_absence(stage: Stage) -> None:
    for own in (("own",), ()):
        stage.code = 403
        with pytest.raises(Stalled) as caught:
            await stage.of(*own)
        assert caught.value.reason == "MissingRight"
        stage.code = 503
        with pytest.raises(Retry):
            await stage.of(*own)


async def test_fingerprints_are_equal_for_equal_credentials_only(stage: Stage) -> None:
    stage.secret("twin", "user-of-own")
    stage.secret("wide", "user-of-own", HOST, "other.example.com")
    own = (await stage.of("own")).fingerprint(WEB)
    assert {(await stage.of(name)).fingerprint(WEB) for name in ("twin", "wide")} == {own}
    others = [await stage.of("added"), await stage.of("own", "added"), await stage.of(account="bare")]
    assert len({own, *(keys.fingerprint(WEB) for keys in others)}) == 4
    assert (await stage.of("wide")).fingerprint(Repository("other.example.com", "x")) == own


async def test_nothing_shows_a_password(stage: Stage) -> None:
    keys = await stage.of("own", "gone")
    for text in (repr(keys), str(keys.fitting(WEB)), keys.fingerprint(WEB)):
        assert PASSWORD not in text
    assert repr(keys) == "PodKeys(shop, secrets=['own'], absent=['Secret gone'])"


def _keys(users: list[str]) -> PodKeys:
    rings = [parse_dockerconfigjson(json.dumps({"auths": auths(user)}).encode()) for user in users]
    return PodKeys("shop", tuple((f"s{index}", ring) for index, ring in enumerate(rings)))


@given(st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=8))
def test_order_is_that_of_first_mention(users: list[str]) -> None:
    """What dict.fromkeys says of the users is what a node tries."""
    found: tuple[Key, ...] = _keys(users).fitting(WEB)
    assert [key.credentials.username for key in found] == list(dict.fromkeys(users))
    assert [key.secret for key in found] == [f"s{users.index(user)}" for user in dict.fromkeys(users)]


def test_a_key_hides_its_credentials() -> None:
    assert PASSWORD not in repr(Key("s", Credentials("robot", PASSWORD)))
