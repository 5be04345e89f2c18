"""The steps of the lesson: each runs real servers and tells what really happened. What they say is in the texts."""
