"""The claims that Pawl makes for stores. They outlive the RegistryStorage, and nothing here ever takes one away.

Neighbours: `stores` says which claim a store has, `expansion` how it grows. Not here: claims of users.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pawl.api.registrystorage_status import StoreRef
from pawl.decide.registrynames import STORAGE, STORE, Names, metadata
from pawl.decide.storagefacts import Identity, Want

Json = dict[str, Any]


def claim_parts(identity: Identity, want: Want, requested: Mapping[str, int]) -> tuple[Json, ...]:
    """Return the claims of stores. `requested` has the bytes that claims ask for now: they never ask for less."""
    return tuple(_claim(identity, store, want, requested) for store in want.claims if store.own_claim)


def _claim(identity: Identity, store: StoreRef, want: Want, requested: Mapping[str, int]) -> Json:
    name = Names(identity.name).claim(store)
    known = max(want.grow.get(name, 0), requested.get(name, 0))
    body: Json = {
        "accessModes": [store.access_mode or "ReadWriteOnce"],
        "resources": {"requests": {"storage": str(known) if known else store.size}},
    }
    if store.storage_class:
        body["storageClassName"] = store.storage_class
    head = metadata(identity, name, STORAGE, owned=False, annotations={STORE: store.id})
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": head, "spec": body}
