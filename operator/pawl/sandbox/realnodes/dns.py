"""Names of Services for Pods: CoreDNS as a process of the machine, behind the Service kube-system/kube-dns."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Any

from pawl.api.errors import SandboxError
from pawl.sandbox.build import NodeParts
from pawl.sandbox.place import Place
from pawl.sandbox.processes import Command
from pawl.sandbox.realnodes.network import Network
from pawl.sandbox.rest import Api

CREATED, EXISTS = 201, 409
NAMESPACE = "kube-system"
NAME = "kube-dns"


def corefile(place: Place) -> str:
    """CoreDNS' configuration: the cluster's names; any other does not exist, as Pods reach nothing outside."""
    return f""".:{place.ports.dns} {{
    bind {place.host}
    errors
    kubernetes cluster.local in-addr.arpa ip6.arpa {{
        kubeconfig {place.pki("coredns.kubeconfig")}
        pods insecure
        ttl 1
    }}
    template ANY ANY . {{
        rcode NXDOMAIN
    }}
}}
"""


def coredns(place: Place, parts: NodeParts) -> Command:
    """The process; its configuration must have been written."""
    return Command("coredns", (str(parts.coredns), "-conf", str(place.directory / "Corefile"), "-quiet"))


def objects(place: Place, network: Network) -> dict[str, dict[str, Any]]:
    """The Service and where it leads, by the path to create them at. Pure."""
    ports = [{"name": name, "port": 53, "protocol": kind} for name, kind in (("dns", "UDP"), ("dns-tcp", "TCP"))]
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": {"k8s-app": NAME}},
        "spec": {"clusterIP": network.dns, "ports": ports},
    }
    endpoints = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": {"kubernetes.io/service-name": NAME}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [place.host], "conditions": {"ready": True}}],
        "ports": [{**port, "port": place.ports.dns} for port in ports],
    }
    return {
        f"/api/v1/namespaces/{NAMESPACE}/services": service,
        f"/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices": endpoints,
    }


def publish(place: Place, network: Network, api: Api) -> None:
    """Create the Service. Raises SandboxError when the API server refuses."""
    for path, body in objects(place, network).items():
        answer = api.call("POST", path, body)
        if answer.status not in {CREATED, EXISTS}:
            raise SandboxError(f"Service {NAMESPACE}/{NAME} was refused ({answer.status}): {answer.body}")


def answers(place: Place) -> bool:
    """Whether CoreDNS listens; it does once it has read the cluster's Services."""
    with suppress(OSError), socket.create_connection((place.host, place.ports.dns), timeout=1):
        return True
    return False
