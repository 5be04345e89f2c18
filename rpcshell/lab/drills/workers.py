"""Drills on workers: one is sent a signal or frozen, all are replaced, or there shall be more or fewer of them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from rpcshell.lab.drills.drill import CALM, Verdict
from rpcshell.view.escape import visible
from rpcshell.view.units import count_of, duration, plural

if TYPE_CHECKING:
    from rpcshell.lab.drills.drill import Drill
    from rpcshell.lab.drills.timeline import ServerFollower
    from rpcwire.control import ServerEvent, ServerStatus

_UNMOVED: Final = 1.0
"""Seconds to see that a signal does nothing."""

_PATIENCE: Final = 75.0
"""Seconds: longer than a worker may take to finish what it does (30 s) and its successor to start, by default."""

_DEADLY: Final = frozenset({"ABRT", "KILL", "QUIT", "SEGV", "TERM"})
_ENDS: Final = frozenset({"died", "left"})


def kill(drill: Drill, number: int, signal: str) -> None:
    """Send a worker a signal, and follow until it is replaced."""
    follower = drill.follower
    pid = drill.control.kill_worker(number, signal).pid
    drill.verdict = Verdict(f"SIG{signal} was sent to worker {number} (pid {pid}), and nothing more was seen.")
    end = _wait_for(follower, pid, _ENDS, _PATIENCE if signal in _DEADLY else _UNMOVED)
    if end is None:
        drill.verdict = Verdict(_unmoved(number, pid, signal, follower.status))
        return
    recovered = drill.recovery(end.at, _PATIENCE)
    follower.seconds(CALM)
    how = f"was killed by SIG{end.signal}" if end.signal else "left by itself"
    text = f"Worker {number} (pid {pid}) {how}"
    new = next((one for one in reversed(follower.events) if one.kind == "ready" and one.worker == number), None)
    if recovered is None or new is None:
        drill.verdict = Verdict(f"{text}, and the server is not as before after {_PATIENCE:g} s.")
        return
    text += f"; pid {new.pid} took its place {duration(new.at - end.at)} later, and {_lost(drill)}."
    drill.verdict = Verdict(text, recovered)


def freeze(drill: Drill, number: int, seconds: float) -> None:
    """Stop a worker for a while, and follow until calls are answered as before. It is thawed whatever happens."""
    follower = drill.follower
    drill.verdict = Verdict(f"Worker {number} was frozen, and let go on before its time.")
    try:
        pid = drill.control.freeze_worker(number, seconds).pid
        end = _wait_for(follower, pid, _ENDS | {"thawed"}, seconds + _PATIENCE)
    except BaseException:
        drill.control.thaw_worker(number)
        raise
    if end is None or end.kind != "thawed":
        recovered = None if end is None else drill.recovery(end.at, _PATIENCE)
        drill.verdict = Verdict(f"Worker {number} (pid {pid}) did not live to go on, and {_lost(drill)}.", recovered)
        return
    recovered = drill.healthy_after(end.at, _PATIENCE)
    follower.seconds(CALM)
    longest = drill.probe.report().longest
    waited = f"the call that waited longest took {duration(longest)}"
    if longest < drill.probe.stall:
        waited = "the other workers took the calls meanwhile"
    text = f"Worker {number} (pid {pid}) stood still for {duration(seconds)}; {waited}, and {_lost(drill)}."
    drill.verdict = Verdict(text, recovered)


def reload(drill: Drill) -> None:
    """Replace all workers one by one, and follow until that is done."""
    follower = drill.follower
    began = time.monotonic()
    generation = drill.control.reload()
    drill.verdict = Verdict(f"The reload to generation {generation} was begun, and goes on.")
    kinds = {"reloaded", "reload_failed"}
    follower.until(lambda _: any(event.kind in kinds for event in follower.events), _PATIENCE)
    end = next((event for event in follower.events if event.kind in kinds), None)
    if end is None:
        return
    old = {worker.pid for worker in drill.before.workers}
    if end.kind == "reloaded":
        follower.until(lambda status: old.isdisjoint(worker.pid for worker in status.workers), _PATIENCE)
    follower.seconds(CALM)
    if end.kind == "reload_failed":
        drill.verdict = Verdict(f"The reload was given up; the workers that served stay: {visible(end.text)}")
        return
    count = _workers(len(follower.status.workers))
    took = duration(end.at - began)
    drill.verdict = Verdict(f"{count} of generation {generation} took over within {took}, and {_lost(drill)}.")


def scale(drill: Drill, workers: int) -> None:
    """Have another number of workers, and follow until there are so many."""
    follower = drill.follower
    began = time.monotonic()
    before = drill.control.scale(workers)
    if before == workers:
        drill.verdict = Verdict(f"Nothing was to be done: there shall be {_workers(workers)} already.")
        return
    drill.verdict = Verdict(f"From {before} to {_workers(workers)}: it is under way.")
    follower.refresh()

    def there(status: ServerStatus) -> bool:
        return len(status.workers) == workers and all(worker.state == "ready" for worker in status.workers)

    if not follower.until(there, _PATIENCE):
        return
    follower.seconds(CALM)
    ends = [event.at for event in follower.events if event.kind in _ENDS or event.kind == "ready"]
    verb = "came" if workers > before else "left, after answering what they had,"
    took = duration(max([*ends, began]) - began)
    drill.verdict = Verdict(f"{_workers(abs(workers - before))} {verb} within {took}, and {_lost(drill)}.")


def _wait_for(follower: ServerFollower, pid: int, kinds: frozenset[str], seconds: float) -> ServerEvent | None:
    """The first event of some kinds that a process has, if it comes in time."""

    def find() -> ServerEvent | None:
        return next((event for event in follower.events if event.pid == pid and event.kind in kinds), None)

    follower.until(lambda _: find() is not None, seconds)
    return find()


def _unmoved(number: int, pid: int, signal: str, status: ServerStatus) -> str:
    worker = f"Worker {number} (pid {pid})"
    if signal == "STOP":
        return f"{worker} stands still until it is told to go on, `:drill kill {number} CONT`, or is killed."
    if signal == "CONT":
        return f"{worker} goes on, if it stood still."
    if signal in _DEADLY:
        return (
            f"{worker} has not ended within {_PATIENCE:g} s of SIG{signal}; `:drill kill {number} KILL` does not ask."
        )
    state = next((found.state for found in status.workers if found.pid == pid), "gone")
    return f"{worker} took no notice of SIG{signal}: it is {visible(state)}."


def _lost(drill: Drill) -> str:
    lost = max(drill.lost(), drill.probe.lost)
    return f"{lost or 'no'} {plural(lost or 1, 'call was', 'calls were')} lost"


def _workers(count: int) -> str:
    return count_of(count, "worker")
