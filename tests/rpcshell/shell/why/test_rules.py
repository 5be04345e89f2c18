"""The rules of a diagnosis, each with evidence that was made up for it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from rpcshell.client.errors import (
    CallError,
    CallTimeout,
    Cancelled,
    ConnectionFailed,
    ConnectionLost,
    ProtocolError,
    ShellError,
    UsageError,
)
from rpcshell.client.target import Target, TcpTarget
from rpcshell.client.trace import CallTrace
from rpcshell.servers.processes import ServerEnd
from rpcshell.shell.call import Call
from rpcshell.shell.timing import Timing
from rpcshell.shell.why.evidence import Evidence
from rpcshell.shell.why.rules import RULES, diagnose
from rpcshell.shell.why.snapshot import Snapshot
from rpcwire import ErrorCode, Meta, Reply
from rpcwire.control import ListenerStatus, RunningCall, ServerEvent, ServerStatus, TotalStatus, WorkerStatus

HUNG = Timing(total=3.0, wait=3.0, sent_at=100.0, ended_at=103.0, answered=False)
NOT_CONNECTED = Timing(total=3.0, connect=3.0, dialled=True, connected=False, sent=False, answered=False, attempts=0)
META = Meta(2, 12, 0, "sync", 0, 1)


def worker(number: int, call: str = "", seconds: float = 2.0, connections: int = 1, **more: Any) -> WorkerStatus:
    running = RunningCall(call, seconds) if call else None
    return WorkerStatus(number, 10 + number, call=running, calls_running=bool(call), connections=connections, **more)


def then(
    *workers: WorkerStatus, place: ServerEnd | None = None, model: str = "sync", waiting: int = 0, **states: str
) -> Snapshot:
    status = ServerStatus(
        pid=9, model=model, workers=list(workers), totals=TotalStatus(), listeners=[ListenerStatus("a:1", waiting, 128)]
    )
    return Snapshot(at=102.0, status=status, states={int(pid[1:]): s for pid, s in states.items()}, place=place)


QUEUED = ServerEnd(queued=True)
HELD = ServerEnd(queued=False, pid=12)


def evidence_of(
    method: str = "slow",
    error: ShellError | None = None,
    *,
    meta: Meta | None = None,
    served_by: Meta | None = None,
    size: int = 0,
    target: str = "",
    timing: Timing = Timing(),  # noqa: B008  (frozen)
    attempts: Sequence[tuple[str, str, bool]] = (),
    **more: Any,
) -> Evidence:
    trace = CallTrace()
    for host, reason, may_have_run in attempts:
        trace.attempt_begun(TcpTarget(host, 1))
        trace.attempt_failed(reason, may_have_run=may_have_run)
    if attempts:
        trace.attempt_begun(TcpTarget("b", 1))
    trace.served_by = served_by
    trace.received_size = size
    reply = Reply(method, None, meta=meta) if error is None else None
    return Evidence(
        call=Call(method=method, target=target, reply=reply, error=error, trace=trace),
        target=Target.parse(target) if target else None,
        timing=timing,
        **more,
    )


def hung(snapshot: Snapshot | None = None, **more: Any) -> Evidence:
    given: dict[str, Any] = {"error": Cancelled("cancelled"), "timing": HUNG, "then": snapshot}
    return evidence_of(**given | more)


def refused(code: int) -> Evidence:
    return evidence_of(error=CallError("no", code=code, meta=META))


def died(signal: str | None, pid: int = 12, **more: Any) -> ServerEvent:
    return ServerEvent(2, 101.0, "died", pid - 10, pid, signal=signal, lost=1, **more)


def event(kind: str, pid: int | None = 12) -> ServerEvent:
    return ServerEvent(1, 100.5, kind, 2, pid)


def answered(**parts: Any) -> Evidence:
    timing = Timing(total=1.0, sent_at=100.0, ended_at=101.0, **parts)
    return evidence_of(timing=timing, meta=META, size=5_000_000)


TARGET = TcpTarget("a", 1)
LOST: dict[str, Any] = {"error": ConnectionLost(TARGET, "the server closed it without a reply", may_have_run=True)}
NOT_RUN: dict[str, Any] = {"error": ConnectionLost(TARGET, "the server closed it without a reply", may_have_run=False)}

QMP: dict[str, Any] = {"target": "qmp:unix:/m", "unseen": "it speaks qmp"}
CHILD: dict[str, Any] = {"target": "mcp:exec:npx -y server", "unseen": "a child"}

CASES: dict[str, tuple[Evidence, str, str]] = {
    "a cancelled call of another protocol": (
        hung(error=Cancelled("cancelled: the server was asked to end it, and the session goes on"), **QMP),
        r"^the request was sent whole, and within 3\.0 s nothing came back; the server was asked to end it, and the",
        r"^:events shows .*one call after another begins the next when this one has ended$",
    ),
    "a cancelled call of a child that has told of something": (
        hung(timing=msgspec.structs.replace(HUNG, answered=True), **CHILD),
        r"^the request was sent whole, and within 3\.0 s what came meanwhile was no reply; ",
        r"^:logs shows",
    ),
    "a call of another protocol that took too long": (
        hung(error=CallTimeout(3, method="slow"), **QMP),
        r"nothing came back; the server may still be running it\.$",
        r"^:events",
    ),
    "a child that was still starting": (
        hung(timing=NOT_CONNECTED, **CHILD),
        "^the request was never sent: after 3.0 s there was no connection yet",
        "^:logs shows what the child has said",
    ),
    "a child that cannot be started": (
        evidence_of(error=ConnectionFailed(TARGET, "no program", hint="is it installed?"), **CHILD),
        "^the request was never sent: .*no program",
        "^is it installed$",
    ),
    "a server of another protocol has codes of its own": (
        evidence_of("slow", CallError("no", code=-32001), target="jsonrpc+line:a:1", unseen="it is not yours"),
        r"^the server answered with an error after .*: no",
        r":doc slow",
    ),
    "idle connections hold all workers": (
        hung(then(worker(1), worker(2), place=QUEUED)),
        r"^both workers were held by idle connections, so the request waited 3\.0 s in the listen queue",
        r":scale 4 .*--model thread.*--reclaim-idle",
    ),
    "all workers are busy": (
        hung(then(worker(1, "sleep"), worker(2, "report", 9), worker(3, "sleep"), place=QUEUED)),
        r"^all 3 workers were busy with other calls \(report for 9\.0 s, sleep for 2\.0 s",
        r":scale 6",
    ),
    "some are busy and some held": (
        hung(then(worker(1, "sleep"), worker(2), place=QUEUED)),
        r"^of 2 workers 1 was busy \(sleep for 2\.0 s\) and 1 held by an idle connection",
        r":scale",
    ),
    "none is ready": (hung(then(worker(1, state="starting"), place=QUEUED)), "none .* was ready", ":workers"),
    "the shell's own question waits": (
        hung(
            then(worker(1), worker(2), waiting=1),
            timing=Timing(total=2.0, sent=False, answered=False, attempts=0, ended_at=103.0),
        ),
        "held by idle connections, so for 2.0 s the shell could not even ask",
        ":scale 4",
    ),
    "the shell's own question, of a server that cannot be looked at": (
        hung(timing=Timing(total=2.0, sent=False, answered=False, attempts=0)),
        "^the request was not sent: for 2.0 s the shell waited for an answer to its question",
        ":workers",
    ),
    "the handler takes the time": (
        hung(then(worker(1), worker(2, "slow", 1.9), place=HELD)),
        r"^the handler of slow itself takes the time: worker 2 \(pid 12\) had been in it for 3\.0 s",
        ":drill kill 2",
    ),
    "the handler, where only its method tells": (
        hung(then(worker(1), worker(2, "slow", 1.9))),
        r"^the handler of slow itself takes the time: worker 2",
        "handler",
    ),
    "another call of the same method is not this one": (
        hung(then(worker(1), worker(2, "slow", 60.0))),
        "^the request was sent whole, and nothing came back within 3.0 s",
        "may still be running it",
    ),
    "one's own server that told nothing": (
        hung(Snapshot(at=102.0, states={10: "S"})),
        "nothing came back within 3.0 s; the server did not say in time what its workers did",
        "may still be running it",
    ),
    "a worker is in another call": (
        hung(then(worker(2, "report"), place=HELD)),
        r"^worker 2 \(pid 12\) had the connection but was in another call \(report, for 2\.0 s\)",
        "--model thread",
    ),
    "an event loop is blocked": (
        hung(then(worker(2, "report"), place=HELD, model="async")),
        "block its event loop",
        "await",
    ),
    "the threads are taken": (
        hung(then(worker(2, "report"), place=HELD, model="pool")),
        "or waited for a thread",
        "--threads",
    ),
    "a worker does nothing": (hung(then(worker(2), place=HELD)), "did not begin the call", ":drill kill 2"),
    "its worker is stopped": (
        hung(then(worker(1), worker(2), place=HELD, p12="T")),
        r"^worker 2 \(pid 12\) had the call and was stopped \(SIGSTOP\)",
        "^kill -CONT 12$",
    ),
    "all workers are stopped": (
        hung(then(worker(1), worker(2), place=QUEUED, p11="T", p12="T")),
        r"^both workers were stopped",
        "kill -CONT 11 12",
    ),
    "the server is stopped": (
        hung(Snapshot(at=102.0, states={9: "T"}), arbiter=9),
        r"^the server \(pid 9\) itself was stopped",
        "kill -CONT 9",
    ),
    "it was frozen for a while": (
        hung(then(worker(2), place=HELD), events=(event("frozen"), event("thawed"))),
        r"worker 2 \(pid 12\) had the call and was frozen\.",
        "by itself",
    ),
    "its worker was killed": (
        hung(served_by=META, events=(died("KILL"),), **LOST),
        r"^worker 2 \(pid 12\) was killed by signal 9 \(SIGKILL\) while it had the call",
        "dmesg",
    ),
    "its worker crashed": (hung(served_by=META, events=(died("SEGV"),), **LOST), "native code crashed", "stack"),
    "its worker was told to end": (hung(served_by=META, events=(died("TERM"),), **LOST), "killed by SIGTERM", "sent"),
    "its worker left with an error": (
        hung(served_by=META, events=(died(None, text="left with exit code 3"),), **LOST),
        "left in the middle of the call: it left with exit code 3",
        "log lines",
    ),
    "the server's time limit": (
        hung(served_by=META, events=(event("aborting"), died("ABRT")), **LOST),
        "longer than the server's --timeout",
        "--timeout",
    ),
    "somebody else's death says nothing": (
        hung(then(worker(2, "slow", 1.9), place=HELD), events=(died("KILL", pid=77),)),
        "the handler of slow itself",
        "",
    ),
    "a reload": (hung(events=(event("reloading", None),), **LOST), "because it was being reloaded", "may have run"),
    "a reload, and it did not run": (
        hung(events=(event("reloading", None),), **NOT_RUN),
        "being reloaded; the request did not run",
        "that is safe",
    ),
    "lost for no known reason": (hung(**LOST), "^the connection ended before the reply", "may have run"),
    "lost with its server while the handler ran": (
        hung(then(worker(1), worker(2, "slow"), place=HELD), **LOST),
        r"^the connection ended before the reply, while worker 2 \(pid 12\) was in slow: ",
        "^the request may have run: call again",
    ),
    "lost with its server behind another call": (
        hung(then(worker(1), worker(2, "other", 9.0), place=HELD), **LOST),
        "^the connection ended before the reply: ",
        "may have run",
    ),
    "nobody can look": (hung(), "not yours on this machine", ":set timeout"),
    "half of it was sent": (hung(timing=msgspec.structs.replace(HUNG, sent=False)), "not sent whole", "did not run"),
    "no server": (
        hung(error=ConnectionFailed(TARGET, "connection refused")),
        "^the request was never sent: cannot connect",
        ":servers",
    ),
    "nobody takes the connection": (hung(timing=NOT_CONNECTED), "after 3.0 s there was no connection", "firewall"),
    "the queue is full": (
        hung(then(worker(1), waiting=129), timing=NOT_CONNECTED),
        r"the listen queue was full \(129 of 128 waited\): the only worker, 1, was held",
        ":scale 2",
    ),
    "the server is gone": (
        hung(error=ConnectionFailed(TARGET, "connection refused"), server_ended="was killed by SIGKILL"),
        "the server is gone: it was killed by SIGKILL",
        ":spawn",
    ),
    "nothing that JSON can carry": (hung(error=UsageError("NaN")), "never sent: NaN", ""),
    "the reply is too large": (
        hung(error=ProtocolError("it announced a reply of 9 bytes and the limit is 8")),
        "the reply is too large",
        "ask for less",
    ),
    "another protocol": (hung(error=ProtocolError("a mail server")), "is no reply", "port"),
    "slow: the handler": (
        answered(service=0.9, wait=0.99),
        "handler of slow itself took 900 ms of 1.0 s in worker 2",
        "",
    ),
    "slow: the queue": (answered(service=0.1, wait=0.99), "waited 890 ms of 1.0 s before a worker", ":scale"),
    "slow: the connection": (answered(service=0.0, connect=0.8, wait=0.1), "making the connection took 800 ms", ""),
    "slow: the start of a child": (
        evidence_of(timing=Timing(total=1.0, connect=0.9), **CHILD),
        r"^starting the server took 900 ms of 1\.0 s: it is a child of this shell",
        r"^a call while it runs",
    ),
    "slow: the reply": (answered(service=0.0, transfer=0.9), "reply of 5000000 bytes took 900 ms", "less of it"),
    "slow: the shell": (answered(service=0.0, before=0.9), "the shell was still asking", "--plain"),
    "slow: it waited for idle connections": (
        msgspec.structs.replace(answered(service=0.0, wait=0.99), then=then(worker(1), worker(2), place=QUEUED)),
        "both workers were held by idle connections, so the request waited 990 ms",
        ":scale 4",
    ),
    "sent again after a death": (
        evidence_of("m", timing=Timing(attempts=2), events=(died("KILL"),)),
        r"sent 2 times, since worker 2 \(pid 12\) was killed by SIGKILL",
        "idempotent",
    ),
    "an instance of a fleet was left": (
        evidence_of("m", attempts=(("a", "connection refused", False),), timing=Timing(attempts=1)),
        r"^a:1 did not answer it \(connection refused\), so b:1 was asked",
        "what did not run",
    ),
    "several were, and it may have run": (
        evidence_of("m", attempts=(("a", "reset", True), ("b", "refused", False)), timing=Timing(attempts=2)),
        r"^a:1 did not answer it \(reset\), nor did 1 attempt after it, so b:1 was asked",
        "m is idempotent",
    ),
    "nothing is wrong": (
        evidence_of("m", timing=Timing(total=0.001, wait=0.001, service=0.0002), meta=META),
        "nothing is wrong with it: it was answered in 1 ms, most of that on the way",
        ":stats",
    ),
    "nothing is wrong, and the server has not told how long its handler took": (
        evidence_of("m", timing=Timing(total=0.001, wait=0.001)),
        r"it was answered in 1 ms, most of that waiting for the reply\.",
        ":stats",
    ),
    "nothing is wrong, and the shell took the time": (
        evidence_of("m", timing=Timing(total=0.001, before=0.0006, wait=0.0004)),
        r"it was answered in 1 ms, most of that before the request was sent\.",
        ":stats",
    ),
}

CODES: dict[int, tuple[str, str]] = {
    ErrorCode.BUSY: ("own queue was full", ":scale"),
    ErrorCode.TIMED_OUT: ("longer than --timeout allows", "--timeout"),
    ErrorCode.FRAME_TOO_LARGE: ("larger than the server takes", "--max-frame"),
    ErrorCode.METHOD_NOT_FOUND: ("no method 'slow'", ":methods"),
    ErrorCode.INVALID_PARAMS: ("before any handler ran", ":doc slow"),
    ErrorCode.INTERNAL_ERROR: ("raised an exception", "traceback"),
    ErrorCode.APPLICATION_ERROR: ("an error of its own", "service's word"),
    422: ("an error of its own", "service's word"),
}


@pytest.mark.parametrize("case", CASES)
def test_the_evidence_leads_to_the_cause_and_to_what_to_do(case: str) -> None:
    evidence, cause, advice = CASES[case]
    finding = diagnose(evidence)
    assert re.search(cause, finding.cause), finding
    assert re.search(advice, finding.advice), finding
    assert "\n" not in finding.cause + finding.advice


@pytest.mark.parametrize("code", CODES)
def test_an_error_reply_is_explained_by_its_code(code: int) -> None:
    finding = diagnose(refused(code))
    cause, advice = CODES[code]
    assert cause in finding.cause
    assert advice in finding.advice


def test_of_an_error_without_end_the_beginning_is_told() -> None:
    finding = diagnose(evidence_of(error=CallError("no " + "x" * 100_000, code=-32000, meta=META)))
    assert "no xxx" in finding.cause
    assert len(finding.cause) < 2000


def test_every_rule_has_a_case_of_its_own() -> None:
    evidences = [evidence for evidence, _, _ in CASES.values()]
    evidences += [refused(code) for code in CODES]
    deciding = {next(rule for rule in RULES if rule(evidence) is not None) for evidence in evidences}
    assert [rule.__name__ for rule in RULES if rule not in deciding] == []
