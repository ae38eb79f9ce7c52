"""The door: the `pawl` command. Each command imports what it needs when it runs, so that `pawl run` stays small.

Not here: decisions, input and output beyond files, terminals and exit codes.
"""
