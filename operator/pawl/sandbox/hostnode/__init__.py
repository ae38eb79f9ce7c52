"""A Node whose Pods run as plain processes of this machine, without root, beside the simulated ones.

For the demo and the tests of what Pawl runs itself: registries and their Jobs. The real scheduler binds, the real
controllers make the Pods; this package plays the kubelet, the provisioner and kube-proxy. Pods must keep to one rule:
every path of theirs is below `/pawl/`.
"""

from pawl.sandbox.hostnode.life import HostNode

__all__ = ["HostNode"]
