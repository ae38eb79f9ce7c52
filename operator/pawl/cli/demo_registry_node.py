"""The node on which the demo's registry runs: its Pods are processes of this machine, and end with it.

    python -m pawl.cli.demo_registry_node KUBECONFIG DIRECTORY REGISTRY-BINARY

A process of its own, so that it is recorded with the sandbox and lives on after `pawl demo --keep`.
Neighbours: `sandbox.hostnode` is the node, `demo_crew` starts this. Not here: what is declared (`demo_registry_wish`).
"""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path

from pawl.cli.demo_registry_wish import IMAGE, NODE
from pawl.sandbox.hostnode import HostNode


def main() -> None:
    """Play the node until SIGTERM. Raises SandboxError where the API server does not take it."""
    kubeconfig, directory, registry = (Path(each) for each in sys.argv[1:])
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    programs = {"registry:*": (str(registry),), IMAGE: (sys.executable, "-m", "pawl")}
    with HostNode(kubeconfig, directory, programs, NODE):
        over.wait()


if __name__ == "__main__":
    main()
