"""The screen of `:top`: a prompt_toolkit application that draws the view, and gives the dashboard its keys."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from prompt_toolkit.application import Application
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.keys import Keys
from prompt_toolkit.layout import FormattedTextControl, Layout, Window

from rpcshell.lab.top.dashboard import Dashboard
from rpcshell.lab.top.feed import Feed
from rpcshell.lab.top.view import draw
from rpcshell.prompt.theme import theme_style

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prompt_toolkit.formatted_text.base import StyleAndTextTuples
    from prompt_toolkit.input import Input
    from prompt_toolkit.key_binding.key_processor import KeyPressEvent
    from prompt_toolkit.output import ColorDepth, Output
    from prompt_toolkit.styles import BaseStyle

    from rpcshell.servers.control import Control

__all__ = ["run_top"]

_ESCAPE_SECONDS: Final = 0.05
"""How long after an Escape the rest of a key's sequence may come."""

_ENDINGS: Final = (signal.SIGTERM, signal.SIGHUP)

_NAMES: Final = {Keys.ControlM: "enter", Keys.ControlJ: "enter", Keys.ControlI: "tab"}


def run_top(
    connect: Callable[[], Control],
    name: str,
    *,
    theme: str = "auto",
    style: BaseStyle | None = None,
    depth: ColorDepth | None = None,
    input: Input | None = None,  # noqa: A002  (prompt_toolkit's name for it)
    output: Output | None = None,
) -> None:
    """Show a server until it is left."""
    feed = Feed(connect)
    board = Dashboard(feed, name)

    def pieces() -> StyleAndTextTuples:
        board.update(feed.news)
        size = application.output.get_size()
        return [*draw(board, size.rows, size.columns)]

    application: Application[None] = Application(
        Layout(Window(FormattedTextControl(pieces, focusable=True, show_cursor=False), always_hide_cursor=True)),
        key_bindings=_bindings(board),
        style=style or theme_style(theme),
        include_default_pygments_style=False,
        color_depth=depth,
        full_screen=True,
        input=input,
        output=output,
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


def _bindings(board: Dashboard) -> KeyBindings:
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

    before = {number: signal.getsignal(number) for number in _ENDINGS}
    for number, handler in before.items():
        if handler != signal.SIG_IGN:
            signal.signal(number, end)
    try:
        yield leave
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
