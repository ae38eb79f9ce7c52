"""Tests of the chart. A package, so that its API servers end with its last test."""
