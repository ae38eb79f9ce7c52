"""Argument lists of etcd, kube-apiserver, kube-controller-manager and kube-scheduler. Pure: nothing is started here.

The same flags serve the binaries that `build` makes and those of KUBEBUILDER_ASSETS, which lack the controller manager:
then no ServiceAccount is ever made, and the admission plugin that asks for one is switched off.
"""

from __future__ import annotations

from pawl.sandbox.place import Place
from pawl.sandbox.ports import LOOPBACK
from pawl.sandbox.processes import Command

ISSUER = "https://kubernetes.default.svc.cluster.local"
RATE = ("--kube-api-qps=500", "--kube-api-burst=1000")
"""The defaults (20 to 50 requests a second) would measure the client's brake in benches, not the operator."""
UNHEARD = "24s"
"""After so long without a sign a real node counts as dead: half of the default; its lease is renewed every 5 s."""
_ALONE = ("--endpoint-reconciler-type=none",)
"""Endpoints may not hold loopback addresses; without this the server logs an error every ten seconds."""


def etcd(place: Place) -> Command:
    """The store, with TLS towards clients and peers. No fsync: the data lives as long as the sandbox."""
    peer = f"https://{LOOPBACK}:{place.ports.etcd_peer}"
    arguments = [
        "--name=sandbox",
        f"--data-dir={place.directory / 'etcd'}",
        f"--listen-client-urls={place.etcd}",
        f"--advertise-client-urls={place.etcd}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=sandbox={peer}",
        *_etcd_tls(place, ""),
        *_etcd_tls(place, "peer-"),
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]
    return Command("etcd", (place.binary("etcd"), *arguments))


def apiserver(place: Place) -> Command:
    """kube-apiserver with RBAC, client certificates and ServiceAccount tokens, on one address only."""
    arguments = [
        f"--bind-address={place.host}",
        f"--advertise-address={place.host}",
        *(_ALONE if place.host == LOOPBACK else _with_kubelets(place)),
        f"--secure-port={place.ports.api}",
        f"--etcd-servers={place.etcd}",
        f"--etcd-cafile={place.pki('etcd-ca.crt')}",
        f"--etcd-certfile={place.pki('etcd.crt')}",
        f"--etcd-keyfile={place.pki('etcd.key')}",
        f"--tls-cert-file={place.pki('apiserver.crt')}",
        f"--tls-private-key-file={place.pki('apiserver.key')}",
        f"--client-ca-file={place.pki('ca.crt')}",
        "--authorization-mode=Node,RBAC",
        f"--service-cluster-ip-range={place.services}",
        f"--service-account-issuer={ISSUER}",
        f"--service-account-key-file={place.pki('sa.pub')}",
        f"--service-account-signing-key-file={place.pki('sa.key')}",
        "--allow-privileged=true",
        "--profiling=false",
    ]
    if not place.has("kube-controller-manager"):
        arguments.append("--disable-admission-plugins=ServiceAccount")
    return Command("kube-apiserver", (place.binary("kube-apiserver"), *arguments))


def controller_manager(place: Place) -> Command:
    """kube-controller-manager with all default controllers, each under its own ServiceAccount as in production."""
    config = place.pki("kube-controller-manager.kubeconfig")
    arguments = [
        f"--kubeconfig={config}",
        f"--root-ca-file={place.pki('ca.crt')}",
        f"--service-account-private-key-file={place.pki('sa.key')}",
        f"--cluster-signing-cert-file={place.pki('ca.crt')}",
        f"--cluster-signing-key-file={place.pki('ca.key')}",
        "--use-service-account-credentials=true",
        "--leader-elect=false",
        "--secure-port=0",
        *([] if place.host == LOOPBACK else [f"--node-monitor-grace-period={UNHEARD}"]),
        *RATE,
    ]
    return Command("kube-controller-manager", (place.binary("kube-controller-manager"), *arguments))


def scheduler(place: Place) -> Command:
    """kube-scheduler with its default profile."""
    config = place.pki("kube-scheduler.kubeconfig")
    arguments = [f"--kubeconfig={config}", "--leader-elect=false", "--secure-port=0", *RATE]
    return Command("kube-scheduler", (place.binary("kube-scheduler"), *arguments))


def _with_kubelets(place: Place) -> list[str]:
    return [
        f"--kubelet-certificate-authority={place.pki('ca.crt')}",
        f"--kubelet-client-certificate={place.pki('admin.crt')}",
        f"--kubelet-client-key={place.pki('admin.key')}",
        "--kubelet-preferred-address-types=InternalIP",
        "--enable-admission-plugins=NodeRestriction",
    ]


def _etcd_tls(place: Place, prefix: str) -> list[str]:
    return [
        f"--{prefix}cert-file={place.pki('etcd.crt')}",
        f"--{prefix}key-file={place.pki('etcd.key')}",
        f"--{prefix}trusted-ca-file={place.pki('etcd-ca.crt')}",
        f"--{prefix}client-cert-auth",
    ]
