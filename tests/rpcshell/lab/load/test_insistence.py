from __future__ import annotations

from rpcshell.client.target import Target, TcpTarget
from rpcshell.lab.load.messages import Begin, Stop, Task, Tick
from rpcshell.lab.load.process import LoadProcesses
from rpcwire import encode_request
from tests.rpcshell.peers import DEADLINE, echo, free_port, serving

BODY = encode_request("ping", 1)


def ticks_until_stopped(target: Target, stop_at: str) -> list[Tick]:
    """What a load process says that begins whether or not it has connections, until it was told to stop."""
    task = Task(
        target=str(target),
        body=BODY,
        first=BODY,
        connections=3,
        pipeline=4,
        insistent=True,
        period=0.05,
        timeout=DEADLINE,
    )
    found: list[Tick] = []
    with LoadProcesses([task]) as processes:
        processes.connect(target)
        processes.tell(Begin())
        while not found or not found[-1].last:
            for _, report in processes.wait(DEADLINE):
                assert isinstance(report, Tick)
                found.append(report)
                if report.calls if stop_at == "a call" else report.problems:
                    processes.tell(Stop())
    return found


def test_connections_that_cannot_be_made_are_counted() -> None:
    ticks = ticks_until_stopped(TcpTarget("127.0.0.1", free_port()), "a problem")
    assert {kind for tick in ticks for kind in tick.problems} == {"no connection"}
    assert {tick.calls for tick in ticks} == {tick.open for tick in ticks} == {ticks[-1].connected} == {0}


def test_connections_are_told_of_while_there_are_some() -> None:
    with serving(echo) as server:
        ticks = ticks_until_stopped(server.target, "a call")
    assert 1 <= max(tick.open for tick in ticks) <= ticks[-1].connected <= 3
    assert ticks[-1].open == 0
