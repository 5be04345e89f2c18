"""How a child process ended, in words."""

import signal


def how_it_ended(status: int) -> str:
    """Say what a status of `subprocess` means, which is negative for a signal; most real-time ones have no name."""
    if status >= 0:
        return f"ended with exit status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    return f"was killed by {name}"
