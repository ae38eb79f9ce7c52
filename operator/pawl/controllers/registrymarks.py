"""What Pawl writes onto a RegistryStorage itself, beside its status.

Neighbours: `registryfinish` sets and takes the finalizer, the command line lets go of it. Not here: marks of objects
that are made for one.
"""

from __future__ import annotations

from typing import Final

FINALIZER: Final = "pawl.dev/pull-secrets"
"""Held while pull Secrets in other namespaces are to be taken back with it."""
LEAVE: Final = "pawl.dev/leave"
"""Annotation `true`: pull Secrets in other namespaces stay when it is deleted, and no finalizer is set."""
