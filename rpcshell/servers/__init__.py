"""Watching and steering servers of one's own on this machine, by their control sockets."""
