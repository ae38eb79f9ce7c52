"""The inside: the Kubernetes API behind a thin adapter, the Lease, the queue of keys, events, the ledger's ConfigMap.

Neighbours: `controllers` drives it. Not here: kopf (it belongs to `controllers`), registries, decisions.
"""
