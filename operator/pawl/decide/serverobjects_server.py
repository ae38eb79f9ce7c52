"""The server: its ConfigMap, Deployment and PodDisruptionBudget.

A Pod is restarted by what it reads once: configuration, certificate, keys of a bucket. Users are not among that: the
server reads its htpasswd file anew. Neighbours: `serverconfig` writes the configuration, `serverobjects_front` the
Service. Not here: whether the server is to be read-only (`storagemachine`).
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Any, Final

from pawl.api.registrystorage_spec import RegistryStorageSpec
from pawl.api.registrystorage_status import StoreRef
from pawl.decide.access import AccessFacts
from pawl.decide.durations import parse_duration
from pawl.decide.registrynames import (
    ANONYMOUS_PORT,
    CONFIG,
    METER,
    PORT,
    READ_ONLY,
    SERVER,
    STORE,
    WORK,
    Names,
    labels,
    metadata,
    selector,
)
from pawl.decide.serverconfig import STORE_DIRECTORY, TLS_DIRECTORY, config_text
from pawl.decide.serverconfig import Shape as ConfigShape
from pawl.decide.serverobjects_pod import (
    Container,
    Mount,
    Shape,
    claim,
    config_map,
    from_secret,
    on_host,
    pod_spec,
    resources,
    secret,
)
from pawl.decide.storagefacts import Identity, Want

Json = dict[str, Any]

GRACE: Final = 30
"""Seconds beside the drain timeout before a Pod is killed."""
CONFIG_DIRECTORY: Final = "/pawl/config"
MAIN: Final = "config.yml"
ANONYMOUS: Final = "anonymous.yml"
S3_CA: Final = "/pawl/s3-ca"


@dataclass(frozen=True, slots=True)
class ServerPlan:
    """What the objects of one server are made of."""

    spec: RegistryStorageSpec
    identity: Identity
    want: Want
    access: AccessFacts
    pull_secrets: tuple[str, ...] = ()
    """Of Pawl's install; those of the spec come before them."""

    @property
    def names(self) -> Names:
        """Names of all objects."""
        return Names(self.identity.name)

    @property
    def store(self) -> StoreRef:
        """The store that is served."""
        return self.want.store

    @property
    def configs(self) -> dict[str, str]:
        """Files of the ConfigMap."""
        auth, secure = bool(self.access.htpasswd_secret), self.access.secure
        main = ConfigShape(read_only=self.want.read_only, secure=secure, auth=auth)
        files = {MAIN: config_text(self.spec, self.store, main)}
        if self.spec.access.anonymous_pull:
            open_one = ConfigShape(read_only=True, secure=secure, auth=False, port=ANONYMOUS_PORT)
            files[ANONYMOUS] = config_text(self.spec, self.store, open_one)
        return files

    @property
    def checksum(self) -> str:
        """Another one restarts the Pods."""
        access = self.access
        parts = (
            *sorted(self.configs.items()),
            access.tls_version,
            access.internal_version,
            access.version_of(self.store),
        )
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def shared(store: StoreRef) -> bool:
    """Tell whether several Pods on several nodes may use a store."""
    return store.kind == "S3" or store.access_mode == "ReadWriteMany"


def alone(store: StoreRef) -> bool:
    """Tell whether a store may be used by one Pod only, so that nothing may run beside the server."""
    return store.kind != "S3" and store.access_mode == "ReadWriteOncePod"


def server_parts(plan: ServerPlan) -> tuple[Json, ...]:
    """Return ConfigMap, Deployment and, for several replicas, a PodDisruptionBudget."""
    head = metadata(plan.identity, plan.names.server, SERVER)
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": head, "data": plan.configs}
    budget = (_budget(plan),) if plan.want.scale > 1 else ()
    return (config, _deployment(plan), *budget)


def store_env(store: StoreRef, internal: str) -> tuple[Json, ...]:
    """Environment of the server's program: what signs uploads, the keys of a bucket, whom to trust there."""
    # Without the first distribution 3 sends traces to a collector that is not there, and logs each failure.
    found: list[Json] = [{"name": "OTEL_TRACES_EXPORTER", "value": "none"}]
    found.append(from_secret("REGISTRY_HTTP_SECRET", internal, "httpSecret"))
    if store.kind == "S3" and store.credentials_secret:
        found.append(from_secret("REGISTRY_STORAGE_S3_ACCESSKEY", store.credentials_secret, "accessKey"))
        found.append(from_secret("REGISTRY_STORAGE_S3_SECRETKEY", store.credentials_secret, "secretKey"))
    if store.kind == "S3" and store.ca_secret:
        found.append({"name": "SSL_CERT_FILE", "value": f"{S3_CA}/ca.crt"})
    return tuple(found)


