"""The life of a registry's certificate over years: a client that reads the authorities a day late never fails."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store
from tests.unit.controllers.registry_doubles import IDENTITY, ApplyingApi, registry

from pawl.cluster.certificates import Pair, fits, lacking, new_authority, new_pair
from pawl.controllers.registryaccess_secrets import Held
from pawl.controllers.registryaccess_tls import TRUSTED, Certifying, Own, carried_out, read_own, trusted
from pawl.decide.access import ServiceSeen
from pawl.decide.accesspairs import Act, act

NOW = datetime(2026, 11, 21, tzinfo=UTC)
DAY = timedelta(days=1)
SECRETS = "/api/v1/namespaces/shop/secrets"
CONFIGS = "/api/v1/namespaces/shop/configmaps"
HOSTS = ("main-registry.shop.svc", "images.corp", "10.0.0.7", "fd00::7")


def accepts(bundle: bytes, pair: Pair, now: datetime, host: str = "images.corp") -> None:
    """Verify as a TLS client does, at a moment. Raises VerificationError."""
    store = Store(x509.load_pem_x509_certificates(bundle))
    verifier = PolicyBuilder().store(store).time(now).build_server_verifier(x509.DNSName(host))
    verifier.verify(x509.load_pem_x509_certificate(pair.certificate), [])


def settled(own: Own, hosts: tuple[str, ...], now: datetime) -> tuple[Own, list[Act]]:
    """Do all that is due at a moment."""
    done: list[Act] = []
    while (due := act(own.state(hosts), now)) is not Act.KEEP:
        own = carried_out(due, own, hosts, now)
        own = replace(own, trusted=trusted(own, now))
        done.append(due)
        assert len(done) <= 3
    return own, done


def test_eleven_years_without_a_failed_handshake() -> None:
    own, done = settled(Own(), HOSTS, NOW)
    assert done == [Act.BEGIN]
    seen: list[Act] = []
    late = trusted(own, NOW)
    for day in range(0, 11 * 365, 5):
        # The client reads the authorities a day before the operator looks: it knows nothing of today.
        now, before = NOW + day * DAY, own.pair
        own, done = settled(own, HOSTS, now)
        assert own.pair is not None
        assert before is not None
        accepts(late, own.pair, now)
        accepts(trusted(own, now), before, now)
        before = own.pair
        seen += done
        own, more = settled(own, HOSTS, now + DAY)
        seen += more
        assert own.pair is not None
        # A Pod that drains uploads serves the certificate before this one for a while.
        accepts(trusted(own, now + DAY), before, now + DAY)
        accepts(late if not done else trusted(own, now), own.pair, now + DAY)
        late = trusted(own, now + DAY)
        assert late.count(b"BEGIN") <= TRUSTED
    assert seen.count(Act.PUBLISH) == seen.count(Act.TURN) == 2
    assert seen.count(Act.BEGIN) == 0
    assert seen.count(Act.SIGN) > 10


def test_a_new_name_is_served_at_once_and_asks_nobody_to_trust_anything_new() -> None:
    own, _ = settled(Own(), HOSTS[:1], NOW)
    bundle = trusted(own, NOW)
    more, done = settled(own, HOSTS, NOW)
    assert done == [Act.SIGN]
    assert more.pair is not None
    assert lacking(more.pair.certificate, HOSTS) == ()
    assert trusted(more, NOW) == bundle
    accepts(bundle, more.pair, NOW)


def test_what_somebody_broke_is_made_again_and_the_authority_is_kept_where_it_can_be() -> None:
    own, _ = settled(Own(), HOSTS, NOW)
    assert own.authority is not None
    values = {"authority.crt": own.authority.certificate, "authority.key": own.authority.key, "tls.crt": b"junk"}
    again, done = settled(read_own(Held(values=values)), HOSTS, NOW)
    assert done == [Act.SIGN]
    assert again.authority == own.authority
    stranger = new_pair(new_authority("other", NOW, DAY), HOSTS, NOW, DAY)
    assert fits(stranger)
    _, done = settled(replace(own, pair=stranger), HOSTS, NOW)
    assert done == [Act.SIGN]


def test_a_certificate_never_outlives_its_authority_and_keys_never_show() -> None:
    authority = new_authority("one", NOW, 10 * DAY)
    pair = new_pair(authority, HOSTS, NOW + 5 * DAY, 365 * DAY)
    assert pair.ends <= authority.ends
    assert "PRIVATE" not in repr(pair)
    assert not fits(Pair(pair.certificate, authority.key))


async def test_an_authority_that_was_never_handed_out_signs_nothing_until_clients_had_their_time() -> None:
    """Noted in the Secret and not published: the operator ended in between, and came back after the overlap."""
    api = ApplyingApi()
    spec, seen = registry().spec, ServiceSeen("10.0.0.7")

    async def served(now: datetime) -> str:
        return (await Certifying(api.cluster(), IDENTITY, DAY).keep(spec, seen, now)).version

    first = await served(NOW)
    renewed = await served(NOW + 4 * 365 * DAY + DAY)
    assert renewed != first
    back = NOW + 4 * 365 * DAY + 3 * DAY
    assert await served(back) == renewed, "nobody knows the next authority"
    bundle = base64.b64decode(api.objects[f"{SECRETS}/main-registry-tls"]["data"]["ca.crt"]).decode()
    assert bundle.count("BEGIN") == 2
    api.put(f"{CONFIGS}/main-registry-ca", {"metadata": {"name": "main-registry-ca"}, "data": {"ca.crt": bundle}})
    assert await served(back + timedelta(seconds=1)) == renewed, "they were told a second ago"
    assert await served(back + 2 * DAY) != renewed
