"""Certificates of Pawl's own making: authorities, and what they sign. ECDSA P-256, as PEM.

Neighbours: `admission.certificates` keeps the webhook's in a Secret, `controllers.registryaccess_tls` those of
registries. Not here: when something is renewed, and where it is kept.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SKEW: Final = timedelta(hours=1)
"""Valid from a little earlier, for clocks that were set back."""
_COMMON_NAME: Final = 64
"""Characters that a common name may have."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, as PEM. The key never shows."""

    certificate: bytes
    key: bytes = field(repr=False)

    @property
    def ends(self) -> datetime:
        """When the certificate ends, in UTC."""
        return x509.load_pem_x509_certificate(self.certificate).not_valid_after_utc

    def lacks(self, hosts: Sequence[str]) -> tuple[str, ...]:
        """Return the names and addresses that it is not good for."""
        return lacking(self.certificate, hosts)

    def is_from(self, authority: bytes) -> bool:
        """Tell whether this authority has signed it."""
        try:
            own = x509.load_pem_x509_certificate(self.certificate)
            own.verify_directly_issued_by(x509.load_pem_x509_certificate(authority))
        except (ValueError, TypeError, InvalidSignature):
            return False
        return True


def new_authority(name: str, now: datetime, lifetime: timedelta) -> Pair:
    """Make an authority that signs servers and no further authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _subject(name)
    builder = _builder(subject, subject, key, ca=True)
    return Pair(pem(_valid(builder, now, lifetime).sign(key, hashes.SHA256())), _key_pem(key))


def new_pair(authority: Pair, hosts: Sequence[str], now: datetime, lifetime: timedelta, name: str = "") -> Pair:
    """Make a serving certificate for names and addresses; it never outlives its authority."""
    issuer, signer = x509.load_pem_x509_certificate(authority.certificate), _load_key(authority.key)
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(_subject(name or hosts[0]), issuer.subject, key, ca=False)
    builder = builder.add_extension(x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    known = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    builder = builder.add_extension(known, critical=False)
    room = issuer.not_valid_after_utc - (now.astimezone(UTC) - SKEW)
    return Pair(pem(_valid(builder, now, min(lifetime, room)).sign(signer, hashes.SHA256())), _key_pem(key))


def lacking(certificate: bytes, hosts: Sequence[str]) -> tuple[str, ...]:
    """Return the names and addresses that a certificate is not good for. Raises ValueError for no certificate."""
    found = x509.load_pem_x509_certificate(certificate)
    try:
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return tuple(hosts)
    return tuple(host for host in hosts if _host(host) not in names)


def fits(pair: Pair) -> bool:
    """Tell whether the key belongs to the certificate; False for what cannot be read."""
    try:
        served = x509.load_pem_x509_certificate(pair.certificate).public_key()
        key = serialization.load_pem_private_key(pair.key, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return key.public_key() == served


def alive(trusted: bytes, now: datetime) -> list[bytes]:
    """Return the certificates of a PEM text that have not ended. Raises ValueError for what is none."""
    known = x509.load_pem_x509_certificates(trusted) if trusted else []
    return [pem(each) for each in known if each.not_valid_after_utc > now]


def is_pem(text: bytes) -> bool:
    """Tell whether a text holds certificates and nothing that cannot be read."""
    try:
        return bool(x509.load_pem_x509_certificates(text))
    except ValueError:
        return False


def issuers(chain: bytes) -> bytes:
    """Return what stands behind the first certificate of a chain, the certificate itself where nothing does."""
    try:
        found = x509.load_pem_x509_certificates(chain)
    except ValueError:
        return b""
    return b"".join(map(pem, found[1:] or found))


def pem(certificate: x509.Certificate) -> bytes:
    """Return a certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:_COMMON_NAME])])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, *, ca: bool
) -> x509.CertificateBuilder:
    usage = x509.KeyUsage(not ca, False, False, False, False, ca, ca, False, False)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=0 if ca else None), critical=True)
    builder = builder.add_extension(usage, critical=True)
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)


def _valid(builder: x509.CertificateBuilder, now: datetime, lifetime: timedelta) -> x509.CertificateBuilder:
    begin = now.astimezone(UTC) - SKEW
    return builder.not_valid_before(begin).not_valid_after(begin + lifetime)


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _load_key(key: bytes) -> ec.EllipticCurvePrivateKey:
    found = serialization.load_pem_private_key(key, None)
    if not isinstance(found, ec.EllipticCurvePrivateKey):
        raise TypeError("an authority of Pawl has a key on an elliptic curve")
    return found


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    form = serialization.PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