def store_mounts(names: Names, store: StoreRef, *, writable: bool) -> tuple[Mount, ...]:
    """Mounts of the server's program for its store."""
    if store.kind != "S3":
        return (claim(STORE_DIRECTORY, names.claim(store), writable=writable),)
    return (secret(S3_CA, store.ca_secret, "ca.crt"),) if store.ca_secret else ()


def _deployment(plan: ServerPlan) -> Json:
    name = plan.identity.name
    notes = {
        STORE: plan.store.id,
        READ_ONLY: "true" if plan.want.read_only else "false",
        CONFIG: plan.checksum,
    }
    template = {"metadata": {"labels": labels(name, SERVER), "annotations": notes}, "spec": _pod(plan)}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(plan.identity, plan.names.server, SERVER),
        "spec": {
            "replicas": plan.want.scale,
            "paused": False,
            "revisionHistoryLimit": 2,
            "selector": {"matchLabels": selector(name, SERVER)},
            "strategy": _strategy(plan.store),
            "template": template,
        },
    }


def _strategy(store: StoreRef) -> Json:
    # Both figures are said, so that they are Pawl's and go when the strategy becomes Recreate.
    return (
        {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
        if shared(store)
        else {"type": "Recreate"}
    )


def _pod(plan: ServerPlan) -> Json:
    drain = math.ceil(parse_duration(plan.spec.server.drain_timeout).total_seconds())
    more: Json = {"terminationGracePeriodSeconds": drain + GRACE}
    if plan.want.scale > 1:
        more["topologySpreadConstraints"] = [_spread(plan)]
    containers = [_server(plan)]
    if plan.spec.access.anonymous_pull:
        containers.append(_anonymous(plan))
    return pod_spec(plan.spec, containers, Shape(plan.pull_secrets, _affinity(plan), more))


def _affinity(plan: ServerPlan) -> Json:
    """Go back to the node where the claim is in use: its volume cannot be attached to a second one meanwhile."""
    if shared(plan.store):
        return {}
    terms = [{"weight": 100, "podAffinityTerm": on_host(selector(plan.identity.name, part))} for part in (METER, WORK)]
    return {"podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": terms}}


def _server(plan: ServerPlan) -> Container:
    mounts = (*_mounts(plan, writable=True), *_login(plan))
    return _program(plan, "registry", MAIN, mounts, PORT)


def _anonymous(plan: ServerPlan) -> Container:
    return _program(plan, "anonymous", ANONYMOUS, _mounts(plan, writable=False), ANONYMOUS_PORT)


def _program(plan: ServerPlan, name: str, file: str, mounts: tuple[Mount, ...], port: int) -> Container:
    return Container(
        name=name,
        image=plan.spec.server.image,
        command=("registry",),
        args=("serve", f"{CONFIG_DIRECTORY}/{file}"),
        env=store_env(plan.store, plan.access.internal_secret),
        mounts=mounts,
        resources=resources(plan.spec.server.resources),
        more={"ports": [{"name": name, "containerPort": port}], **_probes(plan, name)},
    )


def _mounts(plan: ServerPlan, *, writable: bool) -> tuple[Mount, ...]:
    found = [config_map(CONFIG_DIRECTORY, plan.names.server)]
    found.extend(store_mounts(plan.names, plan.store, writable=writable))
    if plan.access.tls_secret:
        found.append(secret(TLS_DIRECTORY, plan.access.tls_secret, "tls.crt", "tls.key"))
    return tuple(found)


def _login(plan: ServerPlan) -> tuple[Mount, ...]:
    name = plan.access.htpasswd_secret
    return (secret("/pawl/htpasswd", name, "htpasswd"),) if name else ()


def _probes(plan: ServerPlan, port: str) -> Json:
    """Ask rarely and wait long: a disk that is busy with a large layer must not cost the Pod its life."""
    scheme = "HTTPS" if plan.access.secure else "HTTP"
    answers = {"httpGet": {"path": "/", "port": port, "scheme": scheme}, "timeoutSeconds": 10}
    listens = {"tcpSocket": {"port": port}, "timeoutSeconds": 10}
    return {
        "startupProbe": {**listens, "periodSeconds": 2, "failureThreshold": 90},
        "readinessProbe": {**answers, "periodSeconds": 5, "failureThreshold": 6},
        "livenessProbe": {**listens, "periodSeconds": 20, "failureThreshold": 6},
    }


def _spread(plan: ServerPlan) -> Json:
    return {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": selector(plan.identity.name, SERVER)},
        "matchLabelKeys": ["pod-template-hash"],
    }


def _budget(plan: ServerPlan) -> Json:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(plan.identity, plan.names.server, SERVER),
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": selector(plan.identity.name, SERVER)}},
    }
