"""Flow: one file a kind, each gather -> decide -> act -> report, fed by a queue of keys.

Neighbours: `decide` judges, `registry` and `cluster` are the two outsides. Not here: rules about versions.
"""
