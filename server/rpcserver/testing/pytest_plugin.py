"""The pytest plugin under a former name, for environments that were installed with it."""

pytest_plugins = ["pytest_rpcserver"]
