"""Free TCP ports on loopback, below the range that the kernel gives to outgoing connections.

A port that was free a moment ago may be taken by the next outgoing connection if it lies in the ephemeral range; from
`LOWEST` to `HIGHEST` that does not happen. Other sandboxes' ports are passed in, as theirs may not be bound yet.
"""

from __future__ import annotations

import socket
import zlib
from collections.abc import Callable, Collection

from pawl.api.errors import SandboxError

LOOPBACK = "127.0.0.1"
SERVICE_RANGE = "10.96.0.0/16"
"""ClusterIPs of a sandbox without real nodes, where nothing answers on them."""
LOWEST = 20000
HIGHEST = 29999

Allocate = Callable[[str, int, Collection[int]], list[int]]


def is_free(port: int) -> bool:
    """Whether `port` can be bound on loopback now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def allocate(name: str, count: int, taken: Collection[int]) -> list[int]:
    """`count` free ports that are not in `taken`; the same name starts at the same place, so ports rarely move.

    Raises SandboxError when the range holds too few.
    """
    span = HIGHEST - LOWEST + 1
    start = zlib.crc32(name.encode()) % span
    found: list[int] = []
    for step in range(span):
        port = LOWEST + (start + step) % span
        if port not in taken and is_free(port):
            found.append(port)
        if len(found) == count:
            return found
    raise SandboxError(
        f"sandbox {name}: fewer than {count} free ports from {LOWEST} to {HIGHEST}: stop other sandboxes"
    )
