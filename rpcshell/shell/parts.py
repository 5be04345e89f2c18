"""What comes of a call before its last reply, as it comes: parts of the result, and how far it is."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from rpcshell.client.dialects import Progress
from rpcshell.client.errors import ShellError
from rpcshell.shell.elapsed import elapsed_text, told_while
from rpcshell.view.units import count_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rpcshell.client.trace import CallTrace
    from rpcshell.shell.output import Output

MOST_SHOWN: Final = 200
"""Parts of one result that are shown to a person; there may be more than anybody reads."""

MOST_KEPT: Final = 100_000

_DRAW_EVERY: Final = 0.1
"""Seconds between two lines that tell how far a call is."""

_FIGURES: Final = 4


class Parts:
    """Shows what comes of one call; for the thread that makes it.

    The `most` first parts of the result are shown, and those after them only counted; None shows all. With `keep`
    they are `kept` instead, for whoever gets the result.
    """

    def __init__(self, output: Output, *, most: int | None, keep: bool = False) -> None:
        self.kept: list[Any] = []
        self._output = output
        self._most = most
        self._keep = keep
        self._count = 0
        self._drawn = 0.0
        self._said = ""
        self._so_far: Callable[[], str] = str

    def __call__(self, value: Any) -> None:
        """Take a part of the result, or a `Progress`; raises `ShellError` where there are too many to keep."""
        if isinstance(value, Progress):
            self._tell(lambda: _progress_text(value))
            return
        self._count += 1
        if self._keep:
            if self._count > MOST_KEPT:
                too_many = f"more than {MOST_KEPT:,} parts came, which are too many to keep"
                raise ShellError(too_many, hint="leave out | or >")
            self.kept.append(value)
        elif self._most is None or self._count <= self._most:
            self._output.part(self._count, value)
        else:
            self._tell(lambda: f"{count_of(self._count, 'part')}, of which {self._most} are shown")

    @contextmanager
    def awaited(self, trace: CallTrace, *, tell: bool) -> Iterator[None]:
        """Until the last reply has come, or will not; with `tell` a person is told how long that takes."""
        if tell:
            self._so_far = elapsed_text("waiting")

            def text() -> str:
                going = (trace.dialled or trace.sending) and not trace.told
                return self._line() if going else ""

            with told_while(text, self._output.progress):
                yield
        else:
            yield
        self.end()

    def end(self) -> None:
        """The last reply has come, or will not."""
        self._output.progress("")
        if self._most is not None and self._count > self._most and not self._keep:
            self._output.note(f"{count_of(self._count, 'part')} came, of which {self._most} are shown")

    def _tell(self, text: Callable[[], str]) -> None:
        now = time.monotonic()
        if now - self._drawn >= _DRAW_EVERY:
            self._drawn = now
            self._said = text()
            self._output.progress(self._line())

    def _line(self) -> str:
        return " · ".join(filter(None, (self._said, self._so_far())))


def _progress_text(progress: Progress) -> str:
    done, total = progress.done, progress.total
    figure = ""
    if done is not None and total:
        figure = f"{max(0.0, min(done / total, 1.0)):.0%}"
    elif done is not None:
        figure = f"{done:.{_FIGURES}g}" if done % 1 else f"{done:,.0f}"
    return " · ".join(filter(None, (figure, progress.text)))
