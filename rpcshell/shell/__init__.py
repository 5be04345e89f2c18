"""What a shell does with a line: the session, its calls and what is known of them, and what a command is."""
