"""`python -m rpcshell`."""

import sys

from rpcshell.app.cli import main

if __name__ == "__main__":
    sys.exit(main())
