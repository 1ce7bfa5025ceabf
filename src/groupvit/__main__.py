"""`python -m groupvit`: the command line."""

import sys

from groupvit.cli import main

if __name__ == "__main__":
    sys.exit(main())
