"""Writes one sandbox's certificates, token keys and kubeconfigs. `certs` makes them, `place` names them."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import yaml

from pawl.sandbox import certs
from pawl.sandbox.files import PRIVATE, write_whole
from pawl.sandbox.place import Place
from pawl.sandbox.ports import LOOPBACK

SERVER_NAMES = (
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    LOOPBACK,
)
ADMINS = "system:masters"
COMPONENTS = {
    "kube-controller-manager": ("system:kube-controller-manager", ()),
    "kube-scheduler": ("system:kube-scheduler", ()),
    "kwok": ("kwok", (ADMINS,)),
}
NODE_COMPONENTS = {
    "kube-proxy": ("system:kube-proxy", ()),
    "coredns": ("coredns", (ADMINS,)),
}
NODES = "system:nodes"


@dataclass(frozen=True)
class NodeIdentity:
    """A real node that needs certificates: what its files begin with, its Node object's name, its address."""

    role: str
    name: str
    address: str


def write_credentials(place: Place, nodes: Iterable[NodeIdentity] = ()) -> None:
    """Write all keys and kubeconfigs of `place` and its real nodes, private ones with mode 0600."""
    ca = certs.authority(f"{place.context}-ca")
    names = sorted({*SERVER_NAMES, place.host, place.kubernetes})
    # etcd trusts an authority of its own, or each holder of a kubeconfig could write past the API server.
    etcd_ca = certs.authority(f"{place.context}-etcd-ca")
    _write_pair(place, "ca", ca)
    _write_pair(place, "etcd-ca", etcd_ca)
    _write_pair(place, "etcd", certs.server(etcd_ca, "etcd", ["localhost", LOOPBACK]))
    _write_pair(place, "apiserver", certs.server(ca, "kube-apiserver", names))
    _write_service_account_keys(place)
    _write_clients(place, ca, COMPONENTS)
    for node in nodes:
        _write_clients(place, ca, {node.role: (f"system:node:{node.name}", (NODES,)), **NODE_COMPONENTS})
        _write_pair(place, node.role, certs.server(ca, f"system:node:{node.name}", [node.name, node.address]))
    admin = certs.client(ca, "pawl-sandbox-admin", [ADMINS])
    _write_pair(place, "admin", admin)
    write_whole(place.kubeconfig, kubeconfig(place, ca, admin), PRIVATE)


def kubeconfig(place: Place, ca: certs.Pair, user: certs.Pair) -> str:
    """A kubeconfig with everything inside, so that it may be copied."""
    cluster = {"server": place.server, "certificate-authority-data": _encoded(ca.cert_pem)}
    credentials = {"client-certificate-data": _encoded(user.cert_pem), "client-key-data": _encoded(user.key_pem)}
    context = {"cluster": place.context, "user": place.context}
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": place.context,
            "clusters": [{"name": place.context, "cluster": cluster}],
            "users": [{"name": place.context, "user": credentials}],
            "contexts": [{"name": place.context, "context": context}],
        },
        sort_keys=False,
    )


def _write_clients(place: Place, ca: certs.Pair, users: Mapping[str, tuple[str, tuple[str, ...]]]) -> None:
    for role, (user, groups) in users.items():
        write_whole(place.pki(f"{role}.kubeconfig"), kubeconfig(place, ca, certs.client(ca, user, groups)), PRIVATE)


def _write_pair(place: Place, name: str, pair: certs.Pair) -> None:
    write_whole(place.pki(f"{name}.crt"), pair.cert_pem)
    write_whole(place.pki(f"{name}.key"), pair.key_pem, PRIVATE)


def _write_service_account_keys(place: Place) -> None:
    key = certs.new_key()
    write_whole(place.pki("sa.key"), certs.private_pem(key), PRIVATE)
    write_whole(place.pki("sa.pub"), certs.public_pem(key))


def _encoded(pem: bytes) -> str:
    return base64.b64encode(pem).decode()
