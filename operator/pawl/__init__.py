"""Pawl: a Kubernetes operator for the image pipeline.

The rooms, from the inside out: `api` (words), `decide` (judgement), `registry` and `cluster` (the two outsides),
`controllers` (flow), `cli` (door), `sandbox` (try it). Imports go one way; import-linter enforces it.
"""

__version__ = "0.1.0"
