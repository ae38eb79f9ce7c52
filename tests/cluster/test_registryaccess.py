"""The access of a registry on a real API server and a real registry: made once, turned in time, never another's."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.installed import CRDS, install
from tests.cluster.registrystage import NOW, Stage, stage
from tests.support.registries import filesystem, registry_on

from pawl.cluster.certificates import lacking, new_authority, new_pair
from pawl.decide.access import AccessFacts

__all__ = ["stage"]

pytestmark = pytest.mark.cluster


def authorities(facts: AccessFacts) -> set[str]:
    return set(facts.ca.split("-----BEGIN CERTIFICATE-----"))


async def test_everything_is_made_once_and_then_there_is_silence(stage: Stage) -> None:
    storage, keeper = stage.storage(), stage.keeper()
    facts = await keeper.keep(storage, NOW)
    service = stage.api.get(f"api/v1/namespaces/{stage.namespace}/services/main-registry").body
    address = service["spec"]["clusterIP"]
    assert (facts.address, facts.blocked, facts.warning) == (f"{address}:5000", "", "")
    assert service["metadata"]["ownerReferences"][0]["name"] == "main"
    served = stage.secret("main-registry-tls")
    assert served is not None
    names = (address, "main-registry", facts.server_name, f"main-registry.{stage.namespace}.svc.cluster.local")
    assert lacking(served["tls.crt"].encode(), names) == ()
    assert served["ca.crt"] == facts.ca
    pull = stage.secret("main-pull")
    assert pull is not None
    auths = json.loads(pull[".dockerconfigjson"])["auths"]
    assert auths[facts.address]["password"] == facts.password
    for hidden in (facts.password, facts.token, served["tls.key"]):
        assert hidden
        assert hidden not in repr(facts)
    stage.writes.clear()
    assert await keeper.keep(storage, NOW + timedelta(minutes=1)) == facts
    assert await stage.keeper().keep(storage, NOW + timedelta(minutes=2)) == facts
    assert stage.writes == []


async def test_secrets_of_nobody_are_taken_over_with_what_is_in_them(stage: Stage) -> None:
    storage, keeper = stage.storage(), stage.keeper()
    first = await keeper.keep(storage, NOW)
    secrets = f"api/v1/namespaces/{stage.namespace}/secrets"
    names = ["internal", "tls", "users", "htpasswd"]
    for name in names:
        assert stage.api.merge(f"{secrets}/main-registry-{name}", {"metadata": {"ownerReferences": None}}).ok
    assert await keeper.keep(storage, NOW) == first
    for name in names:
        (owner,) = stage.api.get(f"{secrets}/main-registry-{name}").body["metadata"]["ownerReferences"]
        assert (owner["uid"], owner["controller"]) == (storage.metadata.uid, True)


async def test_a_new_host_is_served_with_the_same_authority(stage: Stage) -> None:
    keeper = stage.keeper()
    before = await keeper.keep(stage.storage(), NOW)
    after = await keeper.keep(stage.storage(access={"host": "images.corp:5000"}), NOW)
    assert (after.address, after.ca) == ("images.corp:5000", before.ca)
    auths = json.loads((stage.secret("main-pull") or {})[".dockerconfigjson"])["auths"]
    assert {before.address, after.address} <= set(auths), "images that are named by the old address are pulled on"
    assert after.tls_version != before.tls_version
    served = stage.secret("main-registry-tls")
    assert served is not None
    assert lacking(served["tls.crt"].encode(), ("images.corp",)) == ()


async def test_an_authority_is_published_for_a_day_before_it_signs(stage: Stage) -> None:
    storage, keeper = stage.storage(), stage.keeper()
    first = await keeper.keep(storage, NOW)
    late = NOW + timedelta(days=4 * 365 + 1)
    published = await keeper.keep(storage, late)
    assert published.ca.count("BEGIN") == 2
    signed = stage.secret("main-registry-tls")
    assert signed is not None
    # Nobody wrote the authorities where clients read them: the day has passed, and nothing is turned.
    waiting = await keeper.keep(storage, late + timedelta(hours=25))
    assert (waiting.tls_version, waiting.ca) == (published.tls_version, published.ca)
    head = {"name": "main-registry-ca", "namespace": stage.namespace}
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": head, "data": {"ca.crt": published.ca}}
    assert stage.api.post(f"api/v1/namespaces/{stage.namespace}/configmaps", body).ok
    # Only now clients can read them, so their day begins anew.
    soon = await keeper.keep(storage, late + timedelta(hours=48))
    assert soon.tls_version == published.tls_version
    turned = await keeper.keep(storage, late + timedelta(hours=50))
    assert turned.tls_version not in (published.tls_version, first.tls_version)
    assert authorities(turned) == authorities(published), "nothing new is to be trusted"


async def test_two_passwords_hold_while_one_follows_the_other(stage: Stage, tmp_path: Path) -> None:
    storage, keeper = stage.storage(access={"users": {"rotateEvery": "48h"}}), stage.keeper()
    file = tmp_path / "htpasswd"

    async def at(hours: float) -> AccessFacts:
        facts = await keeper.keep(storage, NOW + timedelta(hours=hours))
        file.write_text((stage.secret("main-registry-htpasswd") or {})["htpasswd"])
        return facts

    first = await at(0)
    with registry_on(filesystem(tmp_path / "store"), auth=file) as server:
        old = f"{first.username}:{first.password}"
        assert stage.login(server.host, old) == 200
        assert stage.login(server.host, "pawl-a:wrong") == 401
        coming = await at(48)
        assert coming.password == first.password, "a server may not know the new one yet"
        assert coming.due == NOW + timedelta(hours=48, minutes=10)
        both = await at(48.2)
        new = f"{both.username}:{both.password}"
        assert new != old
        assert (stage.login(server.host, old), stage.login(server.host, new)) == (200, 200)
        pull = stage.secret("main-pull") or {}
        assert both.password in pull[".dockerconfigjson"]
        await at(48.2 + 24)
        assert (stage.login(server.host, old), stage.login(server.host, new)) == (401, 200)


async def test_users_of_a_secret_are_followed_and_a_broken_one_locks_nobody_out(stage: Stage, tmp_path: Path) -> None:
    storage, keeper = stage.storage(access={"users": {"secretRef": {"name": "people"}}}), stage.keeper()
    file = tmp_path / "htpasswd"

    async def look() -> AccessFacts:
        facts = await keeper.keep(storage, NOW)
        file.write_text((stage.secret("main-registry-htpasswd") or {})["htpasswd"])
        return facts

    assert "does not exist" in (await look()).warning
    stage.put("people", {"ann": "one", "zoe": "two"})
    with registry_on(filesystem(tmp_path / "store"), auth=file) as server:
        assert (await look()).warning == ""
        assert [stage.login(server.host, user) for user in ("ann:one", "zoe:two", "ann:two")] == [200, 200, 401]
        written = file.read_text()
        await look()
        assert file.read_text() == written, "a hash is made anew only for a new password"
        stage.put("people", {"ann": "three"})
        await look()
        assert [stage.login(server.host, user) for user in ("ann:three", "ann:one", "zoe:two")] == [200, 401, 401]
        stage.put("people", {"ann": "x" * 80})
        found = await look()
        assert "80 bytes" in found.warning
        assert "xxx" not in found.warning
        assert stage.login(server.host, "ann:three") == 200
        assert stage.login(server.host, f"{found.username}:{found.password}") == 200


async def test_nobody_logs_in_where_that_is_said(stage: Stage) -> None:
    facts = await stage.keeper().keep(stage.storage(access={"users": {"disabled": True}}), NOW)
    assert (facts.users_secret, facts.htpasswd_secret, facts.pull_secret, facts.password) == ("", "", "", "")
    assert stage.secret("main-registry-users") is None


@pytest.mark.parametrize(
    ("values", "sentence"),
    [(None, "does not exist"), ({"tls.crt": "junk", "tls.key": "junk"}, "no key with its certificate")],
)
async def test_a_certificate_that_cannot_be_used_blocks(stage: Stage, values: Any, sentence: str) -> None:
    if values is not None:
        stage.put("mine", values)
    facts = await stage.keeper().keep(stage.storage(access={"tls": {"secretRef": {"name": "mine"}}}), NOW)
    assert sentence in facts.blocked
    assert f"{stage.namespace}/mine" in facts.blocked


async def test_a_certificate_of_the_users_is_served_as_it_is(stage: Stage) -> None:
    authority = new_authority("corp", NOW, timedelta(days=9))
    pair = new_pair(authority, ["*.corp"], NOW, timedelta(days=5))
    values = {"tls.crt": pair.certificate.decode(), "tls.key": pair.key.decode()}
    stage.put("mine", {**values, "ca.crt": authority.certificate.decode()}, kind="kubernetes.io/tls")
    keeper, given = stage.keeper(), {"tls": {"secretRef": {"name": "mine"}}}
    facts = await keeper.keep(stage.storage(access={**given, "host": "images.corp"}), NOW)
    assert (facts.tls_secret, facts.ca, facts.server_name, facts.warning) == (
        "mine",
        authority.certificate.decode(),
        "images.corp",
        "",
    )
    other = await keeper.keep(stage.storage(access={**given, "host": "images.other"}), NOW)
    assert "not good for images.other" in other.warning
    assert stage.secret("main-registry-tls") is None


async def test_what_pawl_did_not_make_is_left_alone(stage: Stage) -> None:
    stage.put("main-registry-tls", {"tls.crt": "theirs"})
    facts = await stage.keeper().keep(stage.storage(), NOW)
    assert "main-registry-tls exists and was not made by Pawl" in facts.blocked
    assert stage.secret("main-registry-tls") == {"tls.crt": "theirs"}


async def test_a_bucket_without_its_keys_blocks_and_new_keys_are_seen(stage: Stage) -> None:
    given = {"s3": {"bucket": "images", "credentialsSecretRef": {"name": "keys"}}}
    storage, keeper = stage.storage(storage=given), stage.keeper()
    assert f"Secret {stage.namespace}/keys does not exist" in (await keeper.keep(storage, NOW)).blocked
    stage.put("keys", {"accessKey": "a", "secretKey": "b"})
    first = await keeper.keep(storage, NOW)
    assert (first.blocked, first.missing) == ("", ())
    stage.put("keys", {"accessKey": "a", "secretKey": "c"})
    assert (await keeper.keep(storage, NOW)).store_versions != first.store_versions


CERTIFICATES = "apis/cert-manager.io/v1"
"""Of a definition that stands in for cert-manager's: what is asked for matters here, not who answers."""


