"""From a place in an order to the store that is there.

Neighbours: `filesystem` and `bucket`. Not here: whether it may be used.
"""

from __future__ import annotations

from pathlib import Path

from pawl.api.registrywork import Place
from pawl.jobs.bucket import Bucket
from pawl.jobs.copystore import HURRY, CopyStore, Patience
from pawl.jobs.filesystem import Filesystem


def open_store(place: Place, patience: Patience = HURRY) -> CopyStore:
    """Return the store of a place. Nothing is read or dialled before it is used.

    `patience`: how long a bucket that refuses or is away is borne, with credentials read anew each time.
    """
    return Filesystem(Path(place.path)) if place.kind == "Filesystem" else Bucket(place, patience)
