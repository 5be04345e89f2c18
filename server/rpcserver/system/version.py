"""The version of the package, for a server to tell: the same as in `rpcshell/version.py`, which it never imports."""

__version__ = "0.1.0"
