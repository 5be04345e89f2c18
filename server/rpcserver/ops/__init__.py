"""What operators see and need of a server that runs: metrics, and watching its files."""
