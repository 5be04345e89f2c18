"""What the operating system offers a server: sockets, processes, signals, shared memory, logs, and its settings."""
