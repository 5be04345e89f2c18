"""Where the program is put together: the command line, the prompt's loop, and scripts."""
