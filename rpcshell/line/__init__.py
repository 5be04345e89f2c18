"""What a line means and may become: its language, completion, checks and hints. Pure: no sockets, no terminal."""
