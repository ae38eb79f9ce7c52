"""Tests on real nodes. A package, so that its sandbox ends with its last test and leaves the cores to the others."""
