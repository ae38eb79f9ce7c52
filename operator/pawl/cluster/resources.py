"""The kinds that Pawl reads and writes, and the paths under which the API server serves them.

Neighbours: `client` sends requests to these paths. Not here: the form of the objects (`pawl.api`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from pawl.api.meta import GROUP, VERSION


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind as the API server serves it: API group ("" is core), version, plural in the path, and its scope."""

    group: str
    version: str
    plural: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """The value of `apiVersion` in a body of this kind."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """The plural with its group, as kubectl takes it: `imagepolicies.pawl.dev`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str | None, name: str | None = None, subresource: str | None = None) -> str:
        """Return the encoded path of an object, or of the list where `name` is None.

        `namespace` None means all namespaces, and is required for kinds without one. Raises ValueError where the
        scope and the namespace do not fit, so that a slip never becomes a request to a wider place.
        """
        if (namespace is not None and not self.namespaced) or (name is not None and self.namespaced and not namespace):
            raise ValueError(f"{self.qualified}: namespace {namespace!r} does not fit the scope of this kind")
        parts = [f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"]
        if namespace is not None:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        parts += [quote(part, safe="") for part in (name, subresource) if part is not None]
        return "/".join(parts)

    def named(self, namespace: str | None, name: str | None) -> str:
        """Return the object in the words of a message: `imagepolicies.pawl.dev shop/web`."""
        if name is None:
            return f"{self.qualified} in namespace {namespace}" if namespace else self.qualified
        return f"{self.qualified} {namespace}/{name}" if namespace else f"{self.qualified} {name}"


IMAGE_POLICIES: Final = Resource(GROUP, VERSION, "imagepolicies")
IMAGE_OVERRIDES: Final = Resource(GROUP, VERSION, "imageoverrides")
CLUSTER_IMAGE_OVERRIDES: Final = Resource(GROUP, VERSION, "clusterimageoverrides", namespaced=False)
IMAGE_RULES: Final = Resource(GROUP, VERSION, "imagerules")
REGISTRY_STORAGES: Final = Resource(GROUP, VERSION, "registrystorages")
CLUSTER_IMAGE_RULES: Final = Resource(GROUP, VERSION, "clusterimagerules", namespaced=False)
CONFIG_MAPS: Final = Resource("", "v1", "configmaps")
SECRETS: Final = Resource("", "v1", "secrets")
SERVICE_ACCOUNTS: Final = Resource("", "v1", "serviceaccounts")
PODS: Final = Resource("", "v1", "pods")
SERVICES: Final = Resource("", "v1", "services")
CLAIMS: Final = Resource("", "v1", "persistentvolumeclaims")
NAMESPACES: Final = Resource("", "v1", "namespaces", namespaced=False)
NODES: Final = Resource("", "v1", "nodes", namespaced=False)
DEPLOYMENTS: Final = Resource("apps", "v1", "deployments")
STATEFUL_SETS: Final = Resource("apps", "v1", "statefulsets")
DAEMON_SETS: Final = Resource("apps", "v1", "daemonsets")
REPLICA_SETS: Final = Resource("apps", "v1", "replicasets")
REVISIONS: Final = Resource("apps", "v1", "controllerrevisions")
JOBS: Final = Resource("batch", "v1", "jobs")
CRON_JOBS: Final = Resource("batch", "v1", "cronjobs")
INGRESSES: Final = Resource("networking.k8s.io", "v1", "ingresses")
BUDGETS: Final = Resource("policy", "v1", "poddisruptionbudgets")
STORAGE_CLASSES: Final = Resource("storage.k8s.io", "v1", "storageclasses", namespaced=False)
CERTIFICATES: Final = Resource("cert-manager.io", "v1", "certificates")
_ADMISSION: Final = "admissionregistration.k8s.io"
MUTATING_POLICIES: Final = Resource(_ADMISSION, "v1", "mutatingadmissionpolicies", namespaced=False)
MUTATING_BINDINGS: Final = Resource(_ADMISSION, "v1", "mutatingadmissionpolicybindings", namespaced=False)
MUTATING_WEBHOOKS: Final = Resource(_ADMISSION, "v1", "mutatingwebhookconfigurations", namespaced=False)
LEASES: Final = Resource("coordination.k8s.io", "v1", "leases")
# core/v1 and not events.k8s.io/v1: both names lead to the same stored objects, but the newer one forces `eventTime` and
# leaves `lastTimestamp` and `count` empty, which `kubectl describe`, Argo CD and most exporters still read.
EVENTS: Final = Resource("", "v1", "events")
