"""The sandbox's own certificate authorities and the certificates that they sign. In memory; `state` and callers store.

ECDSA P-256 throughout: a full set takes milliseconds where RSA takes seconds. The authorities live only as long as the
sandbox and are known to nothing outside it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFETIME = timedelta(days=365)
SKEW = timedelta(hours=1)
"""Certificates are valid from a little earlier, for clocks that were set back."""


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def cert_pem(self) -> bytes:
        """The certificate as PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The private key as PEM, not encrypted: store it with mode 0600."""
        return private_pem(self.key)


def new_key() -> ec.EllipticCurvePrivateKey:
    """A fresh P-256 key."""
    return ec.generate_private_key(ec.SECP256R1())


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A private key as PEM in the form that Kubernetes reads."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def public_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The public half as PEM."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form)


def authority(name: str, now: datetime | None = None) -> Pair:
    """A self-signed certificate authority called `name`."""
    key = new_key()
    subject = _subject(name, ())
    builder = _builder(subject, subject, key, now).add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
    builder = builder.add_extension(_usage(signs_certificates=True), True)
    return Pair(builder.sign(key, hashes.SHA256()), key)


def server(ca: Pair, name: str, hosts: Sequence[str], now: datetime | None = None) -> Pair:
    """A certificate for a server reached under `hosts` (names and addresses); valid for its own client calls too."""
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    names = x509.SubjectAlternativeName([_host(host) for host in hosts])
    return _signed(ca, _subject(name, ()), usages, names, now)


def client(ca: Pair, user: str, groups: Sequence[str] = (), now: datetime | None = None) -> Pair:
    """A certificate that the API server reads as `user` in `groups`."""
    return _signed(ca, _subject(user, groups), [ExtendedKeyUsageOID.CLIENT_AUTH], None, now)


def _signed(
    ca: Pair,
    subject: x509.Name,
    usages: Sequence[x509.ObjectIdentifier],
    names: x509.SubjectAlternativeName | None,
    now: datetime | None,
) -> Pair:
    key = new_key()
    builder = _builder(subject, ca.certificate.subject, key, now)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
    builder = builder.add_extension(_usage(signs_certificates=False), True)
    builder = builder.add_extension(x509.ExtendedKeyUsage(usages), False)
    # Python 3.13 verifies strictly and refuses a leaf without this link to its authority.
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca.key.public_key())
    builder = builder.add_extension(issuer, False)
    if names:
        builder = builder.add_extension(names, False)
    return Pair(builder.sign(ca.key, hashes.SHA256()), key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime | None
) -> x509.CertificateBuilder:
    begin = (now or datetime.now(UTC)) - SKEW
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(begin).not_valid_after(begin + LIFETIME)
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)


def _subject(name: str, groups: Sequence[str]) -> x509.Name:
    organizations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*organizations, x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
