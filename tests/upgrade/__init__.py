"""Tests of installing, upgrading and leaving. A package, so that its API servers end with its last test."""
