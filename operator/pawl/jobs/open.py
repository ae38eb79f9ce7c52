"""From a place in an order to the store that is there.

Neighbours: `filesystem` and `bucket`. Not here: whether it may be used.
"""

from __future__ import annotations

from pathlib import Path

from pawl.api.registrywork import Place
from pawl.jobs.bucket import Bucket
from pawl.jobs.copystore import CopyStore
from pawl.jobs.filesystem import Filesystem


def open_store(place: Place) -> CopyStore:
    """Return the store of a place. Nothing is read or dialled before it is used."""
    return Filesystem(Path(place.path)) if place.kind == "Filesystem" else Bucket(place)
