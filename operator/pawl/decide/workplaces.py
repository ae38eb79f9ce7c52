"""Where a worker finds what its order speaks of: paths of stores, credentials and authorities in its Pod.

Neighbours: `serverobjects_meter` and `workobjects` mount it there, `jobs.open` opens it. Not here: objects.
"""

from __future__ import annotations

from typing import Final, Literal

from pawl.api.registrystorage_status import StoreRef
from pawl.api.registrywork import ORDER_DIRECTORY, ORDER_FILE, Endpoint, Place, Task
from pawl.decide.access import AccessFacts
from pawl.decide.serverconfig import REGION

USER_DIRECTORY: Final = "/pawl/user"
CA_DIRECTORY: Final = "/pawl/ca"

REPORT: Final = "/pawl/out/report"
"""Where a worker leaves its last words."""

Role = Literal["source", "target"]


def worker_args(task: Task, file: str = ORDER_FILE) -> tuple[str, ...]:
    """Return what a worker is started with. Every path is said: a Pod of the sandbox has them elsewhere."""
    return ("worker", task.value, "--order", f"{ORDER_DIRECTORY}/{file}", "--termination-log", REPORT)


def place_of(store: StoreRef, role: Role) -> Place:
    """Return a store as a worker sees it."""
    if store.kind != "S3":
        return Place(kind="Filesystem", path=f"/pawl/{role}")
    return Place(
        kind="S3",
        endpoint=store.endpoint,
        bucket=store.bucket,
        region=store.region or REGION,
        root_directory=store.root_directory,
        path_style=store.path_style,
        credentials=f"/pawl/{role}-credentials" if store.credentials_secret else "",
        ca_file=f"/pawl/{role}-ca/ca.crt" if store.ca_secret else "",
    )


def endpoint_of(access: AccessFacts, address: str = "") -> Endpoint:
    """Return the server as a worker reaches it: by its address for images, or by a Pod's with the name for TLS.

    `address` is host:port to dial; the certificate is then asked for the name of the Service.
    """
    scheme = "https" if access.secure else "http"
    host = access.server_name if address else access.address
    return Endpoint(
        url=f"{scheme}://{host}",
        address=address,
        ca_file=f"{CA_DIRECTORY}/ca.crt" if access.ca else "",
        credentials=USER_DIRECTORY if access.users_secret else "",
    )
