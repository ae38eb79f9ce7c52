"""From `spec.access` to a way into the registry: what is missing is named by object and key, never by value."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from tests.unit.cluster.memory_api import MemoryApi, status
from tests.unit.decide.worlds import spec

from pawl.api.errors import Retry, Stalled
from pawl.cluster.calls import Answer, Request
from pawl.cluster.client import Options
from pawl.cluster.secrets import SecretReader
from pawl.controllers.access import AccessReader
from pawl.decide.reference import parse_repository
from pawl.registry.targets import Access

PASSWORD = "hunter-two"
HOST = "registry.example.com"
PEM = "-----BEGIN CERTIFICATE-----"


def config(host: str = HOST, user: str = "robot") -> str:
    auth = base64.b64encode(f"{user}:{PASSWORD}".encode()).decode()
    return json.dumps({"auths": {host: {"auth": auth}}})


class Stage:
    def __init__(self) -> None:
        self.api = MemoryApi()
        self.code = 0
        self.reader = AccessReader(SecretReader(self.api.cluster(self.hook, Options(tries=1)), ttl=0))

    async def hook(self, _request: Request) -> Answer | None:
        return status(self.code, "Forbidden" if self.code == 403 else "Busy", "no") if self.code else None

    def secret(self, name: str, **values: str | bytes) -> None:
        raw = {
            key.replace("_", "."): value.encode() if isinstance(value, str) else value for key, value in values.items()
        }
        data = {key: base64.b64encode(value).decode() for key, value in raw.items()}
        self.api.put(f"/api/v1/namespaces/shop/secrets/{name}", {"metadata": {"name": name}, "data": data})

    def account(self, name: str, *secrets: str) -> None:
        refs = [{"name": secret} for secret in secrets]
        self.api.put(
            f"/api/v1/namespaces/shop/serviceaccounts/{name}", {"metadata": {"name": name}, "imagePullSecrets": refs}
        )

    async def resolve(self, **access: Any) -> Access:
        wish = spec(access=access, timeout="7s")
        return await self.reader.resolve("shop", wish, parse_repository(wish.image))


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def test_without_anything_it_is_anonymous_and_asks_nobody(stage: Stage) -> None:
    found = await stage.resolve()
    assert found.credentials.anonymous
    assert (found.endpoint.host, found.endpoint.timeout, found.endpoint.plain_http) == (HOST, 7.0, False)
    assert stage.api.requests == []


async def test_everything_at_once(stage: Stage) -> None:
    stage.secret("regcred", _dockerconfigjson=config())
    stage.secret("ca", ca_crt=PEM)
    found = await stage.resolve(
        pullSecretRef={"name": "regcred"}, caSecretRef={"name": "ca"}, plainHTTP=True, tokenRealms=["auth.example.com"]
    )
    assert (found.credentials.username, found.credentials.password) == ("robot", PASSWORD)
    assert (found.endpoint.ca_pem, found.endpoint.plain_http) == (PEM, True)
    assert found.endpoint.token_realms == ("auth.example.com",)
    assert PASSWORD not in repr(found)


async def test_secrets_of_an_account_in_their_order(stage: Stage) -> None:
    stage.account("builder", "other", "first", "second")
    stage.secret("other", _dockerconfigjson=config("elsewhere.example.com"))
    stage.secret("first", _dockerconfigjson=config(user="one"))
    stage.secret("second", _dockerconfigjson=config(user="two"))
    assert (await stage.resolve(serviceAccountName="builder")).credentials.username == "one"


async def test_the_named_secret_goes_before_the_account(stage: Stage) -> None:
    stage.account("builder", "of-account")
    stage.secret("of-account", _dockerconfigjson=config(user="account"))
    stage.secret("named", _dockerconfigjson=config(user="named"))
    access = {"serviceAccountName": "builder", "pullSecretRef": {"name": "named"}}
    assert (await stage.resolve(**access)).credentials.username == "named"
    stage.secret("named", _dockerconfigjson=config("elsewhere.example.com"))
    assert (await stage.resolve(**access)).credentials.username == "account"


async def test_an_account_whose_secrets_do_not_fit_is_anonymous(stage: Stage) -> None:
    """As the kubelet has it: the Secrets of an account are offers."""
    stage.account("builder")
    assert (await stage.resolve(serviceAccountName="builder")).credentials.anonymous


PULL, CA, SA = {"pullSecretRef": {"name": "s"}}, {"caSecretRef": {"name": "s"}}, {"serviceAccountName": "sa"}
FAULTS: dict[str, tuple[dict[str, str | bytes] | None, dict[str, Any], str, str]] = {
    "no secret": (None, PULL, "SecretNotFound", "Secret s does not exist in namespace shop; create it"),
    "no account": (None, SA, "ServiceAccountNotFound", "ServiceAccount sa does not exist in namespace shop; create it"),
    "other key": ({"password": PASSWORD}, PULL, "SecretInvalid", "has no key .dockerconfigjson; it has password"),
    "no keys": ({}, PULL, "SecretInvalid", "it has no keys"),
    "no json": ({"_dockerconfigjson": PASSWORD}, PULL, "SecretInvalid", "Secret s: .dockerconfigjson is not JSON"),
    "no entry": ({"_dockerconfigjson": config("other.io")}, PULL, "SecretInvalid", f"has no entry for {HOST}; add one"),
    "no ca": (None, CA, "SecretNotFound", "Secret s does not exist"),
    "no ca key": ({"tls_crt": PEM}, CA, "SecretInvalid", "has no key ca.crt; it has tls.crt"),
    "ca is binary": ({"ca_crt": b"\xff\xfe"}, CA, "SecretInvalid", "ca.crt is no PEM certificate"),
}


@pytest.mark.parametrize(("values", "access", "reason", "words"), FAULTS.values(), ids=FAULTS.keys())
async def test_faults_are_named(
    stage: Stage, values: dict[str, str | bytes] | None, access: dict[str, Any], reason: str, words: str
) -> None:
    if values is not None:
        stage.secret("s", **values)
    with pytest.raises(Stalled) as caught:
        await stage.resolve(**access)
    assert caught.value.reason == reason
    assert words in caught.value.message
    assert PASSWORD not in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("access", [PULL, CA, SA], ids=["pull secret", "ca", "account"])
async def test_missing_rights_and_failures(stage: Stage, access: dict[str, Any]) -> None:
    stage.code = 403
    with pytest.raises(Stalled) as caught:
        await stage.resolve(**access)
    assert caught.value.reason == "MissingRight"
    stage.code = 503
    with pytest.raises(Retry) as later:
        await stage.resolve(**access)
    assert later.value.reason == "Unreachable"
