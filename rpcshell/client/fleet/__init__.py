"""Several servers of one service: which of them gets a call, and what happens to it where one of them fails.

What decides is sans-IO: `balancer` over `instances`, and `failover` for each call. `sources` tells which servers there
are. Connections, locks and threads are the clients' (`fleet_client.py`, `async_fleet_client.py`).
"""
