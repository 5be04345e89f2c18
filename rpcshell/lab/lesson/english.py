"""The lesson in English."""

from __future__ import annotations

from typing import Final

from rpcshell.lab.lesson.texts import ModelColumn, StepText, Texts, Try, Words

_STEPS: Final = {
    "one_worker": StepText(
        title="One worker, two clients",
        about="A sync worker serves one connection until its client hangs up; only then does "
        "it accept the next. Until then a second client waits in the listen queue.",
        moments={
            "started": "1 sync worker, pid {pid}, listens on {address}",
            "held": "client 1 calls ping, is answered after {took:time}, and stays",
            "waits": "client 2 calls ping; connections in the queue: {waiting}",
            "left": "client 1 hangs up; client 2 has waited for {after:time}",
            "served": "worker {worker} accepts client 2 and answers",
        },
        so="client 2 waited {waited:time} for a call that took the worker {service:time}",
        tries=(Try(":spawn 1"), Try(":drill hold 1 -d 4", "what a call beside an idle connection goes through")),
    ),
    "ten_workers": StepText(
        title="Ten workers compete in accept",
        about="Forked workers inherit the same listening socket. They share one queue, and all "
        "of them accept from it; each connection is won by exactly one.",
        moments={
            "started": "{workers} sync workers compete for connections on {address}",
            "took": "{connections} clients, one by one: connect, ping, hang up; {took:time} in all",
        },
        so="each of the {workers} took {least} to {most} of them, with nothing in front that shares out",
        tries=(Try(":spawn 10"), Try(":each whoami", "one connection to each worker, and who it is")),
    ),
    "eleven_clients": StepText(
        title="Eleven clients, ten workers",
        about="Ten clients that stay hold ten sync workers, though none of them asks anything. "
        "The next one waits until somebody leaves, or until the server makes room.",
        moments={
            "started": "{workers} sync workers, --reclaim-idle {reclaim:time}",
            "held": "{clients} clients have called once each, and stay",
            "waits": "client 11 calls; connections in the queue: {waiting}",
            "left": "client {client} leaves",
            "served": "worker {worker} accepts client 11 and answers",
            "stays": "client 12 calls, and this time nobody leaves; in the queue: {waiting}",
            "reclaimed": "client {client} was idle and has to go: worker {worker} answers client 12",
        },
        so="client 11 waited {left:time} for somebody to leave, client 12 {reclaimed:time} for reclaim",
        tries=(Try(":spawn 10"), Try(":drill hold 11", "who is held, who waits, who has to go (reclaim after 5 s)")),
    ),
    "threads": StepText(
        title="Threads cure it",
        about="With --model thread a worker gives each connection a thread and accepts the "
        "next. An idle client then holds a thread, and no longer a whole process.",
        moments={
            "started": "1 thread worker, pid {pid}; threads in it: {threads}",
            "held": "{clients} clients have called once each, and stay",
            "answered": "client {client} connects and calls; the answer takes {took:time}",
            "grown": "threads in the worker now: {threads}",
        },
        so="{clients} clients on one worker, and nobody waits; it costs {more} more threads",
        tries=(Try(":spawn 1 --model thread"), Try(":drill hold 50 -d 3", "the call beside them takes no notice")),
    ),
    "pool": StepText(
        title="A pool of threads, without its trap",
        about="In a naive pool an idle connection keeps its thread, and a few clients use all "
        "of them up. Here epoll watches the idle ones, and threads only run requests.",
        moments={
            "started": "1 pool worker, pid {pid}: {threads} threads, room for {room} requests that wait",
            "parked": "{clients} clients have called once each, and stay; threads in all: {threads}",
            "answered": "client {client} connects and calls; the answer takes {took:time}",
            "storm": "now {clients} more call sleep at once, {seconds:time} each",
            "served": "answered: {served}, the last after {within:time}",
            "busy": "refused as busy (-32001): {busy}, the last after {within:time}",
        },
        so="of the burst {served} were answered and {busy} told to come back: no silent wait",
        tries=(Try(":spawn 1 --model pool"), Try(":drill flood -n 100 --call 'sleep seconds=0.05'", "some are busy")),
    ),
    "event_loop": StepText(
        title="One event loop for everybody",
        about="With --model async one thread has all connections, and turns to another while a "
        "handler awaits. In return, a handler that blocks instead blocks everybody.",
        moments={
            "started": "1 async worker, pid {pid}",
            "naps": "{clients} clients call nap at once, which awaits for {seconds:time}",
            "awake": "all are answered after {took:time}; one by one it would be {one_by_one:time}",
            "threads": "threads in the worker: {threads}",
            "hog": "one client calls hog, which blocks for {seconds:time} without an await",
            "stopped": "another client's ping meanwhile takes {waited:time}",
        },
        so="{clients} calls within {took:time} on one loop, and one bad handler stops them all",
        tries=(Try(":spawn 1 --model async"), Try(":drill hold 200 -d 3", "200 idle connections, one thread for them")),
    ),
    "fork": StepText(
        title="What preforking replaces",
        about="The oldest model forks a process for each connection, which ends with it. They "
        "share nothing and nobody waits, but every client pays for a fork.",
        moments={
            "started": "1 fork worker, pid {pid}",
            "children": "{clients} clients call; these processes answer: {pids}",
            "gone": "the clients hang up, and their processes end",
            "forked": "connect, ping, hang up, with a fork: {took:time} (median)",
            "preforked": "the same with a sync worker that was forked before: {took:time}",
        },
        so="a fork makes a visit {ratio} times as long, so workers are forked beforehand",
        tries=(Try(":spawn 1 --model fork"), Try(":drill hold 5 -d 3", "each connection has a pid of its own")),
    ),
    "killed_worker": StepText(
        title="A worker is killed",
        about="A crash takes one process and the call in its hands. The listening socket is "
        "the arbiter's too and stays open; it sees the death at once and forks a successor.",
        moments={
            "started": "{workers} sync workers",
            "calls": "client 1 is in a long call on worker {worker}, pid {pid}",
            "killed": "SIGKILL to pid {pid}",
            "lost": "client 1 knows within {after:time} that its call is lost, and may have run",
            "others": "client 2 calls ping: worker {worker} answers after {took:time}",
            "successor": "worker {worker} is back as pid {pid}, {took:time} after the death",
        },
        so="workers that died: {died}; calls lost: {lost}; the others served on",
        tries=(Try(":spawn 3"), Try(":drill kill 2", "the same as a timeline, with clients that call meanwhile")),
    ),
    "reload": StepText(
        title="Reload without losing a call",
        about="One by one a new worker gets ready, and only then an old one finishes and goes. "
        "Its last reply says close: whatever had no reply did not run, and is sent again.",
        moments={
            "started": "4 sync workers, generation 0, pids {pids}",
            "loops": "{clients} clients call ping without a pause",
            "reload": "reload",
            "reloaded": "generation 1 after {took:time}, pids {pids}",
        },
        so="calls meanwhile: {calls:count}, lost: {lost}; the longest took {longest:time}",
        tries=(Try(":spawn 4"), Try(":reload", "with your own app: edit it first, and see the new code answer")),
    ),
    "models": StepText(
        title="What each model costs",
        about="All five in turn, 2 workers each, the same service, measured just now. A moment "
        "on this machine: the order says more than the numbers.",
        moments={"measured": "{model} was measured"},
        so="few busy clients: sync; many idle: pool, async; handlers that crash: fork",
        tries=(Try(":bench --models all -c 8 ping", "the same with real load"),),
    ),
}

TEXTS: Final = Texts(
    steps=_STEPS,
    words=Words(
        workers="workers",
        queue="queue",
        took="took",
        idle="{count} idle",
        held="{count} held",
        busy="{count} busy",
        connections="{count} open",
        starting="{count} coming or going",
        try_it="try it yourself:",
        keys="{following} · b back · 1-9, 0 jump · q leaves",
        last_keys="Enter ends the lesson · b back · 1-9, 0 jump",
        following="Enter: {step} {title}",
        left="the lesson was left; :lesson {step} goes on",
        over="that was the lesson; :lesson --list shows its steps, :help the commands",
    ),
    columns={
        "model": ModelColumn("model"),
        "connect": ModelColumn("visit", "connect, one ping, hang up (median)"),
        "cpu": ModelColumn("CPU", "processor time of the server for a ping, sent 32 at once"),
        "slow": ModelColumn("8 slow", "eight clients at once, each with a call that sleeps for 50 ms"),
        "idle": ModelColumn("idle", "clients let in of 16 that call once and stay"),
        "memory": ModelColumn("memory", "of the whole server with those (PSS)"),
    },
)
