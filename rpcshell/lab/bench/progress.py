"""How far a run is, drawn again and again: a few lines in place on a screen, or one line on standard error."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from functools import partial
from typing import IO, TYPE_CHECKING, Final

from rpcshell.view.bars import bar, sparkline
from rpcshell.view.escape import visible
from rpcshell.view.pretty import CONSTANT, KEY, NUMBER
from rpcshell.view.styles import FAINT
from rpcshell.view.units import count_of, in_seconds, latency, number, per_second
from rpcshell.view.width import cut

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rpcshell.lab.bench.measurement import RunProgress
    from rpcshell.shell.output import Canvas
    from rpcshell.view.pretty import Fragment

    Draw = Callable[[RunProgress | None], None]

_WIDEST: Final = 60
_ROWS: Final = 7


class DrawnProgress:
    """Draws on a screen: what is run, a bar, the rate now, and the rates so far."""

    def __init__(self, place: Canvas, title: str) -> None:
        self._place = place
        self._title = visible(title)
        self._rates: list[float] = []

    def __call__(self, progress: RunProgress | None) -> None:
        """Draw how far it is; with nothing, that it has not begun."""
        rows, columns = self._place.size
        width = min(columns, _WIDEST)
        head: list[Fragment] = [(FAINT, cut(f"{self._title} · Ctrl-C stops", columns)), ("", "\n\n")]
        if progress is None:
            self._place.draw([*head, ("", "connecting")])
            return
        self._rates.append(progress.rate)
        share = f" {progress.share:>4.0%}  {in_seconds(progress.seconds)}"
        full, rest = bar(progress.share, max(width - len(share), 1))
        text, problems = _said(progress)
        pieces = [*head, (KEY, full), (FAINT, rest), ("", f"{share}\n"), (NUMBER, cut(text, columns))]
        if problems and (room := columns - len(text)) > 1:
            pieces.append((CONSTANT, cut(problems, room)))
        if rows >= _ROWS:
            history = sparkline(self._rates, width, max(self._rates)).strip()
            pieces += [("", "\n\n"), (KEY, history)]
        self._place.draw(pieces)


@contextmanager
def progress_line(stream: IO[str], columns: int) -> Iterator[Callable[[str], Draw]]:
    """Keep a line of a terminal for the progress of runs, and clear it at the end.

    What is given takes the title of a run, and returns what draws that run's progress over the line.
    """

    def write(text: str) -> None:
        with suppress(OSError):
            stream.write(f"\r{text}\x1b[K")
            stream.flush()

    def draw(title: str, progress: RunProgress | None) -> None:
        text = "connecting" if progress is None else f"{progress.share:>4.0%} · {''.join(_said(progress))}"
        write(cut(f"{text} · {title}", max(columns - 1, 1)))

    try:
        yield lambda title: partial(draw, visible(title))
    finally:
        write("")


def _said(progress: RunProgress) -> tuple[str, str]:
    """What there is to say, and what of that is bad."""
    if progress.share >= 1 and not progress.rate:
        text = f"waiting for the last replies · {count_of(progress.calls, 'call')}"
    else:
        text = f"{per_second(progress.rate)} calls/s · p99 {latency(progress.p99)} · {count_of(progress.calls, 'call')}"
    return text, f" · {number(progress.problems)} went wrong" if progress.problems else ""
