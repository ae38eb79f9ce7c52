"""RegistryStorage: a registry whose bytes are safe, and can move house.

This is the door: spec and status live in `api.registrystorage_spec`, `_access` and `_status`.
Neighbours: `decide.storagestate` and its machines judge it; `api.registrywork` is what its Jobs are told and say;
`api.registrystorage_rules` holds the CEL rules that the API server enforces.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pawl.api.imageoverride import OverrideMeta
from pawl.api.meta import Model
from pawl.api.registrystorage_spec import RegistryStorageSpec
from pawl.api.registrystorage_status import RegistryStorageStatus

__all__ = ["RegistryStorage", "RegistryStorageSpec", "RegistryStorageStatus"]


class RegistryStorage(Model):
    """A registry: its server, its store, and what may be deleted from it."""

    api_version: Literal["pawl.dev/v1alpha1"] = "pawl.dev/v1alpha1"
    kind: Literal["RegistryStorage"] = "RegistryStorage"
    metadata: OverrideMeta
    spec: RegistryStorageSpec = Field(default_factory=RegistryStorageSpec)
    status: RegistryStorageStatus = Field(default_factory=RegistryStorageStatus)
