"""Tests of GitOps. A package, so that its API server ends with its last test."""
