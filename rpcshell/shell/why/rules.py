"""Why a call failed or was slow, in one sentence, and what to do: a table of rules, the most specific first.

A rule is a pure function from the evidence to a diagnosis, or to None where it has nothing to say. Here are those for
calls without an answer; those for calls that were refused, or answered late, are in `answered`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rpcshell.shell.why.answered import is_main, refused, sent_again, slow, went_on
from rpcshell.shell.why.evidence import Diagnosis, all_of, named
from rpcshell.view.units import duration
from rpcwire.worker_models import worker_model

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcshell.shell.why.evidence import Evidence
    from rpcwire.control import WorkerStatus

_MOST_NAMED: Final = 3


def diagnose(evidence: Evidence) -> Diagnosis:
    """What the evidence tells."""
    return next(found for rule in RULES if (found := rule(evidence)) is not None)


def unsendable(evidence: Evidence) -> Diagnosis | None:
    """The params are nothing that JSON, or a frame, can carry."""
    if evidence.call.failure != "unsendable":
        return None
    return Diagnosis(f"the request was never sent: {evidence.error}.", evidence.hint or "change the params")


def server_ended(evidence: Evidence) -> Diagnosis | None:
    """The server that was spawned here is gone."""
    if not evidence.server_ended or evidence.call.outcome not in {"failed", "cancelled"}:
        return None
    return Diagnosis(
        f"the server is gone: it {evidence.server_ended}.", ":spawn starts another; the last lines of its log are below"
    )


def queue_full(evidence: Evidence) -> Diagnosis | None:
    """No connection could be made because the listen queue had no room."""
    if evidence.timing.sent or evidence.timing.connected or evidence.call.failure not in {"unconnected", ""}:
        return None
    if (status := evidence.status) is None:
        return None
    queues = ((listener.waiting, listener.limit) for listener in status.listeners)
    for waiting, limit in queues:
        if waiting is not None and limit is not None and waiting >= limit:
            return Diagnosis(
                f"the listen queue was full ({waiting} of {limit} waited): {all_of(status.workers)} held, and the "
                f"kernel takes no more connections.",
                f":scale {max(2, len(status.workers) * 2)} for more workers, or :spawn with --model thread",
            )
    return None


def unconnected(evidence: Evidence) -> Diagnosis | None:
    """There was no connection to send anything on."""
    if evidence.call.failure == "unconnected":
        hint = evidence.hint or "start the server, or connect to where it is"
        more = "" if evidence.foreign else ": :servers lists those of yours"
        return Diagnosis(f"the request was never sent: {evidence.error}.", f"{hint.rstrip('?')}{more}")
    timing = evidence.timing
    if evidence.call.outcome == "cancelled" and timing.dialled and not timing.connected:
        return Diagnosis(
            f"the request was never sent: after {duration(timing.connect)} there was no connection yet.",
            ":logs shows what the child has said; it may still have been starting"
            if evidence.child
            else "the host may be down, a firewall may drop the packets, or the server's listen queue may be full",
        )
    return None


def not_a_reply(evidence: Evidence) -> Diagnosis | None:
    """What came back was no reply, or one that is too large."""
    if evidence.call.failure != "protocol":
        return None
    if "announced a reply of" in evidence.error:
        return Diagnosis(f"the reply is too large: {evidence.error}.", "ask for less at once")
    return Diagnosis(f"what came back is no reply: {evidence.error}.", evidence.hint or "is this the right port?")


def worker_died(evidence: Evidence) -> Diagnosis | None:
    """The worker that had the call died of a signal, or left with an error."""
    if evidence.call.outcome == "ok" or evidence.call.meta is not None:
        return None
    deaths = evidence.events_of("died")
    death = next((event for event in deaths if event.pid == evidence.pid), None)
    if death is None:
        # Where nobody saw who had it, a death with a call in it while this one was lost is as good.
        death = next((event for event in deaths if event.lost and evidence.call.failure == "lost"), None)
    if death is None:
        return None
    who = f"worker {death.worker} (pid {death.pid})"
    if any(event.pid == death.pid for event in evidence.events_of("aborting")):
        return Diagnosis(
            f"{who} was ended by its server: the call ran longer than the server's --timeout.",
            "make the handler faster, or start the server with a longer --timeout",
        )
    if death.signal is None:
        return Diagnosis(
            f"{who} left in the middle of the call: it {death.text or 'ended'}.",
            "its last log lines are below; another worker has taken its place",
        )
    if death.signal == "KILL":
        how, do = "by signal 9 (SIGKILL)", "somebody sent it, or the kernel ran out of memory: dmesg tells which"
    elif death.signal in {"SEGV", "BUS", "ILL", "FPE", "ABRT"}:
        how, do = f"by SIG{death.signal}: its own native code crashed", "the stack is in the log, below"
    else:
        how, do = f"by SIG{death.signal}", "somebody sent it that signal"
    again = "the call may have run in part: call again if that does no harm, as another worker has taken its place"
    return Diagnosis(f"{who} was killed {how} while it had the call.", f"{do}; {again}")


def stopped(evidence: Evidence) -> Diagnosis | None:
    """A process that had to act was stopped by a signal."""
    status = evidence.status
    if evidence.timing.answered and evidence.call.outcome == "ok" and not evidence.events_of("frozen", "thawed"):
        return None
    frozen = next((event for event in evidence.events_of("frozen") if event.pid == evidence.pid), None)
    if frozen is not None:
        return Diagnosis(
            f"worker {frozen.worker} (pid {frozen.pid}) had the call and was frozen {frozen.text}".rstrip() + ".",
            "it goes on by itself: :drill freeze, or a program on the control socket, did that",
        )
    if evidence.pid is not None and evidence.stopped(evidence.pid):
        who = evidence.worker
        name = f"pid {evidence.pid}" if who is None else named(who)
        return Diagnosis(
            f"{name} had the call and was stopped (SIGSTOP): it does nothing until it is let go on.",
            f"kill -CONT {evidence.pid}",
        )
    if status is not None and status.workers and all(evidence.stopped(worker.pid) for worker in status.workers):
        pids = " ".join(str(worker.pid) for worker in status.workers)
        return Diagnosis(f"{all_of(status.workers)} stopped (SIGSTOP), so nobody took the call.", f"kill -CONT {pids}")
    if evidence.call.outcome != "ok" and evidence.stopped(evidence.arbiter):
        return Diagnosis(
            f"the server (pid {evidence.arbiter}) itself was stopped (SIGSTOP), perhaps with its workers.",
            f"kill -CONT {evidence.arbiter}",
        )
    return None


def closed_by_server(evidence: Evidence) -> Diagnosis | None:
    """The server let go of the connection, as it does when it reloads, scales down or stops."""
    if evidence.call.failure not in {"lost", "not_run"}:
        return None
    events = evidence.events_of("reloading", "scaling", "retiring", "reclaim", "draining", "left")
    if not events and evidence.call.failure == "lost":
        return None
    first = events[0] if events else None
    reason = {
        "reloading": "it was being reloaded",
        "scaling": "it was being scaled down",
        "retiring": "the worker had answered as many calls as it should (--max-requests)",
        "reclaim": "others waited, and the connection had been idle, or in use, for --reclaim-idle",
    }.get("" if first is None else first.kind, "its worker was leaving")
    if evidence.call.failure == "not_run":
        return Diagnosis(
            f"the server closed the connection because {reason}; the request did not run.", "call again: that is safe"
        )
    return Diagnosis(
        f"the server closed the connection because {reason}.",
        "call again if that does no harm: the request may have run",
    )


def queued(evidence: Evidence) -> Diagnosis | None:
    """Nobody had accepted the connection: why not."""
    status = evidence.status
    if status is None or not _waited(evidence):
        return None
    if evidence.queued:
        waited = f"so the request waited {duration(evidence.timing.wait)} in the listen queue"
    elif evidence.unasked and status.waiting:
        waited = f"so for {duration(evidence.timing.total)} the shell could not even ask what the server offers"
    else:
        return None
    ready = [worker for worker in status.workers if worker.state == "ready"]
    if not ready:
        return Diagnosis(
            f"none of the server's workers was ready, {waited}.", ":workers shows when they are; :logs why they are not"
        )
    busy = [worker for worker in ready if worker.call is not None]
    more = f":scale {len(ready) * 2} for more workers, or :spawn with --model thread"
    if not busy and not status.concurrent:
        return Diagnosis(
            f"{all_of(ready)} held by idle connections, {waited} and nobody read it.",
            f"{more}, where idle connections hold nobody up; a smaller --reclaim-idle frees such workers sooner",
        )
    if len(busy) == len(ready):
        return Diagnosis(
            f"{all_of(ready)} busy with other calls ({_calls(busy)}), {waited}.",
            f"{more}; or look at what takes these calls so long",
        )
    if not status.concurrent:
        held = len(ready) - len(busy)
        return Diagnosis(
            f"of {len(ready)} workers {len(busy)} {'was' if len(busy) == 1 else 'were'} busy ({_calls(busy)}) and "
            f"{held} held by {'an idle connection' if held == 1 else 'idle connections'}, {waited}.",
            more,
        )
    return Diagnosis(
        f"no worker took the connection, {waited}.",
        "workers at their --max-connections take no more; :workers shows theirs",
    )


def before_the_call(evidence: Evidence) -> Diagnosis | None:
    """The shell's own question, before the first call, was not answered."""
    if not evidence.unasked:
        return None
    return Diagnosis(
        f"the request was not sent: for {duration(evidence.timing.total)} the shell waited for an answer to its "
        f"question what the server offers.",
        "what held up that question would have held up the call"
        + ("" if evidence.foreign else ": :workers shows who is busy"),
    )


