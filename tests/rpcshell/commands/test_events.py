"""Events kept, shown and waited for, parts of results, and lines that are no messages, in a script and for a person."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rpcshell.client.dialects import Event, Progress
from rpcshell.client.errors import ShellError, UsageError
from rpcshell.commands import load_commands
from rpcshell.shell.parts import MOST_KEPT, MOST_SHOWN, Parts
from rpcshell.shell.session import Session
from rpcshell.shell.shell import Shell
from rpcshell.shell.unasked import EventLog, StrayLog, Subscription
from tests.rpcshell import loud
from tests.rpcshell.commands.recording import Recording
from tests.rpcshell.peers import DEADLINE, Peer, serving


@pytest.fixture(autouse=True)
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loud.install(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)


@contextmanager
def script() -> Iterator[tuple[Shell, Recording]]:
    output = Recording()
    session = Session(background=False)
    with serving(loud.Server()) as peer:
        session.connect(f"loud:{peer.target}")
        try:
            yield Shell(session, output, load_commands), output
        finally:
            session.close()


def test_events_are_a_result_for_programs() -> None:
    with script() as (shell, output):
        shell.execute("tell")
        shell.execute(":events T*")
        (_, found) = output.values[-1]
        assert [event["params"] for event in found] == [{"number": 0}, {"number": 1}, {"number": 2}]
        assert {event["name"] for event in found} == {"TICK"}
        shell.execute(":events -n 1")
        assert [event["name"] for event in output.values[-1][1]] == ["DONE"]
        shell.execute(":events NONE")
        assert output.values[-1][1] == []


def test_what_came_since_the_call_began_is_waited_for_once_each() -> None:
    with script() as (shell, output):
        shell.execute("tell")
        shell.execute(":wait DONE id=job0")
        assert shell.variables["_"]["params"] == {"id": "job0", "evil": "\x1b[2J"}
        assert output.values[-1][0] == "DONE"
        shell.execute(":wait TICK number=2")
        shell.execute(":wait TICK")
        assert shell.variables["_"]["params"] == {"number": 0}
        with pytest.raises(ShellError, match="no DONE within 0 s") as caught:
            shell.execute(":wait DONE -t 0")
        assert caught.value.exit_code == 3


def test_waiting_takes_no_longer_than_a_call_may() -> None:
    with script() as (shell, _):
        shell.session.settings.timeout = 0.1
        with pytest.raises(ShellError, match=r"no NONE within 0\.1 s") as caught:
            shell.execute(":wait NONE")
        assert caught.value.exit_code == 3


def test_an_event_that_is_still_to_come_ends_the_waiting() -> None:
    log = EventLog()
    found: list[Any] = []
    waiting = threading.Thread(
        target=lambda: found.append(log.wait(lambda event: event.params == [2], DEADLINE, lambda: False))
    )
    waiting.start()
    for number in (1, 2):
        log.add(Event("a", [number]))
    waiting.join(DEADLINE)
    # Whoever began to wait too late has found it among those that are kept.
    assert [event.number for event in found] == [2]


@pytest.mark.parametrize("path", ["a.b[1].c", "a.b[1]"])
def test_a_condition_is_a_path_and_a_value(path: str) -> None:
    with script() as (shell, _):
        unasked = shell.session.unasked
        assert unasked is not None
        unasked.events.add(Event("e", {"a": {"b": [0, {"c": "x y"}]}}))
        value = '"x y"' if path.endswith("c") else '{"c":"x y"}'
        shell.execute(f":wait e '{path}={value}'")
        with pytest.raises(ShellError, match="no e with"):
            shell.execute(":wait e a.b[7]=1 -t 0")
        with pytest.raises(UsageError, match="no condition"):
            shell.execute(":wait e a.b")


def test_the_end_of_the_connection_ends_the_waiting() -> None:
    output = Recording()
    session = Session(background=False)
    with serving(lambda peer: None) as peer:
        session.connect(f"loud:{peer.target}")
        with pytest.raises(ShellError, match="connection has ended"):
            Shell(session, output, load_commands).execute(":wait DONE")
        session.close()


def test_who_only_answers_has_no_events(shell: Shell) -> None:
    with serving(lambda peer: peer.wait_for_end()) as peer:
        shell.session.connect(str(peer.target), plain=True)
        with pytest.raises(UsageError, match="only answers"):
            shell.execute(":events")
        shell.session.disconnect()


def test_events_are_followed_in_a_script_until_the_connection_ends() -> None:
    told = threading.Event()

    def tell(peer: Peer) -> None:
        told.wait(DEADLINE)
        peer.sock.sendall(b'{"jsonrpc":"2.0","method":"a","params":[1]}\n{"jsonrpc":"2.0","method":"b"}\n')

    class Told(Recording):
        def value(self, name: str, value: Any) -> None:
            super().value(name, value)
            told.set()

    output = Told()
    session = Session(background=False)
    with serving(tell) as peer:
        session.connect(f"loud:{peer.target}")
        unasked = session.unasked
        assert unasked is not None
        unasked.events.add(Event("a", [0]))
        Shell(session, output, load_commands).execute(":events a -f")
        session.close()
    assert [(value["name"], value["params"]) for _, value in output.values] == [("a", [0]), ("a", [1])]


def test_the_log_of_events_is_bounded() -> None:
    log = EventLog(most=3, memory=4000)
    for number in range(5):
        log.add(Event(f"e{number}", number))
    assert [event.params for event in log.recent()] == [2, 3, 4]
    assert log.count == 5
    log.add(Event("large", "x" * 5000))
    assert (log.recent()[-1].params, log.recent()[-1].has_params) == (None, False)
    for _ in range(10):
        log.add(Event("x" * 5000, ["y" * 500]))
    assert max(map(len, log.names())) == 1000


def test_lines_that_are_no_messages_are_bounded() -> None:
    log = StrayLog("me")
    log.add("a\nb" + "c" * 100_000)
    assert [len(line.text) for line in log.recent()] == [1, 16 * 1024 - 2]
    for number in range(2000):
        log.add(str(number))
    assert len(log.recent()) == 1000


def test_what_is_followed_faster_than_anybody_reads_is_counted() -> None:
    shown: list[tuple[int, int]] = []
    listeners: list[Any] = []

    def show(one: int, left_out: int) -> bool:
        shown.append((one, left_out))
        return True

    following: Subscription[int] = Subscription(listeners, show, 2)
    following.start()
    for number in range(5):
        following._take(number)
    following._since = 0.0
    following._take(5)
    assert shown[0] == (0, 0)
    assert shown[-1] == (5, 5 - (len(shown) - 1))
    following.stop()
    assert listeners == []


def test_parts_are_a_line_each_in_a_script_and_go_where_the_result_goes(tmp_path: Path) -> None:
    with script() as (shell, output):
        shell.execute("parts")
        assert [value for _, value in output.values] == [{"number": 0}, {"number": 1}, {"number": 2}]
        assert output.results[-1].result == "all"
        shell.execute("parts > out.txt")
        assert shell.journal.last is not None
        assert shell.journal.last.trace.on_partial is None
        assert [json.loads(line) for line in (tmp_path / "out.txt").read_text().splitlines()] == [
            {"number": 0},
            {"number": 1},
            {"number": 2},
            "all",
        ]


def test_parts_without_end_are_counted_or_refused() -> None:
    output = Recording()
    parts = Parts(output, most=MOST_SHOWN)
    for number in range(MOST_SHOWN + 5):
        parts(number)
    parts(Progress(1, 2, "half"))
    parts.end()
    assert len(output.values) == MOST_SHOWN
    assert output.notes == [f"{MOST_SHOWN + 5} parts came, of which {MOST_SHOWN} are shown"]
    kept = Parts(output, most=None, keep=True)
    for number in range(MOST_KEPT):
        kept(number)
    with pytest.raises(ShellError, match="too many to keep"):
        kept(0)


def test_a_form_is_declined_in_a_script() -> None:
    with script() as (shell, output):
        shell.execute("ask")
        assert output.results[-1].result == {"action": "decline"}
