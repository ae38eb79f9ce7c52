"""Which store a spec names: its id, its claim or its bucket.

The id is a hash of what makes it this store and no other: where it changes, bytes must move. Size, credentials and
tuning are not in it. Neighbours: `decide.storagemachine` compares ids, `decide.registrynames` spells the claim.
Not here: what is in a store.
"""

from __future__ import annotations

import hashlib
from typing import Final

from pawl.api.quantities import amount_or
from pawl.api.registrystorage_spec import AccessMode, FilesystemStore, RegistryStorageSpec, S3Store
from pawl.api.registrystorage_status import StoreRef
from pawl.decide.registrynames import Names
from pawl.decide.storagefacts import Identity

DIGITS: Final = 10


def wanted_store(spec: RegistryStorageSpec, identity: Identity) -> StoreRef:
    """Return the store that the spec names."""
    if spec.storage.s3 is not None:
        return _bucket(spec.storage.s3)
    return _claim(spec.storage.filesystem or FilesystemStore(), identity)


def renewed(known: StoreRef, wanted: StoreRef) -> StoreRef:
    """Return a known store with what may change of it without being another: size, credentials, way of access.

    A size never falls: claims do not shrink, and Pawl may have made it larger than the spec says.
    """
    if known.id != wanted.id:
        return known
    size = wanted.size if amount_or(wanted.size) > amount_or(known.size) else known.size
    kept = {"size": size, "since": known.since, "grown_at": known.grown_at}
    return wanted.model_copy(update=kept)


def same_bytes(one: StoreRef, other: StoreRef) -> bool:
    """Whether two stores are one: the same, or one claim by two ways of naming it."""
    return one.id == other.id or (one.kind == other.kind == "Filesystem" and one.claim == other.claim)


def farewell(store: StoreRef) -> str:
    """Say what became of an old store that was told to be deleted."""
    if store.kind == "S3":
        return f"the registry in {store.label} is deleted"
    return f"{store.label} is deleted" if store.own_claim else f"{store.label} is not Pawl's own and stays"


def alone(store: StoreRef) -> bool:
    """Whether one Pod at most may mount the store, so that a Job needs the server away."""
    return store.access_mode == AccessMode.READ_WRITE_ONCE_POD


def _claim(store: FilesystemStore, identity: Identity) -> StoreRef:
    own = (store.storage_class_name or "", str(store.access_mode), str(store.series))
    existing = store.existing_claim or ""
    made = StoreRef(
        id=_hash("claim", existing) if existing else _hash("own", *own),
        kind="Filesystem",
        claim=existing,
        own_claim=not existing,
        size="" if existing else store.size,
        storage_class="" if existing else own[0],
        access_mode=str(store.access_mode),
    )
    return made.model_copy(update={"claim": Names(identity.name).claim(made)})


def _bucket(store: S3Store) -> StoreRef:
    endpoint, prefix = store.endpoint.rstrip("/"), store.root_directory.strip("/")
    return StoreRef(
        id=_hash("s3", endpoint.lower(), store.bucket, prefix),
        kind="S3",
        endpoint=endpoint,
        bucket=store.bucket,
        region=store.region,
        root_directory=prefix,
        path_style=store.force_path_style,
        credentials_secret=store.credentials_secret_ref.name if store.credentials_secret_ref else "",
        ca_secret=store.ca_secret_ref.name if store.ca_secret_ref else "",
    )


def _hash(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:DIGITS]
