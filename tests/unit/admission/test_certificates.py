"""Certificates as TLS sees them, and when they are due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from pawl.admission.certificates import LIFETIME, RENEW_BEFORE, Bundle, new_bundle

NOW = datetime(2026, 5, 1, tzinfo=UTC)
HOSTS = ["pawl.pawl-system.svc", "127.0.0.1", "::1"]


def verify(bundle: Bundle, trusted: bytes, host: str, at: datetime) -> None:
    store = Store(x509.load_pem_x509_certificates(trusted))
    verifier = PolicyBuilder().store(store).time(at).build_server_verifier(x509.DNSName(host))
    verifier.verify(x509.load_pem_x509_certificate(bundle.certificate), [])


def test_a_strict_client_takes_it_for_its_names_and_its_time_only() -> None:
    bundle = new_bundle(HOSTS, NOW)
    verify(bundle, bundle.authorities, HOSTS[0], NOW)
    verify(bundle, bundle.authorities, HOSTS[0], NOW - timedelta(minutes=59))
    for host, at in ((HOSTS[0], NOW + LIFETIME), ("other.svc", NOW), (HOSTS[0], NOW - timedelta(hours=2))):
        with pytest.raises(VerificationError):
            verify(bundle, bundle.authorities, host, at)


def test_an_authority_signs_nothing_of_another() -> None:
    with pytest.raises(VerificationError):
        verify(new_bundle(HOSTS, NOW), new_bundle(HOSTS, NOW).authorities, HOSTS[0], NOW)


def test_a_renewal_is_trusted_beside_the_one_before() -> None:
    first = new_bundle(HOSTS, NOW)
    second = new_bundle(HOSTS, NOW, first.authorities)
    third = new_bundle(HOSTS, NOW, second.authorities)
    for each, count in ((first, 1), (second, 2), (third, 2)):
        assert len(x509.load_pem_x509_certificates(each.authorities)) == count
    verify(first, second.authorities, HOSTS[0], NOW)
    verify(second, third.authorities, HOSTS[0], NOW)
    with pytest.raises(VerificationError):
        verify(first, third.authorities, HOSTS[0], NOW)


def test_an_authority_that_ended_is_trusted_no_more() -> None:
    first = new_bundle(HOSTS, NOW)
    later = new_bundle(HOSTS, NOW + LIFETIME, first.authorities)
    assert len(x509.load_pem_x509_certificates(later.authorities)) == 1


@pytest.mark.parametrize(
    ("hosts", "after", "good"),
    [
        (HOSTS, timedelta(0), True),
        (HOSTS[:1], timedelta(0), True),
        (["0:0::1"], timedelta(0), True),
        ([*HOSTS, "10.0.0.1"], timedelta(0), False),
        (HOSTS, LIFETIME - RENEW_BEFORE - timedelta(hours=2), True),
        (HOSTS, LIFETIME - RENEW_BEFORE, False),
    ],
)
def test_when_it_is_due(hosts: list[str], after: timedelta, good: bool) -> None:  # noqa: FBT001
    assert new_bundle(HOSTS, NOW).serves(hosts, NOW + after) is good


def test_the_key_fits_and_stands_in_no_repr_of_the_certificate() -> None:
    bundle = new_bundle(HOSTS, NOW)
    key = serialization.load_pem_private_key(bundle.key, None)
    assert key.public_key() == x509.load_pem_x509_certificate(bundle.certificate).public_key()
    assert "PRIVATE" not in repr(bundle)