def handler_running(evidence: Evidence) -> Diagnosis | None:
    """The handler was at work when the call was given up."""
    worker = evidence.handling
    if worker is None or evidence.call.meta is not None or worker.call is None or evidence.call.failure == "lost":
        return None
    ran = evidence.timing.ended_at - evidence.timing.sent_at if evidence.timing.sent_at else worker.call.seconds
    return Diagnosis(
        f"the handler of {evidence.call.method} itself takes the time: {named(worker)} had been in it for "
        f"{duration(ran)}.",
        f"give it time (:set timeout), or look into the handler; :drill kill {worker.worker} ends it if it never will",
    )


def behind_another(evidence: Evidence) -> Diagnosis | None:
    """A worker had accepted the connection, but was in other calls."""
    worker = evidence.worker
    status = evidence.status
    if status is None or worker is None or worker.call is None or evidence.handling or not _waited(evidence):
        return None
    wait = duration(evidence.timing.wait)
    what = f"{worker.call.method}, for {duration(worker.call.seconds)}"
    if status.model == "async" and worker.calls_running == 1:
        cause = f"{named(worker)} had the request but was in another call ({what}), which may block its event loop"
        return Diagnosis(f"{cause}, for {wait}.", "await in coroutines what waits, or make that handler a plain one")
    if status.concurrent and not worker_model(status.model).forks:
        calls = "another call" if worker.calls_running == 1 else f"{worker.calls_running} calls at once"
        return Diagnosis(
            f"{named(worker)} had the request beside {calls} (the longest: {what}): it shared the processor with them, "
            f"or waited for a thread.",
            "more --threads for handlers that wait, :scale for handlers that compute",
        )
    return Diagnosis(
        f"{named(worker)} had the connection but was in another call ({what}), so the request waited {wait}.",
        f":scale {len(status.workers) * 2} for more workers, or :spawn with --model thread",
    )


