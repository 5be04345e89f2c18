"""Servers that speak at any time, at a real terminal: events, parts, forms, cancelling, children, and hostile ones."""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.shells import leave
from tests.e2e.terminal import CTRL_C, CTRL_D, CTRL_R, ENTER, SHELL, TAB, Terminal
from tests.rpcshell import loud
from tests.rpcshell.peers import Peer, serving

CTRL_U = "\x15"

CHILD = f"loud:exec:{sys.executable} -m tests.rpcshell.loud"


@pytest.fixture(scope="module", autouse=True)
def _dialects(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Has all shells find the dialects of the tests in one folder, so that they can be forks of one process."""
    folder = tmp_path_factory.mktemp("dialects")
    loud.install(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", f"{loud.ROOT}:{folder}")
        yield


@contextmanager
def shell_at(home: Path, target: str, *, columns: int = 160) -> Iterator[Terminal]:
    """A shell at its prompt, which knows the dialects of the tests."""
    environment = {"PYTHONPATH": os.environ["PYTHONPATH"]}
    with Terminal(home, (*SHELL, target), environment=environment, columns=columns) as terminal:
        terminal.wait_for(r"> $")
        yield terminal


@contextmanager
def talking(home: Path, dialect: str = "loud") -> Iterator[tuple[Terminal, loud.Server]]:
    server = loud.Server()
    with serving(server) as peer, shell_at(home, f"{dialect}:{peer.target}") as terminal:
        terminal.wait_for("Loud 7.2")
        yield terminal, server


def assert_harmless(terminal: Terminal) -> None:
    assert "\x1b[2J" not in terminal.raw.decode()


@pytest.mark.thorough
def test_what_is_spoken_and_with_whom_is_said_at_the_bottom(tmp_path: Path) -> None:
    with talking(tmp_path) as (terminal, _):
        terminal.wait_for(r"^loud · Loud 7\.2 · 7 commands · ")


def test_events_are_folded_into_one_row_that_leaves_what_is_typed_alone(tmp_path: Path) -> None:
    with talking(tmp_path) as (terminal, _):
        terminal.send(f"tell{ENTER}")
        terminal.wait_for(r"^result \"told\"\n(.*\n)?<- DONE, TICK x3\n.*> $")
        terminal.mark()
        terminal.send(f"tell n=1{ENTER}")
        terminal.wait_for(r"told\"\n(.*\n)?<- DONE, TICK\n.*> $")
        terminal.mark()
        terminal.send(f":events TICK{ENTER}")
        terminal.wait_for(r'TICK \{"number":2\}\n.*TICK \{"number":0\}\n')
        terminal.send(f":events DO*{ENTER}")
        terminal.wait_for(r'DONE \{"id":"job0","evil":"\\u001b\[2J"\}')
        assert_harmless(terminal)


def test_an_event_is_waited_for_and_completed(tmp_path: Path) -> None:
    with talking(tmp_path) as (terminal, _):
        terminal.send(f"tell{ENTER}")
        terminal.wait_for(r"<- DONE")
        terminal.send(":wait D")
        terminal.wait_for(r"DONE +a job is done · came 1 time")
        terminal.send(f"ONE id=job0{ENTER}")
        terminal.wait_for(r'^DONE \{"time": ".*", "name": "DONE"|"id": "job0"')
        terminal.wait_until_keys()
        terminal.send(f":wait TICK number=77{ENTER}")
        terminal.wait_for("number=77$")
        terminal.wait_until_signals()
        terminal.press_until(CTRL_C, r"number=77\n(.*\n)*loud:\S+> $")
        leave(terminal)


@pytest.mark.thorough
def test_events_are_followed_above_the_prompt(tmp_path: Path) -> None:
    with talking(tmp_path) as (terminal, _):
        terminal.send(f":events -f{ENTER}")
        terminal.wait_for("events are followed")
        terminal.send(f"tell{ENTER}")
        terminal.wait_for(r'TICK \{"number":2\}')
        terminal.send(f":events off{ENTER}")
        terminal.wait_for("followed no more")


def test_parts_come_as_they_are_and_progress_in_place(tmp_path: Path) -> None:
    with talking(tmp_path) as (terminal, _):
        terminal.send(f"parts{ENTER}")
        terminal.wait_for(r'^part 1 \{"number": 0\}\npart 2 \{"number": 1\}\npart 3 \{"number": 2\}\nresult "all"$')
        assert "0% · reading\\x1b[2J" in terminal.raw.decode()
        assert_harmless(terminal)


def test_interrupting_a_call_keeps_the_session_and_doing_it_again_closes_it(tmp_path: Path) -> None:
    with talking(tmp_path) as (terminal, server):
        terminal.send(f"hang{ENTER}")
        terminal.wait_until_signals()
        while "hang" not in server.received:
            terminal.wait_until_quiet(0.01)
        terminal.send(CTRL_C)
        terminal.wait_for("^error: cancelled: the server was asked to end it, and the session goes on$")
        assert server.cancelled.wait(30)
        terminal.wait_until_keys()
        terminal.send(f"hang{ENTER}")
        terminal.wait_until_signals()
        while server.received.count("hang") < 2:
            terminal.wait_until_quiet(0.01)
        terminal.send(CTRL_C)
        terminal.wait_for("^error: cancelled again: the connection was closed$")
        terminal.wait_until_keys()
        terminal.mark()
        terminal.send(f"tell{ENTER}")
        terminal.wait_for("told")


@pytest.mark.thorough
def test_what_a_child_prints_is_in_the_logs_and_its_end_is_said(tmp_path: Path) -> None:
    with shell_at(tmp_path, CHILD) as terminal:
        terminal.wait_for("Loud 7.2")
        terminal.send(f"print{ENTER}")
        terminal.wait_for('result "printed"')
        assert not re.search("stderr|JSON", terminal.all_text)
        name = re.escape(Path(sys.executable).name)
        # What comes by another pipe than the result may come after it.
        terminal.press_until(f":logs{ENTER}", rf"^\S+ {name} to stderr \\x1b\[2J$")
        terminal.wait_for(rf"^\S+ {name} not JSON$")
        terminal.send(f"die{ENTER}")
        terminal.wait_for(r"^error: lost the connection .*the child ended with exit status 3")
        terminal.wait_for(r"it said: the last line")
        terminal.wait_for(r" \(lost\)> $")
        terminal.mark()
        terminal.send(f"tell{ENTER}")
        terminal.wait_for("told")
        assert_harmless(terminal)
        leave(terminal)


def test_a_flood_of_events_is_one_row_and_the_prompt_lives(tmp_path: Path) -> None:
    with talking(tmp_path) as (terminal, _):
        terminal.send(f"flood{ENTER}")
        terminal.wait_for(r"^<- TICK x\d\d,\d{3} · :events shows the last 1,000$")
        terminal.send("hang n=1")
        terminal.wait_for(r"> hang n=1$")
        assert terminal.text.count("<- ") == 1
        terminal.send(CTRL_C)
        terminal.send(f":disconnect{ENTER}")
        terminal.wait_for(r"^rpcshell> $")


@pytest.mark.thorough
def test_parts_without_end_are_counted_and_can_be_ended(tmp_path: Path) -> None:
    with talking(tmp_path) as (terminal, _):
        terminal.send(f"endless{ENTER}")
        terminal.wait_for(r"^[\d,]+ parts, of which 200 are shown · waiting for \d+ s · Ctrl-C cancels$")
        terminal.send(CTRL_C)
        terminal.wait_for("^error: cancelled: the server was asked to end it")
        terminal.send("tell")
        terminal.wait_for("> tell$")


def test_a_server_that_never_greets_is_said_in_one_line(tmp_path: Path) -> None:
    with serving(lambda peer: peer.wait_for_end()) as peer, shell_at(tmp_path, f"mute:{peer.target}") as terminal:
        terminal.wait_for(r"^error: cannot connect to .*: it did not greet within 0.5 s")
        terminal.send("typed")
        terminal.wait_for("> typed$")


def fill_in(terminal: Terminal) -> None:
    """Fill in the form of the tests, from its first field to its end."""
    terminal.wait_for(r"^  Your name: $")
    terminal.wait_for(r"as on the badge · string · Enter goes on")
    terminal.send(ENTER)
    terminal.wait_for("this has to be filled in")
    terminal.send(f"Ada Lovelace{ENTER}")
    terminal.wait_for(r"^  size \(optional\): medium$")
    terminal.send(f"{CTRL_U}lar")
    terminal.wait_for(r"^ +large *$")
    terminal.send(f"{TAB}{ENTER}")
    terminal.wait_for(r"^  age \(optional\): $")
    terminal.send(f"17{ENTER}")
    terminal.wait_for("at least 18")
    terminal.send(f"\x7f8{ENTER}")
    terminal.wait_for(r"^  news \(optional\): $")
    terminal.send(ENTER)
    terminal.wait_for(r"accept, decline or cancel\? $")
    terminal.send(f"x{ENTER}")
    terminal.wait_for("^accept, decline or cancel$")
    terminal.send(f"\x7fa{ENTER}")


def test_a_form_is_filled_in_above_the_call_that_waits_for_it(tmp_path: Path) -> None:
    with talking(tmp_path) as (terminal, server):
        terminal.send(f"ask{ENTER}")
        terminal.wait_for(r"^loud:\S+ \(Loud\) asks: Badge\nWho are you\?\\x1b\[2J$")
        fill_in(terminal)
        terminal.wait_for(
            r'^result \{"action": "accept", "content": \{"name": "Ada Lovelace", "size": "large", "age": 18\}\}'
        )
        assert server.answers == [{"action": "accept", "content": {"name": "Ada Lovelace", "size": "large", "age": 18}}]
        assert_harmless(terminal)
        leave(terminal)


def test_a_form_is_declined_and_cancelled_by_a_key(tmp_path: Path) -> None:
    with talking(tmp_path) as (terminal, _):
        terminal.send(f"ask{ENTER}")
        terminal.wait_for(r"^  Your name: $")
        terminal.send(CTRL_D)
        terminal.wait_for(r'^result \{"action": "decline"\}')
        terminal.send(f"ask{ENTER}")
        terminal.wait_for(r'decline"\}\n(.*\n)*  Your name: $')
        terminal.send(CTRL_C)
        terminal.wait_for(r'^result \{"action": "cancel"\}')
        leave(terminal)


@contextmanager
def asking_later(home: Path) -> Iterator[tuple[Terminal, loud.Server, threading.Event]]:
    """A server that asks when the event is set."""
    asked = threading.Event()
    server = loud.Server()

    def ask_later(peer: Peer) -> None:
        def ask() -> None:
            if asked.wait(30):
                peer.sock.sendall(loud.QUESTION)

        asking = threading.Thread(target=ask)
        asking.start()
        server(peer)
        asking.join()

    with serving(ask_later) as peer, shell_at(home, f"loud:{peer.target}") as terminal:
        terminal.wait_for("Loud 7.2")
        yield terminal, server, asked


@pytest.mark.thorough
def test_a_form_waits_for_what_is_being_typed(tmp_path: Path) -> None:
    with asking_later(tmp_path) as (terminal, server, asked):
        terminal.send("tell n=1")
        terminal.wait_for("> tell n=1$")
        asked.set()
        terminal.wait_for(r"^the server asks something; it comes after this line\n\S+> tell n=1$")
        terminal.send(ENTER)
        fill_in(terminal)
        terminal.wait_for('^result "told"')
        assert server.answered.wait(30)
        leave(terminal)


@pytest.mark.thorough
def test_a_form_waits_for_a_search_in_the_history(tmp_path: Path) -> None:
    with asking_later(tmp_path) as (terminal, _, asked):
        terminal.send(f"tell n=1{ENTER}")
        terminal.wait_for('^result "told"')
        terminal.send(CTRL_R)
        terminal.wait_for("I-search")
        asked.set()
        terminal.wait_for(r"^the server asks something; it comes after this line$")
        terminal.send("ell")
        terminal.wait_for("I-search.*ell")
        terminal.send(ENTER)
        terminal.wait_for("> tell n=1$")
        terminal.send(ENTER)
        terminal.wait_for(r"^  Your name: $")
        terminal.send(CTRL_D)
        leave(terminal)


@pytest.mark.thorough
def test_a_form_comes_at_once_at_an_empty_line(tmp_path: Path) -> None:
    with talking(tmp_path) as (terminal, server):
        terminal.send(f"later{ENTER}")
        fill_in(terminal)
        assert server.answered.wait(30)
        terminal.wait_for(r"cancel\? a\n\S+> $")
        terminal.send(f"tell{ENTER}")
        terminal.wait_for("told")


@pytest.mark.thorough
def test_questions_without_end_are_one_line_and_the_prompt_lives(tmp_path: Path) -> None:
    with talking(tmp_path) as (terminal, _):
        terminal.send(f"requests{ENTER}")
        terminal.wait_for(r"asks: Badge\nAgain\?")
        terminal.wait_for(r"accept, decline or cancel\? $")
        terminal.send(CTRL_C)
        terminal.wait_for(r"the server asks more than anybody answers \(fill\): declined until you have entered a line")
        terminal.send("typed")
        terminal.wait_for("> typed$")


@pytest.mark.thorough
def test_a_child_that_ends_while_nobody_calls_is_said_and_started_anew_by_the_next_call(tmp_path: Path) -> None:
    with shell_at(tmp_path, CHILD) as terminal:
        terminal.wait_for("Loud 7.2")
        terminal.send(f"leave{ENTER}")
        # Where the row goes on in the next one depends on the name of the interpreter.
        said = "the child ended with exit status 3; it said: the last line; the next call starts it anew"
        terminal.wait_for(r"\s*".join(map(re.escape, said.replace(" ", ""))) + "$")
        terminal.wait_for(r" \(lost\)> $")
        terminal.mark()
        terminal.send(f"tell{ENTER}")
        terminal.wait_for('^result "told"')
        leave(terminal)


@pytest.mark.thorough
def test_requests_without_end_are_one_line_and_the_prompt_lives(tmp_path: Path) -> None:
    with talking(tmp_path) as (terminal, _):
        terminal.send(f"nag{ENTER}")
        terminal.wait_for(r"the server asks without end \(roots, 1,000 times by now\); its dialect answers$")
        terminal.send("typed")
        terminal.wait_for("> typed$")
        assert terminal.all_text.count("without end") == 1


@pytest.mark.thorough
def test_a_form_comes_above_the_waiting_for_an_event(tmp_path: Path) -> None:
    with asking_later(tmp_path) as (terminal, server, asked):
        terminal.send(f":wait NEVER --timeout 0.5{ENTER}")
        terminal.wait_for("^error: no NEVER within 0.5 s")
        terminal.wait_until_keys()
        terminal.send(f":wait NEVER{ENTER}")
        terminal.wait_for(":wait NEVER$")
        terminal.wait_until_signals()
        asked.set()
        terminal.wait_for(r"^  Your name: $")
        terminal.send(CTRL_D)
        assert server.answered.wait(30)
        terminal.wait_until_signals()
        terminal.mark()
        terminal.press_until(CTRL_C, r"^loud:\S+> $")
        leave(terminal)


@pytest.mark.thorough
def test_a_form_is_declined_while_calls_are_watched(tmp_path: Path) -> None:
    with talking(tmp_path) as (terminal, server):
        terminal.send(f":watch -n 2 0.05 ask{ENTER}")
        terminal.wait_for(r"^the server asked something 2 times \(fill\): declined$")
        assert server.answers == [{"action": "decline"}] * 2
        terminal.mark()
        terminal.send(f"ask{ENTER}")
        terminal.wait_for(r"^  Your name: $")
        terminal.send(CTRL_D)
        leave(terminal)


def test_a_server_that_never_answers_is_said_in_one_line_and_can_be_left(tmp_path: Path) -> None:
    called = threading.Event()

    def listen(peer: Peer) -> None:
        for line in peer.sock.makefile("rb"):
            if b"ping" in line:
                called.set()

    with serving(listen) as peer, shell_at(tmp_path, f"jsonrpc+line:{peer.target}") as terminal:
        terminal.wait_for(r"it did not say within 2 s what it offers, so its methods cannot be completed")
        terminal.send(f"ping{ENTER}")
        terminal.wait_until_signals()
        assert called.wait(30)
        terminal.send(CTRL_C)
        terminal.wait_for(r"^error: cancelled: the session goes on, but the server cannot be asked to end it")
        terminal.send("typed")
        terminal.wait_for("> typed$")


@pytest.mark.thorough
def test_what_is_typed_while_lines_come_above_it_is_whole(tmp_path: Path) -> None:
    with talking(tmp_path) as (terminal, _):
        terminal.send(f":events -f{ENTER}")
        terminal.wait_for("events are followed")
        terminal.send(f"flood{ENTER}")
        terminal.wait_for("flooding")
        terminal.wait_until_keys()
        typed = "abcdefghijklmnopqrstuvwxyz" * 3
        for at in range(len(typed)):
            terminal.send(typed[at])
            terminal.wait_for(f"> {typed[: at + 1]}$")
