"""RegistryStorages, stores and what is known of their access, for tests of the objects that are made of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pawl.api.registrystorage import RegistryStorage, RegistryStorageSpec
from pawl.api.registrystorage_status import StoreRef
from pawl.api.registrywork import Order, Task
from pawl.decide.access import AccessFacts
from pawl.decide.serverobjects import ServerAbout, server_objects
from pawl.decide.storagefacts import Identity, Want, WorkWant
from pawl.decide.workobjects import WorkAbout, work_objects
from pawl.decide.workplaces import place_of

Json = dict[str, Any]

IMAGE = "registry.corp/pawl:1"
DISK = StoreRef(id="aaaa1111", kind="Filesystem", claim="", own_claim=True, size="1Gi", access_mode="ReadWriteOnce")
SHARED = DISK.model_copy(update={"id": "cccc3333", "access_mode": "ReadWriteMany"})
ALONE = DISK.model_copy(update={"id": "dddd4444", "access_mode": "ReadWriteOncePod"})
USERS = DISK.model_copy(update={"id": "eeee5555", "claim": "mine", "own_claim": False})
BUCKET = StoreRef(
    id="bbbb2222",
    kind="S3",
    endpoint="http://minio:9000",
    bucket="images",
    root_directory="/reg",
    credentials_secret="keys",
    ca_secret="s3-ca",
)
STORES = {"disk": DISK, "shared": SHARED, "alone": ALONE, "users": USERS, "bucket": BUCKET}

ACCESS = AccessFacts(
    address="10.0.0.7:5000",
    server_name="main-registry.shop.svc",
    ca="-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n",
    tls_secret="main-registry-tls",
    tls_version="one",
    internal_secret="main-registry-internal",
    internal_version="two",
    users_secret="main-registry-users",
    htpasswd_secret="main-registry-htpasswd",
    pull_secret="main-pull",
    store_versions={"keys": "7", "s3-ca": "8"},
)
PLAIN = AccessFacts(
    address="10.0.0.7:5000", server_name="main-registry.shop.svc", internal_secret="main-registry-internal"
)


def spec(**given: Any) -> RegistryStorageSpec:
    """A spec from its JSON form."""
    return RegistryStorageSpec.model_validate(given)


def storage(namespace: str, uid: str = "u-1", name: str = "main", **given: Any) -> RegistryStorage:
    """A whole resource."""
    head = {"name": name, "namespace": namespace, "uid": uid, "generation": 1, "resourceVersion": "1"}
    return RegistryStorage.model_validate({"metadata": head, "spec": given})


def identity(namespace: str = "shop", uid: str = "u-1") -> Identity:
    return Identity(namespace, "main", uid, 1)


def want(store: StoreRef, *, scale: int = 1, read_only: bool = False, **more: Any) -> Want:
    return Want(store=store, read_only=read_only, scale=scale, claims=(store,), **more)


def objects(
    wanted: Want, facts: AccessFacts = ACCESS, who: Identity | None = None, requested: Json | None = None, **given: Any
) -> tuple[Json, ...]:
    """All objects of a server."""
    about = ServerAbout(IMAGE, ("pawl-pull",), requested or {})
    return server_objects(spec(**given), who or identity(), wanted, facts, about)


def work(
    task: Task,
    source: StoreRef | None,
    target: StoreRef | None = None,
    facts: AccessFacts = ACCESS,
    who: Identity | None = None,
    node: str = "n1",
    **given: Any,
) -> tuple[Json, Json]:
    """The ConfigMap and the Job of one task."""
    order = Order(
        task=task,
        id="m-1",
        source=place_of(source, "source") if source else None,
        target=place_of(target, "target") if target else None,
    )
    about = WorkAbout(IMAGE, order, facts, ("pawl-pull",), node)
    return work_objects(spec(**given), who or identity(), WorkWant(task, "m-1/Bulk/1", source, target), about)


def one(found: Iterable[Json], kind: str, name: str | None = None) -> Json:
    """The only object of a kind, or of a kind and name."""
    matching = [each for each in found if each["kind"] == kind and name in (None, each["metadata"]["name"])]
    assert len(matching) == 1, f"{len(matching)} of {kind} {name}"
    return matching[0]


def pod_of(workload: Json) -> Json:
    """The Pod spec of a workload."""
    found: Json = workload["spec"]["template"]["spec"]
    return found
