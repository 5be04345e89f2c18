"""`:top`: a server of one's own on this machine, drawn on the whole screen again and again, and steered by keys.

What is drawn is made of snapshots without any terminal; only `screen` has one, and only `feed` talks to the server.
"""
