from __future__ import annotations

import base64

import yaml
from cryptography import x509
from cryptography.x509.oid import NameOID

from pawl.sandbox import certs
from pawl.sandbox.credentials import COMPONENTS, kubeconfig, write_credentials
from pawl.sandbox.place import Place


def test_the_administrators_context_names_the_sandbox(place: Place) -> None:
    write_credentials(place)
    content = yaml.safe_load(place.kubeconfig.read_text())
    assert content["current-context"] == content["contexts"][0]["name"] == f"pawl-sandbox-{place.name}"
    assert content["clusters"][0]["cluster"]["server"] == place.server


def test_a_kubeconfig_holds_everything_it_needs(place: Place) -> None:
    ca = certs.authority("ca")
    user = certs.client(ca, "anna")
    content = yaml.safe_load(kubeconfig(place, ca, user))
    assert base64.b64decode(content["clusters"][0]["cluster"]["certificate-authority-data"]) == ca.cert_pem
    assert base64.b64decode(content["users"][0]["user"]["client-key-data"]) == user.key_pem


def test_each_private_file_is_private(place: Place) -> None:
    write_credentials(place)
    secret = [*place.pki("").glob("*.key"), *place.pki("").glob("*.kubeconfig"), place.kubeconfig]
    assert len(secret) == 10
    assert {path.stat().st_mode & 0o777 for path in secret} == {0o600}


def test_each_component_has_the_user_that_its_role_binding_names(place: Place) -> None:
    write_credentials(place)
    for role, (user, _) in COMPONENTS.items():
        content = yaml.safe_load(place.pki(f"{role}.kubeconfig").read_text())
        pem = base64.b64decode(content["users"][0]["user"]["client-certificate-data"])
        names = x509.load_pem_x509_certificate(pem).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        assert [name.value for name in names] == [user]


def test_etcd_does_not_trust_users_of_the_api_server(place: Place) -> None:
    write_credentials(place)
    admin = x509.load_pem_x509_certificate(place.pki("admin.crt").read_bytes())
    etcd_ca = x509.load_pem_x509_certificate(place.pki("etcd-ca.crt").read_bytes())
    assert admin.issuer != etcd_ca.subject
