"""The order of the steps, and the way through them by keys, in the language that somebody reads."""

from __future__ import annotations

import os
import sys
import termios
import tty
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from rpcshell.client.errors import Cancelled, ShellError
from rpcshell.lab.lesson import chinese, english, measurements, steps
from rpcshell.lab.lesson.page import WIDEST, Page, fill, show_lines
from rpcshell.view.styles import FAINT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from rpcshell.lab.lesson.texts import Texts
    from rpcshell.shell.output import Output

_UNHURRIED: Final = 2.5
"""How much longer pauses are where a person looks on."""

_ON: Final = {b"\n", b"\r", b" ", b"n", b"\x1b[C", b"\x1b[B", b"\x1bOC", b"\x1bOB"}
_BACK: Final = {b"b", b"p", b"\x7f", b"\x08", b"\x1b[D", b"\x1b[A", b"\x1bOD", b"\x1bOA"}
_LEAVE: Final = {b"q", b"Q", b"\x04", b"\x03", b""}

_LONGEST_KEY: Final = 16
"""Bytes that a terminal sends for one."""

_LOCALE: Final = ("LC_ALL", "LC_MESSAGES", "LANG")
"""Variables that say the language of messages, the strongest first (locale(7))."""

STEPS: Final[dict[str, Callable[[Page], None]]] = {
    "one_worker": steps.one_worker,
    "ten_workers": steps.ten_workers,
    "eleven_clients": steps.eleven_clients,
    "threads": steps.threads,
    "pool": steps.pool,
    "event_loop": steps.event_loop,
    "fork": measurements.fork,
    "killed_worker": steps.killed_worker,
    "reload": steps.reload,
    "models": measurements.all_models,
}
"""In order, by the names that their texts are found by."""

_NAMES: Final = tuple(STEPS)

TEXTS: Final = {"en": english.TEXTS, "zh": chinese.TEXTS}
"""The texts by the code of their language."""


class Course:
    """The steps, shown in a language on a screen that has so many columns at the moment."""

    def __init__(self, output: Output, texts: Texts, columns: Callable[[], int]) -> None:
        self._output = output
        self._texts = texts
        self._columns = columns

    def run(self, first: int) -> None:
        """Show all steps from the number `first` on, one after the other; raises `Cancelled` upon Ctrl-C."""
        try:
            for number in range(first, len(STEPS) + 1):
                self._show(number, 1.0)
        except KeyboardInterrupt:
            raise Cancelled("cancelled: the lesson was left, and its servers have ended") from None

    def walk(self, first: int) -> None:
        """Show the step of that number, and then whichever a key leads to, until it is left. Ctrl-C leaves too."""
        step = number = first
        try:
            while 1 <= step <= len(STEPS):
                number = step
                try:
                    self._show(number, _UNHURRIED)
                except Cancelled:
                    raise
                except ShellError as error:
                    # One can go on, or try again.
                    self._output.error(error)
                step = self._asked(number)
        except (KeyboardInterrupt, Cancelled):
            step = 0
        words = self._texts.words
        self._output.note(words.left.format(step=number) if step == 0 else words.over)

    def list_steps(self) -> None:
        """Show the titles of the steps."""
        for number, name in enumerate(STEPS, 1):
            title = self._texts.steps[name].title
            show_lines(self._output, fill([("", title)], self._width, prefix=("", f"{number:>2}  ")))

    @property
    def _width(self) -> int:
        return max(min(self._columns(), WIDEST), 20)

    def _show(self, number: int, pace: float) -> None:
        name = _NAMES[number - 1]
        page = Page(self._output, self._texts, self._texts.steps[name], self._width, pace=pace)
        page.open(number, len(STEPS))
        STEPS[name](page)
        page.close()

    def _asked(self, number: int) -> int:
        """Wait for a key that leads somewhere."""
        words = self._texts.words
        text = words.last_keys
        if number < len(STEPS):
            following = words.following.format(step=number + 1, title=self._texts.steps[_NAMES[number]].title)
            text = words.keys.format(following=following)
        with _key_reader() as read:
            show_lines(self._output, [[("", "")], *fill([(FAINT, text)], self._width)])
            while (step := next_step(read(), number, len(STEPS))) is None:
                pass
        return step


def next_step(key: bytes, step: int, count: int) -> int | None:
    """Where a key leads to from a step of so many: a step, 0 out, the number after the last to the end.

    None means that what the terminal sends for it has no meaning.
    """
    if key in _LEAVE:
        return 0
    if key in _ON:
        return step + 1
    if key in _BACK:
        return max(step - 1, 1)
    if len(key) == 1 and key.isdigit():
        # So that one key is enough for each step.
        wanted = int(key) or 10
        return wanted if wanted <= count else None
    return None


@contextmanager
def _key_reader() -> Iterator[Callable[[], bytes]]:
    """Read single keys from the terminal; those that were pressed before are no answers to what is asked now."""
    terminal = sys.stdin.fileno()
    modes = termios.tcgetattr(terminal)
    try:
        tty.setcbreak(terminal, termios.TCSAFLUSH)
        yield lambda: os.read(terminal, _LONGEST_KEY)
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, modes)


def choose_language(environment: Mapping[str, str]) -> str:
    """The language of the locale in somebody's environment, if there are texts in it, or else English."""
    locale = next((environment[name] for name in _LOCALE if environment.get(name)), "")
    return "zh" if locale.lower().startswith(("zh", "chinese")) else "en"
