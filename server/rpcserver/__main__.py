"""`python -m rpcserver`: the same as the `rpcserver` command."""

from rpcserver.cli import main

if __name__ == "__main__":
    main()
