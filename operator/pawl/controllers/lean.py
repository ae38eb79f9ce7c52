"""Imports without the extras that a library takes when it finds them installed: each costs memory in every replica.

structlog draws tracebacks with rich, which is here for the tables of the command line; kopf knows the objects of the
kubernetes client, which is here to read kubeconfigs. `pawl run` uses neither. Neighbours: `logs` and `watch` import
this way. Not here: Pawl's own lazy imports, which are plain ones inside functions.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def without(*packages: str) -> Iterator[None]:
    """Let the imports of the body take these packages for not installed, unless they are imported already."""
    hidden = [name for name in packages if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]  # how Python is told not to import
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
