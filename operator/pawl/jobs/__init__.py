"""Heavy work of a RegistryStorage, done in Pods of its own: copy, collect, measure, verify, probe.

No code here talks to the Kubernetes API: an order comes as a file (`api.registrywork`), a report goes out.
"""
