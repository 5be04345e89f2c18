"""Drills: harm done to a server of one's own on purpose, with a timeline of what came of it.

`drill` runs one: it follows the server by its control socket (`follower`), keeps calling it as any client would
(`probe`) and puts what is seen on a timeline (`timeline`). What harm is done is in `workers`, `crowd` and `flooding`.
"""
