"""Tests of registries in one world. A package, so that it ends with its last test."""
