"""`python -m rpcserver`: the same as the `rpcserver` command."""

from .cli import main

if __name__ == "__main__":
    main()
