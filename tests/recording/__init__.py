"""What pages show of real sessions, recorded anew: `python -m tests.recording.tour`, and `.picture`."""