def accepted_but_silent(evidence: Evidence) -> Diagnosis | None:
    """A worker had the connection and was in no call, as far as it told."""
    worker, call = evidence.worker, evidence.call
    given_up = call.outcome in {"cancelled", "failed"} and call.failure != "lost"
    if worker is None or evidence.timing.answered or not given_up:
        return None
    return Diagnosis(
        f"{named(worker)} had the connection but did not begin the call within {duration(evidence.timing.wait)}.",
        f":logs {worker.worker} tells what it did; :drill kill {worker.worker} has another take its place",
    )


def foreign_silence(evidence: Evidence) -> Diagnosis | None:
    """A server of another protocol had the request; what came meanwhile may have been anything but the reply."""
    if not evidence.foreign or not evidence.timing.sent or evidence.call.failure in {"lost", "not_run", "protocol"}:
        return None
    waited = duration(evidence.timing.ended_at - evidence.timing.sent_at)
    match evidence.call.outcome:
        case "cancelled":
            became = evidence.error.removeprefix("cancelled: ")
        case "failed":
            became = "the server may still be running it"
        case _:
            return None
    came = "what came meanwhile was no reply" if evidence.timing.answered else "nothing came back"
    return Diagnosis(
        f"the request was sent whole, and within {waited} {came}; {became}.",
        f"{':logs' if evidence.child else ':events'} shows what it said meanwhile; a server that runs one call after "
        f"another begins the next when this one has ended",
    )


