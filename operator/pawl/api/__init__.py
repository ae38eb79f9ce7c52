"""Words: the pydantic models of our kinds, their conditions and reasons, and the errors.

CRDs, JSON Schemas and the reference pages are generated from here. Not here: behaviour.
"""
