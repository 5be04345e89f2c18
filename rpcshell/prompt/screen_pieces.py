"""What the screen shows of replies and errors, in its settings and as wide as it is at the moment."""

from collections.abc import Callable, Iterator
from typing import Any

from rpcshell.client.errors import ShellError
from rpcshell.shell.call import Call
from rpcshell.view.pretty import Fragment
from rpcshell.view.render import render_error, render_footer, render_result, render_value
from rpcshell.view.settings import Settings
from rpcshell.view.styles import FAINT
from rpcshell.view.wrap import wrapped


class ScreenPieces:
    """Makes the styled pieces. `columns` tells how many there are."""

    def __init__(self, settings: Settings, columns: Callable[[], int]) -> None:
        self._settings = settings
        self._columns = columns

    def result(self, call: Call) -> Iterator[Fragment]:
        """The reply of a call that went well."""
        return render_result(call.out, call.result, self._columns(), self._settings, text=call.is_text)

    def value(self, name: str, value: Any) -> Iterator[Fragment]:
        """A value that no call brought just now."""
        return render_value(name, value, self._columns(), self._settings)

    def error(self, error: ShellError) -> Iterator[Fragment]:
        """An error, in lines that fit."""
        columns = self._columns()
        return wrapped(render_error(error, columns, self._settings), columns)

    def footer(self, call: Call) -> list[Fragment]:
        """The dim line of a call, or nothing."""
        footer = render_footer(call.elapsed, call.meta, self._settings, self._columns(), instance=call.instance)
        return [(FAINT, footer + "\n")] if footer else []
