"""The load engine under benchmarks, drills and lessons: makes calls, times them, and counts what became of them.

For heavy load `LoadProcesses` starts processes of their own, each ordered by a `Task` and heard by its `Tick`s. For a
few calls beside other work there is the `Caller`, a thread of this process with a client.
"""
