"""The configuration file of distribution, 3.1 and 2.8 alike: one text for one store, and no secret in it.

Keys of a bucket, the secret that signs uploads and the debug names come by environment. Neighbours:
`decide.serverobjects_server` puts the text into a ConfigMap. Not here: Kubernetes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import yaml

from pawl.api.registrystorage_spec import RegistryStorageSpec, S3Store
from pawl.api.registrystorage_status import StoreRef
from pawl.decide.registrynames import PORT

Json = dict[str, Any]

STORE_DIRECTORY: Final = "/pawl/store"
TLS_DIRECTORY: Final = "/pawl/tls"
HTPASSWD_FILE: Final = "/pawl/htpasswd/htpasswd"
REALM: Final = "pawl"
REGION: Final = "us-east-1"
"""The servers refuse to start requests without one, MinIO's too."""
MIB: Final = 1024 * 1024
COPY_CHUNK: Final = 256 * MIB
COPY_THRESHOLD: Final = 32 * MIB


@dataclass(frozen=True, slots=True)
class Shape:
    """What one process serves. `auth` False: nobody logs in."""

    read_only: bool
    secure: bool
    auth: bool
    port: int = PORT


def config_text(spec: RegistryStorageSpec, store: StoreRef, shape: Shape) -> str:
    """Return the file, the same text for the same input."""
    config: Json = {
        "version": "0.1",
        "log": {"level": "info", "accesslog": {"disabled": True}},
        "storage": _storage(spec, store, read_only=shape.read_only),
        "http": _http(spec, shape),
        "health": {"storagedriver": {"enabled": True, "interval": "10s", "threshold": 3}},
    }
    if shape.auth:
        config["auth"] = {"htpasswd": {"realm": REALM, "path": HTPASSWD_FILE}}
    return yaml.safe_dump(config, sort_keys=True)


def _storage(spec: RegistryStorageSpec, store: StoreRef, *, read_only: bool) -> Json:
    # The purger deletes in a read-only server too, so it is off there. Without a descriptor cache nothing can claim
    # after a collection that a layer is still there; a stat is cheap.
    purging = {"enabled": not read_only, "age": "24h", "interval": "6h", "dryrun": False}
    return {
        **_driver(spec, store),
        "delete": {"enabled": True},
        "redirect": {"disable": True},
        "maintenance": {"uploadpurging": purging, "readonly": {"enabled": read_only}},
    }


def _driver(spec: RegistryStorageSpec, store: StoreRef) -> Json:
    if store.kind == "Filesystem":
        return {"filesystem": {"rootdirectory": STORE_DIRECTORY}}
    return {"s3": _bucket(store, tuning_of(spec, store))}


def tuning_of(spec: RegistryStorageSpec, store: StoreRef) -> S3Store:
    """Return the part sizes of a bucket: those of the spec, the defaults for a bucket that it no longer names."""
    return spec.storage.s3 or S3Store(bucket=store.bucket)


def _bucket(store: StoreRef, tuning: S3Store) -> Json:
    found: Json = {
        "bucket": store.bucket,
        "region": store.region or REGION,
        "forcepathstyle": store.path_style,
        "secure": not store.endpoint.startswith("http://"),
        "skipverify": False,
        "chunksize": tuning.chunk_size * MIB,
        "multipartcopychunksize": COPY_CHUNK,
        "multipartcopymaxconcurrency": tuning.copy_concurrency,
        "multipartcopythresholdsize": COPY_THRESHOLD,
    }
    named = {"regionendpoint": store.endpoint, "rootdirectory": store.root_directory}
    return found | {key: value for key, value in named.items() if value}


def _http(spec: RegistryStorageSpec, shape: Shape) -> Json:
    found: Json = {
        "addr": f":{shape.port}",
        "relativeurls": True,
        "draintimeout": spec.server.drain_timeout,
        "headers": {"X-Content-Type-Options": ["nosniff"]},
    }
    if shape.secure:
        found["tls"] = {
            "certificate": f"{TLS_DIRECTORY}/tls.crt",
            "key": f"{TLS_DIRECTORY}/tls.key",
            "minimumtls": "tls1.2",
        }
    return found
