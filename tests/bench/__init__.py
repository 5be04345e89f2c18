"""Measurements, run by hand: they print figures and assert nothing. Needs gcc.

`python -m tests.bench.throughput` and `python -m tests.bench.startup` from the top of the repository.
"""
