"""The RPC shell, and the blocking client as a library."""

__version__ = "0.1.0"
