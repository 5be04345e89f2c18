"""`:lesson`: a walk through the models of a server, from one process that blocks to workers that share, on real ones.

The steps are in `steps`, what they say in `english` and `chinese`, and the order and the keys in `course`.
"""
