"""`python -m pawl`: the same door as the `pawl` command."""

from pawl.cli.main import main

if __name__ == "__main__":
    main()
