"""The inside: the Kubernetes API behind a thin adapter, the Lease, Events, Secrets, the ledger's ConfigMap.

Neighbours: `controllers` drives it, with kopf and the queue of keys. Not here: registries, decisions.
"""
