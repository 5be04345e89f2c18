"""The screen of `:top`: a prompt_toolkit application that draws what is watched, and gives a board its keys."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypedDict

from prompt_toolkit.application import Application
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.keys import Keys
from prompt_toolkit.layout import FormattedTextControl, Layout, Window

from rpcshell.lab.top.dashboard import Dashboard
from rpcshell.lab.top.feed import Feed
from rpcshell.lab.top.fleet_board import FleetBoard, draw_fleet
from rpcshell.lab.top.fleet_feed import FleetWatch
from rpcshell.lab.top.view import draw
from rpcshell.prompt.terminal_background import terminal_output
from rpcshell.prompt.theme import theme_style
from rpcshell.shell.leaving import endings_handled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Unpack

    from prompt_toolkit.formatted_text.base import StyleAndTextTuples
    from prompt_toolkit.key_binding.key_processor import KeyPressEvent
    from prompt_toolkit.output import ColorDepth, Output
    from prompt_toolkit.styles import BaseStyle

    from rpcshell.client.fleet.instances import InstanceState
    from rpcshell.lab.top.board import Board
    from rpcshell.lab.top.fleet_feed import InstanceLine
    from rpcshell.servers.control import Control
    from rpcshell.view.pretty import Fragment

_ESCAPE_SECONDS: Final = 0.05
"""How long after an Escape the rest of a key's sequence may come."""

_NAMES: Final = {Keys.ControlM: "enter", Keys.ControlJ: "enter", Keys.ControlI: "tab"}


class _Surface(TypedDict, total=False):
    """Where it is drawn; on the process's own terminal, unless told otherwise."""

    theme: str
    style: BaseStyle
    depth: ColorDepth | None
    output: Output


def run_top(connect: Callable[[], Control], name: str, **surface: Unpack[_Surface]) -> None:
    """Show a server until it is left."""
    feed = Feed(connect)
    board = Dashboard(feed, name)

    def drawn(rows: int, columns: int) -> Iterable[Fragment]:
        board.update(feed.news)
        return draw(board, rows, columns)

    _show(board, feed, drawn, surface)


def run_fleet_top(
    instances: Callable[[], Sequence[InstanceState]],
    title: Callable[[Sequence[InstanceLine]], str],
    **surface: Unpack[_Surface],
) -> None:
    """Show the instances of a fleet until it is left.

    `instances` tells which there are by now, and `title` what is said of all of them, in a line.
    """
    watch = FleetWatch(instances)
    board = FleetBoard()

    def drawn(rows: int, columns: int) -> Iterable[Fragment]:
        if (lines := watch.lines) is not None:
            board.update(lines, title(lines))
        return draw_fleet(board, rows, columns)

    _show(board, watch, drawn, surface)


def _show(
    board: Board[Any], feed: Feed | FleetWatch, drawn: Callable[[int, int], Iterable[Fragment]], surface: _Surface
) -> None:
    def pieces() -> StyleAndTextTuples:
        size = application.output.get_size()
        return [*drawn(size.rows, size.columns)]

    application: Application[None] = Application(
        Layout(Window(FormattedTextControl(pieces, focusable=True, show_cursor=False), always_hide_cursor=True)),
        key_bindings=_bindings(board),
        style=surface.get("style") or theme_style(surface.get("theme", "auto")),
        include_default_pygments_style=False,
        color_depth=surface.get("depth"),
        full_screen=True,
        output=surface.get("output") or terminal_output(),
    )
    application.ttimeoutlen = _ESCAPE_SECONDS
    feed.changed = application.invalidate
    received: list[int] = []
    try:
        with _endings_kept(application, received) as leave_if_told:
            feed.start()
            application.run(pre_run=leave_if_told)
    except EOFError:
        # The terminal has gone.
        pass
    finally:
        feed.stop()
    if received:
        # Whoever waits for it does now what is to be done, with the terminal in order.
        signal.raise_signal(received[0])


def _bindings(board: Board[Any]) -> KeyBindings:
    bindings = KeyBindings()

    @bindings.add(Keys.Any, eager=True)
    @bindings.add(Keys.SIGINT, eager=True)
    def _press(event: KeyPressEvent) -> None:
        key = event.key_sequence[0].key
        board.press(_NAMES.get(key, key.value) if isinstance(key, Keys) else key)
        if board.left and not event.app.is_done:
            event.app.exit()

    @bindings.add("c-z", eager=True)
    def _suspend(event: KeyPressEvent) -> None:
        event.app.suspend_to_background()

    return bindings


@contextmanager
def _endings_kept(application: Application[None], received: list[int]) -> Iterator[Callable[[], None]]:
    """Leave upon signals that end a process, and keep them: raised within the event loop, they would be lost."""

    def leave() -> None:
        if received and application.is_running and not application.is_done:
            application.exit()

    def end(number: int, _frame: object) -> None:
        received.append(number)
        if application.loop is not None:
            application.loop.call_soon_threadsafe(leave)

    with endings_handled(end):
        yield leave
