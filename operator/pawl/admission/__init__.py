"""gate: what rewrites Pods as they are created: a policy inside the API server, or a webhook on every replica.

No network I/O in the path of a request. Both interpret the same tables (`api.imagerules`).
"""
