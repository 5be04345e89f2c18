"""Talking to a server: targets, connections, the blocking and the asyncio client, and the errors of both."""
