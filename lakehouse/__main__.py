"""`python -m lakehouse` is the command line."""

import sys

from lakehouse.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
