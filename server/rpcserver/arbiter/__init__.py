"""The process that binds, forks and supervises: its loop, its workers, and its control socket."""
