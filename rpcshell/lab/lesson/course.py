"""The order of the steps, and the way through them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from rpcshell.client.errors import Cancelled, ShellError
from rpcshell.lab.lesson.page import WIDEST, Page
from rpcshell.lab.lesson.stage import Stage
from rpcshell.lab.lesson.steps.accidents import killed_worker, reload
from rpcshell.lab.lesson.steps.cures import event_loop, pool, threads
from rpcshell.lab.lesson.steps.models import all_models, fork
from rpcshell.lab.lesson.steps.waiting import eleven_clients, one_worker, ten_workers
from rpcshell.lab.lesson.typesetting import fill

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rpcshell.lab.lesson.texts import Texts
    from rpcshell.shell.output import Output
    from rpcshell.view.pretty import Fragment

__all__ = ["STEPS", "Course", "Step"]

_UNHURRIED: Final = 2.5
"""How much longer pauses are where a person looks on."""

_KEYS: Final = "class:footer"


class Step(NamedTuple):
    """A step.

    Attributes:
        name: What its texts are found by.
        run: Does what it is about.
    """

    name: str
    run: Callable[[Stage], None]


STEPS: Final = (
    Step("one_worker", one_worker),
    Step("ten_workers", ten_workers),
    Step("eleven_clients", eleven_clients),
    Step("threads", threads),
    Step("pool", pool),
    Step("event_loop", event_loop),
    Step("fork", fork),
    Step("killed_worker", killed_worker),
    Step("reload", reload),
    Step("models", all_models),
)


class Course:
    """The steps, shown in a language.

    Args:
        output: Where they are shown.
        texts: What they say.
        columns: Of the screen, at the moment.
    """

    def __init__(self, output: Output, texts: Texts, columns: Callable[[], int]) -> None:
        self._output = output
        self._texts = texts
        self._columns = columns

    def run(self, first: int) -> None:
        """Show all steps, one after the other.

        Args:
            first: The number of the step to begin with.

        Raises:
            Cancelled: Ctrl-C was pressed.
        """
        try:
            for number in range(first, len(STEPS) + 1):
                self._show(number, 1.0)
        except KeyboardInterrupt:
            raise Cancelled("cancelled: the lesson was left, and its servers have ended") from None

    def walk(self, first: int) -> None:
        """Show a step, and then whichever a key leads to, until it is left. Ctrl-C leaves too.

        Args:
            first: The number of the step to begin with.
        """
        step = number = first
        try:
            while 1 <= step <= len(STEPS):
                number = step
                try:
                    self._show(number, _UNHURRIED)
                except Cancelled:
                    step = 0
                    break
                except ShellError as error:
                    # One can go on, or try again.
                    self._output.error(error)
                step = self._asked(number)
        except KeyboardInterrupt:
            step = 0
        words = self._texts.words
        self._output.note(words.left.format(step=number) if step == 0 else words.over)

    def list_steps(self) -> None:
        """Show the titles of the steps."""
        for number, step in enumerate(STEPS, 1):
            title = self._texts.steps[step.name].title
            self._lines(*fill([("", title)], self._width, prefix=("", f"{number:>2}  ")))

    @property
    def _width(self) -> int:
        return max(min(self._columns(), WIDEST), 20)

    def _show(self, number: int, pace: float) -> None:
        step = STEPS[number - 1]
        page = Page(self._output, self._texts, self._texts.steps[step.name], self._width)
        page.open(number, len(STEPS))
        step.run(Stage(page, pace))
        page.close()

    def _asked(self, number: int) -> int:
        """Wait for a key that leads somewhere."""
        from rpcshell.lab.lesson.keys import key_reader, next_step

        words = self._texts.words
        text = words.last_keys
        if number < len(STEPS):
            following = words.following.format(step=number + 1, title=self._texts.steps[STEPS[number].name].title)
            text = words.keys.format(following=following)
        with key_reader() as read:
            self._lines([("", "")], *fill([(_KEYS, text)], self._width))
            while (step := next_step(read(), number, len(STEPS))) is None:
                pass
        return step

    def _lines(self, *lines: Sequence[Fragment]) -> None:
        self._output.pieces([piece for line in lines for piece in (*line, ("", "\n"))])
