"""The terminal of the prompt while something else has the whole of it."""

from __future__ import annotations

import io
import threading

from prompt_toolkit.data_structures import Size
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.output.plain_text import PlainTextOutput
from prompt_toolkit.output.vt100 import Vt100_Output

from rpcshell.prompt.screen import Screen


def test_notes_wait_until_the_terminal_is_given_back() -> None:
    stream = io.StringIO()
    screen = Screen(Vt100_Output(stream, lambda: Size(24, 80)), ColorDepth.DEPTH_1_BIT)
    lent = screen.lend()
    assert lent is not None
    with lent as terminal:
        thread = threading.Thread(target=screen.note, args=("a worker has died",))
        thread.start()
        thread.join()
        assert terminal.depth is ColorDepth.DEPTH_1_BIT
        assert stream.getvalue() == ""
    assert "a worker has died" in stream.getvalue()


def test_a_terminal_that_cannot_be_drawn_on_is_not_lent() -> None:
    assert Screen(PlainTextOutput(io.StringIO()), ColorDepth.DEPTH_1_BIT).lend() is None