def certificate_kind() -> Any:
    names = {"kind": "Certificate", "plural": "certificates", "singular": "certificate"}
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "certificates.cert-manager.io"},
        "spec": {"group": "cert-manager.io", "names": names, "scope": "Namespaced", "versions": [version]},
    }


async def test_cert_manager_is_asked_and_waited_for(stage: Stage) -> None:
    given = {"tls": {"issuerRef": {"name": "corp"}}, "host": "images.corp"}
    storage, keeper = stage.storage(access=given), stage.keeper()
    assert "needs cert-manager, which is not there" in (await keeper.keep(storage, NOW)).blocked
    kind = install(stage.api, certificate_kind())
    try:
        waiting = await keeper.keep(storage, NOW)
        assert "cert-manager has not made Secret" in waiting.blocked
        asked = stage.api.get(f"{CERTIFICATES}/namespaces/{stage.namespace}/certificates/main-registry-tls").body[
            "spec"
        ]
        assert (asked["secretName"], asked["issuerRef"]["name"]) == ("main-registry-tls", "corp")
        assert "images.corp" in asked["dnsNames"]
        authority = new_authority("corp", NOW, timedelta(days=9))
        pair = new_pair(authority, ["images.corp"], NOW, timedelta(days=5))
        values = {"tls.crt": pair.certificate.decode(), "tls.key": pair.key.decode()}
        stage.put("main-registry-tls", {**values, "ca.crt": authority.certificate.decode()}, kind="kubernetes.io/tls")
        facts = await keeper.keep(storage, NOW)
        assert (facts.blocked, facts.tls_secret, facts.ca) == ("", "main-registry-tls", authority.certificate.decode())
    finally:
        stage.api.delete(f"{CRDS}/{kind}")
