"""What stands before the server: Service, Ingress, the certificate that cert-manager is asked for, the authorities.

Neighbours: `access` knows addresses and names. Not here: certificates of Pawl's own (`cluster.certificates`).
"""

from __future__ import annotations

from typing import Any, Final

from pawl.api.registrystorage_access import IngressOptions, RegistryAccess, ServiceType
from pawl.api.registrystorage_spec import RegistryStorageSpec
from pawl.decide.access import AccessFacts, ServiceSeen, certified, host_of
from pawl.decide.registrynames import ACCESS, SERVER, Names, metadata, selector
from pawl.decide.storagefacts import Identity

Json = dict[str, Any]

_NGINX: Final = "nginx.ingress.kubernetes.io"
LONG: Final = "3600"
"""Seconds between two bytes: the end of a large push is one request that answers when the bytes are on the disk."""


def service(spec: RegistryStorageSpec, identity: Identity) -> Json:
    """Return the Service. It is needed before the certificate, for its address stands there."""
    access, options = spec.access, spec.access.service
    head = metadata(identity, Names(identity.name).server, SERVER, annotations=dict(options.annotations))
    ports = [_port("registry", options.port, options.node_port if _on_nodes(access) else None)]
    if access.anonymous_pull:
        ports.append(_port("anonymous", options.port + 1, None))
    kind = ServiceType.CLUSTER_IP if options.type is ServiceType.INGRESS else options.type
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": head,
        "spec": {"type": kind.value, "selector": selector(identity.name, SERVER), "ports": ports},
    }


def front_parts(spec: RegistryStorageSpec, identity: Identity, access: AccessFacts) -> tuple[Json, ...]:
    """Return everything before the server."""
    found = [service(spec, identity)]
    if spec.access.service.type is ServiceType.INGRESS:
        found.append(_ingress(spec, identity, secure=access.secure))
    if spec.access.tls.issuer_ref is not None:
        found.append(certificate(spec, identity))
    if access.ca:
        head = metadata(identity, Names(identity.name).ca, ACCESS)
        found.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": head, "data": {"ca.crt": access.ca}})
    return tuple(found)


def _port(name: str, port: int, node_port: int | None) -> Json:
    found: Json = {"name": name, "port": port, "targetPort": name, "protocol": "TCP"}
    return found | ({"nodePort": node_port} if node_port else {})


def _on_nodes(access: RegistryAccess) -> bool:
    return access.service.type is ServiceType.NODE_PORT


def _ingress(spec: RegistryStorageSpec, identity: Identity, *, secure: bool) -> Json:
    names, options = Names(identity.name), spec.access.service.ingress
    host = host_of(spec.access.host or "")
    backend = {"service": {"name": names.server, "port": {"name": "registry"}}}
    rule: Json = {"http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}
    found: Json = {"rules": [{"host": host, **rule} if host else rule]}
    if options.class_name:
        found["ingressClassName"] = options.class_name
    if secure and host:
        found["tls"] = [{"hosts": [host], "secretName": tls_secret(spec, identity)}]
    head = metadata(identity, names.server, SERVER, annotations=_ingress_notes(options, secure=secure))
    return {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": head, "spec": found}


def _ingress_notes(options: IngressOptions, *, secure: bool) -> dict[str, str]:
    """A proxy must pass bytes on as they come, as many as there are, and wait for the answer."""
    own = {
        "proxy-body-size": "0",
        "proxy-request-buffering": "off",
        "proxy-buffering": "off",
        "proxy-read-timeout": LONG,
        "proxy-send-timeout": LONG,
        # A push that is sent to a second server goes on where that one has nothing.
        "proxy-next-upstream": "off",
        "backend-protocol": "HTTPS" if secure else "HTTP",
    }
    return {f"{_NGINX}/{key}": value for key, value in own.items()} | options.annotations


def tls_secret(spec: RegistryStorageSpec, identity: Identity) -> str:
    """Return the name of the Secret with the certificate; empty for plain HTTP."""
    tls = spec.access.tls
    if tls.disabled:
        return ""
    return tls.secret_ref.name if tls.secret_ref is not None else Names(identity.name).tls


def certificate(spec: RegistryStorageSpec, identity: Identity) -> Json:
    """Return what cert-manager is asked for. It is needed before the server, which waits for the Secret."""
    names, issuer = Names(identity.name), spec.access.tls.issuer_ref
    if issuer is None:
        raise ValueError("no issuer is named")
    # Without the cluster IP: most issuers refuse addresses.
    hosts = certified(spec.access, names.hosts(identity.namespace), ServiceSeen())
    issued = {"name": issuer.name, "kind": issuer.kind, "group": issuer.group}
    body = {"secretName": names.tls, "dnsNames": list(hosts), "issuerRef": issued}
    return {
        "apiVersion": "cert-manager.io/v1",
        "kind": "Certificate",
        "metadata": metadata(identity, names.tls, ACCESS),
        "spec": body,
    }
