"""Drills: harm done to a server of one's own on purpose, with a timeline of what came of it.

`performing` has them by name. `drill` runs one: it follows the server and keeps calling it as any client would
(`probe`). What harm is done is in `workers`, `starving` and `flood`.
"""
