"""Tests on an API server. A package, so that it ends with its last test."""
