"""Real nodes beside the sandbox's control plane: kubelet, containerd, kube-proxy, each in its namespaces.

`machine` says whether this machine can, `network` and `cgroups` give a node its place in the kernel, `nodeplace` names
its files, `config` and `daemons` say what runs in it, `life` starts and ends it. Simulated nodes are `sandbox.kwok`.
"""
