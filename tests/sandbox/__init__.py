"""Tests of `pawl.sandbox`. The ones marked `cluster` start real processes; the others touch only temporary files."""
