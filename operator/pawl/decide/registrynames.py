"""Names, labels and owners of everything that Pawl makes for one RegistryStorage: the only place that spells them.

Neighbours: `decide.serverobjects` and `decide.workobjects` build the objects, `controllers.registryaccess` the Secrets.
Not here: ids of stores (`decide.stores`).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final

from pawl.api.meta import API_VERSION
from pawl.api.registrystorage_status import StoreRef
from pawl.api.registrywork import Task
from pawl.decide.objects import MANAGER
from pawl.decide.storagefacts import Identity

Json = dict[str, Any]

MANAGED_BY: Final = "app.kubernetes.io/managed-by"
REGISTRY: Final = "pawl.dev/registry"
PART: Final = "pawl.dev/part"
STORE: Final = "pawl.dev/store"
READ_ONLY: Final = "pawl.dev/read-only"
CONFIG: Final = "pawl.dev/config"
ORDER: Final = "pawl.dev/order"

SERVER: Final = "server"
METER: Final = "meter"
WORK: Final = "work"
ACCESS: Final = "access"
TRUST: Final = "trust"
STORAGE: Final = "storage"

PORT: Final = 5000
ANONYMOUS_PORT: Final = 5001


@dataclass(frozen=True, slots=True)
class Names:
    """Names of the objects of a RegistryStorage, by its own name."""

    own: str

    @property
    def server(self) -> str:
        """Deployment, Service, Ingress and ConfigMap."""
        return f"{self.own}-registry"

    @property
    def meter(self) -> str:
        """Deployment beside the server."""
        return f"{self.server}-meter"

    @property
    def trust(self) -> str:
        """DaemonSet for the nodes."""
        return f"{self.server}-trust"

    @property
    def internal(self) -> str:
        """Secret with what only Pods of Pawl know: httpSecret, token."""
        return f"{self.server}-internal"

    @property
    def tls(self) -> str:
        """Secret with the certificate that is served."""
        return f"{self.server}-tls"

    @property
    def users(self) -> str:
        """Secret with Pawl's own user."""
        return f"{self.server}-users"

    @property
    def htpasswd(self) -> str:
        """Secret with the hashes of all passwords."""
        return f"{self.server}-htpasswd"

    @property
    def ca(self) -> str:
        """ConfigMap with the authorities that clients trust."""
        return f"{self.server}-ca"

    @property
    def ledger(self) -> str:
        """ConfigMap with the memory that outlives the status."""
        return f"{self.server}-ledger"

    @property
    def pull(self) -> str:
        """Pull Secret, unless the spec names it."""
        return f"{self.own}-pull"

    def claim(self, store: StoreRef) -> str:
        """Claim of a store: the one that it names, or one of Pawl's own."""
        return store.claim or f"{self.server}-{store.id}"

    def job(self, task: Task, order: str) -> str:
        """Job, and the ConfigMap with its order."""
        digest = hashlib.sha256(order.encode()).hexdigest()[:10]
        return f"{self.server}-{task.value}-{digest}"

    def hosts(self, namespace: str) -> tuple[str, ...]:
        """DNS names of the Service, the shortest first."""
        return (self.server, *(f"{self.server}.{namespace}{tail}" for tail in ("", ".svc", ".svc.cluster.local")))


def labels(name: str, part: str) -> dict[str, str]:
    """Labels of an object, and of its Pods."""
    return {MANAGED_BY: MANAGER, REGISTRY: name, PART: part}


def selector(name: str, part: str) -> dict[str, str]:
    """Labels by which Pods of one part are found. Never changed: a Deployment's selector is for ever."""
    return {REGISTRY: name, PART: part}


def owner(identity: Identity) -> Json:
    """The RegistryStorage as the controller of what goes with it."""
    return {
        "apiVersion": API_VERSION,
        "kind": "RegistryStorage",
        "name": identity.name,
        "uid": identity.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def metadata(identity: Identity, name: str, part: str, *, owned: bool = True, **more: Json) -> Json:
    """Metadata of an object; `owned` False for what outlives the RegistryStorage."""
    head = {"name": name, "namespace": identity.namespace, "labels": labels(identity.name, part)}
    return (
        head
        | ({"ownerReferences": [owner(identity)]} if owned else {})
        | {key: each for key, each in more.items() if each}
    )
