import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from rpcshell.client.errors import ConnectionFailed, NotConnected, UsageError
from rpcshell.commands import load_commands
from rpcshell.shell.call import Call
from rpcshell.shell.session import Session
from rpcshell.shell.shell import Shell
from rpcshell.view.differences import CHANGED
from rpcshell.view.pretty import Fragment
from tests.rpcshell.commands.recording import Recording
from tests.servers import needs_server

pytestmark = needs_server


class Screen(Recording):
    """An output that can draw in place, and is interrupted after some drawings."""

    def __init__(self, most: int = 100) -> None:
        super().__init__()
        self.drawn: list[list[Fragment]] = []
        self.open = False
        self.size = (12, 60)
        self._most = most

    @contextmanager
    def live(self) -> Iterator["Screen"]:
        self.open = True
        try:
            yield self
        finally:
            self.open = False

    def draw(self, pieces: Sequence[Fragment]) -> None:
        assert self.open
        self.drawn.append(list(pieces))
        if len(self.drawn) == self._most:
            raise KeyboardInterrupt

    def rows(self, at: int) -> list[str]:
        return "".join(text for _, text in self.drawn[at]).splitlines()

    def changes(self, at: int) -> list[str]:
        return [text for style, text in self.drawn[at] if CHANGED in style.split()]


@pytest.fixture
def screen() -> Screen:
    return Screen()


@pytest.fixture
def watching(screen: Screen, address: str) -> Iterator[Shell]:
    session = Session(background=False)
    session.connect(address)
    yield Shell(session, screen, load_commands, interactive=True)
    session.close()


def test_without_a_terminal_only_what_changes_is_shown(shell: Shell, output: Recording, address: str) -> None:
    shell.execute(f":connect {address}")
    shell.execute(":watch -n 3 0.05 ping <\"a\": 'b c'>")
    assert [outcome.result for outcome in output.results] == [{"a": "b c"}]
    shell.execute(":watch --count=3 0.05 now")
    assert len(output.results) == 4
    assert not list(shell.journal)


def test_without_a_terminal_an_error_ends_it(shell: Shell, address: str) -> None:
    shell.execute(f":connect {address}")
    with pytest.raises(Exception, match="failed as asked"):
        shell.execute(":watch 0.05 fail")


def test_ctrl_c_ends_it_and_no_more(address: str) -> None:
    class Interrupted(Recording):
        def result(self, call: Call) -> None:
            super().result(call)
            # It comes about when the command begins to wait for the next call, which is not for a minute.
            threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGINT)).start()

    output = Interrupted()
    session = Session(background=False)
    session.connect(address)
    Shell(session, output, load_commands).execute(":watch 60 ping 1")
    assert len(output.results) == 1
    assert session.call("ping", 2).result == 2
    session.close()


def test_on_a_screen_results_are_drawn_in_place_and_changes_marked(watching: Shell, screen: Screen) -> None:
    watching.execute(':watch -n 2 0.05 ping {"a": 1}')
    watching.execute(":watch -n 2 0.05 now")
    assert screen.rows(0)[0].startswith('every 0.05 s · ping {"a": 1} · ')
    assert screen.rows(0)[1] == 'pong {"a": 1}'
    assert screen.rows(1)[1] == screen.rows(0)[1]
    assert [screen.changes(at) for at in range(3)] == [[], [], []]
    assert screen.changes(3) == [screen.rows(3)[1].removeprefix("now ")]
    assert not screen.open
    # What was there last stays to be seen.
    assert [outcome.method for outcome in screen.results] == ["ping", "now"]
    assert screen.notes[0].startswith("2 calls in ")
    assert not screen.notes[0].endswith(" 0 s")


def test_what_does_not_fit_is_cut(watching: Shell, screen: Screen) -> None:
    watching.execute(f":watch -n 1 1 ping {list(range(1000, 1100))}")
    assert len(screen.rows(0)) <= 11
    assert max(map(len, screen.rows(0))) <= 60
    assert not screen.results


def test_a_secret_is_not_shown(watching: Shell, screen: Screen) -> None:
    watching.execute(":watch -n 1 1 ping password=hunter22")
    assert "hunter22" not in screen.rows(0)[0]


def test_ctrl_c_while_drawing_ends_it(address: str) -> None:
    screen = Screen(most=2)
    session = Session(background=False)
    session.connect(address)
    Shell(session, screen, load_commands).execute(":watch 0.05 ping 1")
    session.close()
    assert len(screen.drawn) == 2
    assert not screen.open


def test_on_a_screen_errors_are_drawn_and_the_server_is_waited_for(watching: Shell, screen: Screen) -> None:
    watching.execute(":watch -n 2 0.05 fail")
    assert "failed as asked" in screen.rows(1)[1]
    assert [str(error) for error in screen.errors] == ["error -32000: failed as asked"]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (":watch", "missing argument 'SECONDS'"),
        (":watch 1", "missing argument 'CALL'"),
        (":watch soon ping", "'soon' is not a valid number of seconds"),
        (":watch 0 ping", "not in the range"),
        (":watch -n 0 1 ping", "not in the range"),
        (":watch 1 :help", "is no call"),
        (":watch 1 x = ping", "is no call"),
        (":watch 1 ping {", "expected"),
        (":watch 1 ping $nothing", "nothing"),
    ],
)
def test_what_cannot_be_watched_is_refused(shell: Shell, address: str, line: str, problem: str) -> None:
    shell.execute(f":connect {address}")
    with pytest.raises(UsageError) as raised:
        shell.execute(line)
    assert problem in str(raised.value)


def test_without_a_target_nothing_is_watched(shell: Shell) -> None:
    with pytest.raises(NotConnected):
        shell.execute(":watch 1 ping")


def test_options_of_the_call_are_its_own(shell: Shell, output: Recording, address: str) -> None:
    shell.execute(f":connect {address}")
    shell.execute(':watch 0.05 -n 1 ping ["--help", "-n"]')
    assert [outcome.result for outcome in output.results] == [["--help", "-n"]]


def test_a_server_that_is_not_there_ends_it_in_a_script(shell: Shell, tmp_path: str) -> None:
    with pytest.raises(ConnectionFailed):
        shell.execute(f":connect {tmp_path}/gone.sock")
    with pytest.raises(ConnectionFailed):
        shell.execute(":watch 1 ping")
