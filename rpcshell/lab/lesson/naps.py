"""Methods for a server with an event loop: one that waits and lets others go on, and one that does not.

A dict of callables is a service, so that nothing of the server is imported here.
"""

import asyncio
import time


async def nap(seconds: float) -> float:
    """Wait as a coroutine should: the loop goes on."""
    await asyncio.sleep(seconds)
    return seconds


async def hog(seconds: float) -> float:
    """Wait as a coroutine should not: the loop stands still."""
    time.sleep(seconds)  # the mistake is the point
    return seconds


async def ping() -> str:
    """Answer at once."""
    return "pong"


service = {"nap": nap, "hog": hog, "ping": ping}
