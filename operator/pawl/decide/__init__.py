"""Judgement: pure functions from (spec, facts, clock) to a decision with its reason.

Neighbours: `api` gives the words; `controllers` gathers the facts and carries the decisions out.
Not here: input, output, asyncio, clocks, randomness.
"""
