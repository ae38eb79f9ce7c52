"""Benchmarks: each prints figures of one run with the bound beside them, and never fails on a time.

    make bench                       all of them
    make bench ARGS="first tags"     some of them
    make bench ARGS="--write"        all, and docs/benchmarks.md is written anew

Real parts: kube-apiserver, etcd and a distribution server of the sandbox, `pawl run` as a process of its own.
"""
