"""The outside that holds images: a client of the OCI distribution protocol.

Neighbours: `decide.reference` names repositories; `controllers` asks for scans and manifests.
Not here: Kubernetes (credentials arrive as values), and any decision about versions.
"""
