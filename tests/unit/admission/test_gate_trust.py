"""How certificates change: what is trusted meanwhile, and when a new one may be served."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import pytest
from tests.unit.controllers.override_doubles import MemoryApi

from pawl.admission.certificates import SECRET_NAME, Bundle, new_bundle, read_bundle
from pawl.admission.install import OVERLAP, ClusterGate
from pawl.admission.trust import MAX_OLD, blocks, joined, may_serve, merged
from pawl.admission.webhookconfig import Endpoint, read_webhook, webhook_manifest
from pawl.api.errors import Stalled
from pawl.cluster.client import Cluster, Options

NOW = datetime(2026, 5, 1, tzinfo=UTC)
HOST = ["pawl-webhook.pawl-system.svc"]
OLD, NEW, OTHER, LAST = (new_bundle(HOST, NOW) for _ in range(4))


def test_certificates_are_told_apart_by_their_content_alone() -> None:
    text = OLD.authorities.decode()
    folded = "\n".join(["Issuer: somebody", text.replace("\n", "\r\n"), text])
    assert blocks(folded.encode()) == blocks(OLD.authorities)
    assert joined(blocks(OLD.authorities)) == OLD.authorities
    assert blocks(b"nonsense") == ()


def test_old_authorities_stand_behind_our_own_and_are_bounded() -> None:
    assert blocks(merged(NEW.authorities, OLD.authorities)) == (*blocks(NEW.authorities), *blocks(OLD.authorities))
    live = OLD.authorities + OTHER.authorities + LAST.authorities
    assert len(blocks(merged(NEW.authorities, live))) == 1 + MAX_OLD
    both = merged(NEW.authorities, OLD.authorities)
    assert merged(NEW.authorities, both) == both


@pytest.mark.parametrize(
    ("live", "may"),
    [
        (None, True),  # nobody asks
        (OLD.authorities, False),  # the new one would be refused
        (NEW.authorities + OLD.authorities, True),
        (NEW.authorities, True),
        (OTHER.authorities, True),  # the present one is refused already
        (b"", True),
    ],
)
def test_a_new_certificate_is_served_once_it_is_trusted(live: bytes | None, may: bool) -> None:  # noqa: FBT001
    assert may_serve(NEW.authorities, OLD.authorities, live) is may


def test_a_renewal_by_pawl_waits_for_its_own_authority_though_the_old_one_is_in_its_bundle() -> None:
    renewed = new_bundle(HOST, NOW, OLD.authorities)
    assert not may_serve(renewed.authorities, OLD.authorities, OLD.authorities)
    assert may_serve(renewed.authorities, OLD.authorities, merged(renewed.authorities, OLD.authorities))


def test_an_old_authority_goes_when_no_replica_can_serve_it_any_more() -> None:
    at = [0.0]
    gate = ClusterGate(Cluster(MemoryApi(("shop",)).view()), "own", lambda: None, clock=lambda: at[0])
    both = merged(NEW.authorities, OLD.authorities)
    assert gate._trusted(NEW.authorities, OLD.authorities) == both
    at[0] = OVERLAP - 1
    assert gate._trusted(NEW.authorities, both) == both
    at[0] = OVERLAP
    assert gate._trusted(NEW.authorities, both) == NEW.authorities
    assert gate._trusted(NEW.authorities, NEW.authorities) == NEW.authorities
    assert gate._trusted(OTHER.authorities, NEW.authorities) == merged(OTHER.authorities, NEW.authorities)


def test_what_the_api_server_trusts_is_read_from_all_webhooks() -> None:
    document = webhook_manifest("own", Endpoint("pawl-webhook", OLD.authorities))
    found = read_webhook(json.dumps(document).encode())
    assert (found.state, found.trusted, found.service) == ("filled", OLD.authorities, ("own", "pawl-webhook"))
    document["webhooks"][1]["clientConfig"]["caBundle"] = base64.b64encode(NEW.authorities).decode()
    assert read_webhook(json.dumps(document).encode()).trusted == b""
    assert read_webhook(b'{"webhooks":null}').state == "empty"


async def stored(**values: bytes) -> Bundle:
    api = MemoryApi(("own",))
    cluster = Cluster(api.view(), Options(tries=1))
    from pawl.cluster.resources import SECRETS

    data = {name.replace("_", "."): base64.b64encode(value).decode() for name, value in values.items()}
    if data:
        await cluster.create(SECRETS, "own", {"metadata": {"name": SECRET_NAME, "namespace": "own"}, "data": data})
    return await read_bundle(cluster, "own")


async def test_a_foreign_secret_is_read_with_what_it_trusts() -> None:
    full = await stored(tls_crt=NEW.certificate, tls_key=NEW.key, ca_crt=NEW.authorities)
    assert full == NEW
    chain = await stored(tls_crt=NEW.certificate + NEW.authorities, tls_key=NEW.key)
    assert blocks(chain.authorities) == blocks(NEW.authorities)
    alone = await stored(tls_crt=NEW.certificate, tls_key=NEW.key, ca_crt=b"")
    assert blocks(alone.authorities) == blocks(NEW.certificate)
    assert full.lacks([*HOST, "other.svc"]) == ("other.svc",)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({}, "Secret own/pawl-webhook does not exist"),
        ({"tls_crt": NEW.certificate}, "mend it"),
        ({"tls_crt": NEW.certificate, "tls_key": OLD.key}, "mend it"),
        ({"tls_crt": b"x", "tls_key": NEW.key}, "mend it"),
        ({"tls_crt": NEW.certificate, "tls_key": NEW.key, "ca_crt": b"x"}, "mend it"),
    ],
)
async def test_a_foreign_secret_that_cannot_be_used_is_named(values: dict[str, bytes], says: str) -> None:
    with pytest.raises(Stalled, match="own/pawl-webhook") as refused:
        await stored(**values)
    assert says in str(refused.value)
    assert "PRIVATE" not in str(refused.value)
