"""A real Kubernetes control plane on this machine, without Docker: for the demo, the tests, benches and trying things.

Public door; everything else in this package is its own business. The operator never imports it: see `pawl.cli`.
"""

from pawl.sandbox.options import Running, Runtime, SandboxOptions, Status
from pawl.sandbox.progress import SILENT, Progress, for_stream
from pawl.sandbox.provider import Cluster, cluster_for_tests
from pawl.sandbox.sandbox import down, environment, running, status, terminating_cleanly, up

__all__ = [
    "SILENT",
    "Cluster",
    "Progress",
    "Running",
    "Runtime",
    "SandboxOptions",
    "Status",
    "cluster_for_tests",
    "down",
    "environment",
    "for_stream",
    "running",
    "status",
    "terminating_cleanly",
    "up",
]
