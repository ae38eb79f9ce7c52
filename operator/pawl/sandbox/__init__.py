"""A real Kubernetes control plane on this machine, without Docker: for the demo, the tests, benches and trying things.

Public door; everything else in this package is its own business. The operator never imports it: see `pawl.cli`.
"""

from pawl.sandbox.options import RealNode, Running, Runtime, SandboxOptions, Status
from pawl.sandbox.power import start_node, stop_node
from pawl.sandbox.progress import SILENT, Progress, for_stream
from pawl.sandbox.provider import Cluster, cluster_for_tests
from pawl.sandbox.realnodes.life import images, trust
from pawl.sandbox.realnodes.machine import missing as real_nodes_missing
from pawl.sandbox.sandbox import down, environment, running, status, terminating_cleanly, up
from pawl.sandbox.toolimage import ToolImage, tool_binary, tool_image

__all__ = [
    "SILENT",
    "Cluster",
    "Progress",
    "RealNode",
    "Running",
    "Runtime",
    "SandboxOptions",
    "Status",
    "ToolImage",
    "cluster_for_tests",
    "down",
    "environment",
    "for_stream",
    "images",
    "real_nodes_missing",
    "running",
    "start_node",
    "status",
    "stop_node",
    "terminating_cleanly",
    "tool_binary",
    "tool_image",
    "trust",
    "up",
]
