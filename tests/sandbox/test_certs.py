from __future__ import annotations

import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from pawl.sandbox import certs


def test_a_client_certificate_carries_user_and_groups() -> None:
    pair = certs.client(certs.authority("ca"), "anna", ["system:masters", "dev"])
    subject = pair.certificate.subject
    assert [part.value for part in subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == ["anna"]
    groups = {part.value for part in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)}
    assert groups == {"system:masters", "dev"}


def test_a_server_certificate_names_hosts_and_addresses() -> None:
    pair = certs.server(certs.authority("ca"), "api", ["localhost", "127.0.0.1"])
    names = pair.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]


def test_validity_begins_an_hour_early_and_lasts_a_year() -> None:
    now = datetime(2030, 1, 2, 3, tzinfo=UTC)
    certificate = certs.client(certs.authority("ca", now), "anna", now=now).certificate
    assert certificate.not_valid_before_utc == now - timedelta(hours=1)
    assert certificate.not_valid_after_utc == now + timedelta(days=365, hours=-1)


def test_two_authorities_do_not_vouch_for_each_other() -> None:
    one, other = certs.authority("ca"), certs.authority("ca")
    leaf = certs.client(one, "anna").certificate
    leaf.verify_directly_issued_by(one.certificate)
    with pytest.raises(ValueError, match=r"|.*"):
        leaf.verify_directly_issued_by(certs.authority("different").certificate)
    assert one.cert_pem != other.cert_pem


def test_a_strict_tls_handshake_succeeds_both_ways(tmp_path: Path) -> None:
    ca = certs.authority("ca")
    server = _context(ssl.PROTOCOL_TLS_SERVER, tmp_path / "server", ca, certs.server(ca, "api", ["localhost"]))
    server.verify_mode = ssl.CERT_REQUIRED
    client = _context(ssl.PROTOCOL_TLS_CLIENT, tmp_path / "client", ca, certs.client(ca, "anna"))
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    left, right = socket.socketpair()
    answer: list[bytes] = []

    def serve() -> None:
        with server.wrap_socket(right, server_side=True) as tls:
            answer.append(tls.recv(5))

    thread = threading.Thread(target=serve)
    thread.start()
    with client.wrap_socket(left, server_hostname="localhost") as tls:
        tls.sendall(b"hello")
        thread.join(timeout=10)
    assert answer == [b"hello"]


def _context(protocol: int, directory: Path, ca: certs.Pair, own: certs.Pair) -> ssl.SSLContext:
    directory.mkdir()
    (directory / "crt").write_bytes(own.cert_pem)
    (directory / "key").write_bytes(own.key_pem)
    context = ssl.SSLContext(protocol)
    context.load_verify_locations(cadata=ca.cert_pem.decode())
    context.load_cert_chain(directory / "crt", directory / "key")
    return context