def silence(evidence: Evidence) -> Diagnosis | None:
    """The request was sent, and nothing more is known."""
    if evidence.call.outcome not in {"cancelled", "failed"} or evidence.call.failure in {"lost", "protocol"}:
        return None
    if not evidence.timing.sent:
        return Diagnosis("the request was not sent whole.", "it did not run: call again")
    where = ""
    if evidence.status is None:
        where = "; of a server that is not yours on this machine no more can be seen"
        if evidence.then is not None or evidence.now is not None:
            where = "; the server did not say in time what its workers did"
    return Diagnosis(
        f"the request was sent whole, and nothing came back within {duration(evidence.timing.wait)}{where}.",
        "the server may still be running it; :set timeout limits how long a call may take",
    )


def lost(evidence: Evidence) -> Diagnosis | None:
    """The connection ended, and nobody saw why."""
    if evidence.call.failure != "lost":
        return None
    again = "the request may have run: call again if that does no harm"
    if (worker := evidence.handling) is not None:
        # It was seen to be the right server.
        return Diagnosis(
            f"the connection ended before the reply, while {named(worker)} was in {evidence.call.method}: "
            f"{evidence.error}.",
            again,
        )
    return Diagnosis(f"the connection ended before the reply: {evidence.error}.", evidence.hint or again)


def all_well(evidence: Evidence) -> Diagnosis:
    """Nothing is wrong; where most of the time went."""
    timing = evidence.timing
    if evidence.call.outcome != "ok":
        return Diagnosis(f"{evidence.error}.", evidence.hint or "the error says what is known")
    parts = {
        "before the request was sent": timing.before,
        "for the connection": timing.connect,
        "on the reply's way": timing.transfer + timing.after,
    }
    if timing.queue is None:
        # What of it was the handler's the server has not told.
        parts |= {"to send the request": timing.send, "waiting for the reply": timing.wait}
    else:
        parts |= {"in the handler": timing.service or 0.0, "on the way to the handler": timing.send + timing.queue}
    most = max(parts, key=lambda name: parts[name])
    return Diagnosis(
        f"nothing is wrong with it: it was answered in {duration(timing.total)}, most of that {most}.",
        ":stats shows how long such calls usually take",
    )


def _waited(evidence: Evidence) -> bool:
    """Whether waiting is what became of the call, or of most of its time."""
    if evidence.call.meta is None:
        return evidence.call.failure not in {"unsendable", "unconnected", "lost"}
    return evidence.timing.queue is not None and is_main(evidence, evidence.timing.queue)


def _calls(workers: list[WorkerStatus]) -> str:
    calls = sorted((worker.call for worker in workers if worker.call), key=lambda call: -call.seconds)
    shown = [f"{call.method} for {duration(call.seconds)}" for call in calls[:_MOST_NAMED]]
    return ", ".join(shown) + (", …" if len(calls) > _MOST_NAMED else "")


RULES: Final[tuple[Callable[[Evidence], Diagnosis | None], ...]] = (
    unsendable,
    server_ended,
    queue_full,
    unconnected,
    not_a_reply,
    refused,
    worker_died,
    stopped,
    closed_by_server,
    queued,
    before_the_call,
    handler_running,
    behind_another,
    accepted_but_silent,
    went_on,
    sent_again,
    slow,
    lost,
    foreign_silence,
    silence,
    all_well,
)
"""The most specific first; the last one always has something to say."""
