"""Load on a server, and what came of it: `:bench` and `rpcshell bench`."""
