"""The template in the line being typed: where its fields are now, going from one to the next, and how they look.

What a template of a method is, is `templates`' to say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prompt_toolkit.application.current import get_app
from prompt_toolkit.document import Document
from prompt_toolkit.layout.processors import Processor, Transformation
from prompt_toolkit.layout.utils import explode_text_fragments

from rpcshell.view.escape import visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from prompt_toolkit.buffer import Buffer
    from prompt_toolkit.layout.processors import TransformationInput

    from rpcshell.prompt.templates import Template, TemplateField

_PLACE: Final = "class:place"
_DEFAULT: Final = " class:place.default "
_ERROR: Final = "class:pygments.error"
_PROBLEM: Final = "class:problem"


class _Stop:
    __slots__ = ("end", "field", "start", "touched")

    def __init__(self, field: TemplateField, offset: int) -> None:
        self.field = field
        self.start = offset + field.start
        self.end = offset + field.end
        self.touched = False


class Tabstops:
    """The fields of the template that was put into a buffer last, until the text is changed elsewhere."""

    def __init__(self, buffer: Buffer) -> None:
        self._buffer = buffer
        self._text = ""
        self.stops: list[_Stop] = []
        self._current = 0
        buffer.on_text_changed += lambda _buffer: self._follow()

    @property
    def active(self) -> bool:
        """Whether there is a template to go through."""
        return bool(self.stops)

    def are_in(self, text: str) -> bool:
        """Whether there are fields in a text that is drawn, which while the history is searched is not the buffer's."""
        return bool(self.stops) and text == self._text

    def problem_marks(self, problems: Sequence[tuple[int, int]]) -> list[tuple[int, int, str]]:
        """Marks for the problems of the text that are not just fields still to be filled in."""
        lacking = {stop.start - stop.field.quoted for stop in self.stops if stop.start == stop.end}
        return [(start, end, _PROBLEM) for start, end in problems if start not in lacking]

    def here(self) -> TemplateField | None:
        """The field that the cursor is in."""
        stop = self._at_cursor()
        return None if stop is None else stop.field

    def begin(self, template: Template, *, lead: str = "") -> None:
        """Put a template in at the cursor, and go to its first field. `lead` comes before it."""
        self.stops = []
        start = self._buffer.cursor_position + len(lead)
        self._buffer.insert_text(lead + template.text, fire_event=False)
        self._text = self._buffer.text
        self.stops = [_Stop(field, start) for field in template.fields]
        self._go(0)

    def ask(self, places: Sequence[int]) -> None:
        """Make an empty field of each place where a secret was masked, and go to the first."""
        from rpcshell.prompt.templates import secrets_left_out

        text, fields = secrets_left_out(self._buffer.text, places)
        self.stops = []
        self._buffer.document = Document(text, fields[0].start)
        self._text = text
        self.stops = [_Stop(field, 0) for field in fields]
        self._go(0)

    def end(self) -> None:
        """Forget the template; the text stays."""
        self.stops = []

    def move(self, step: int) -> None:
        """Go on by `step` fields, or back; after the last one to the end of the line, which ends the template."""
        cursor = self._buffer.cursor_position
        if self._at_cursor() is not None:
            wanted = self._current + step
        elif step > 0:
            wanted = next((n for n, stop in enumerate(self.stops) if stop.start > cursor), len(self.stops))
        else:
            wanted = next((n for n in reversed(range(len(self.stops))) if self.stops[n].end < cursor), 0)
        if wanted < len(self.stops):
            self._go(max(wanted, 0))
        else:
            self.end()
            self._buffer.cursor_position = len(self._buffer.text)

    def go_to_empty(self) -> bool:
        """Go to the first field that lacks a value, unless the cursor is in one; whether there was one to go to."""
        here = self._at_cursor()
        lacking = [n for n, stop in enumerate(self.stops) if stop.start == stop.end and not stop.field.quoted]
        if not lacking or (here is not None and here.start == here.end):
            return False
        self._go(lacking[0])
        return True

    def is_fresh(self) -> bool:
        """Whether the cursor is in a default that was not touched yet, which the next key replaces."""
        stop = self._at_cursor()
        return stop is not None and not stop.touched and stop.start < stop.end

    def clear(self) -> None:
        """Take out what is in the field of the cursor."""
        stop = self._at_cursor()
        if stop is not None:
            self._replace(stop, "")

    def choose(self) -> bool:
        """Where few values go and one is begun, put in the one that is meant; whether there was exactly one."""
        stop = self._at_cursor()
        if stop is None:
            return False
        typed = self._buffer.text[stop.start : stop.end].strip("\"'")
        meant = [choice for choice in stop.field.choices if choice.strip('"').startswith(typed)]
        if not typed or len(meant) != 1:
            return False
        self._replace(stop, meant[0])
        return True

    def is_undecided(self) -> bool:
        """Whether the cursor is where few values go, and one of them is begun but not there."""
        stop = self._at_cursor()
        if stop is None or not stop.field.choices:
            return False
        typed = self._buffer.text[stop.start : stop.end]
        return bool(typed) and typed not in stop.field.choices

    def take_quote(self) -> bool:
        """Where a quote is typed inside a string literal that has both of its own already; whether it was that."""
        stop = self._at_cursor()
        if stop is None or not stop.field.quoted or self._buffer.cursor_position != stop.end:
            return False
        if stop.start < stop.end:
            self._buffer.cursor_position += 1
        return True

    def drop_quotes(self) -> None:
        """Where nothing is in a string literal yet, take its quotes away, for a variable is none."""
        stop = self._at_cursor()
        if stop is None or not stop.field.quoted or stop.start < stop.end:
            return
        text = self._buffer.text
        self._text = text[: stop.start - 1] + text[stop.end + 1 :]
        stop.field = stop.field.unquoted()
        stop.start = stop.end = stop.start - 1
        for later in self.stops[self._current + 1 :]:
            later.start -= 2
            later.end -= 2
        self._buffer.document = Document(self._text, stop.start)

    def _at_cursor(self) -> _Stop | None:
        if not self.stops:
            return None
        cursor = self._buffer.cursor_position
        for number in (self._current, *range(len(self.stops))):
            stop: _Stop = self.stops[number]
            if stop.start <= cursor <= stop.end:
                self._current = number
                return stop
        return None

    def _go(self, number: int) -> None:
        self._current = number
        stop = self.stops[number]
        self._buffer.cursor_position = stop.end
        self._buffer.complete_state = None
        if stop.field.choices and stop.start == stop.end:
            self._buffer.start_completion()

    def _replace(self, stop: _Stop, text: str) -> None:
        buffer = self._buffer
        buffer.cursor_position = stop.end
        buffer.delete_before_cursor(stop.end - stop.start)
        buffer.insert_text(text, fire_event=False)

    def _follow(self) -> None:
        """Move the fields along with a change inside one of them; a change elsewhere ends the template."""
        before, after = self._text, self._buffer.text
        self._text = after
        if not self.stops or before == after:
            return
        grown = len(after) - len(before)
        for number in (self._current, *range(len(self.stops))):
            stop = self.stops[number]
            if (
                stop.end - stop.start + grown >= 0
                and after.startswith(before[: stop.start])
                and after.endswith(before[stop.end :])
            ):
                self._current = number
                stop.end += grown
                stop.touched = True
                for later in self.stops[number + 1 :]:
                    later.start += grown
                    later.end += grown
                return
        self.end()


class FieldMarks(Processor):
    """Shows what goes into the empty fields of a template, and which default the next key replaces."""

    def __init__(self, tabstops: Tabstops) -> None:
        self._tabstops = tabstops

    def apply_transformation(self, transformation_input: TransformationInput) -> Transformation:
        """The row with its fields marked."""
        fragments = transformation_input.fragments
        if get_app().is_done or not self._tabstops.are_in(transformation_input.document.text):
            return Transformation(fragments)
        shown = list(self._in_row(transformation_input))
        fragments = explode_text_fragments(list(fragments))
        inserted: list[tuple[int, int]] = []
        for first, last, text in reversed(shown):
            if first == last:
                # What lacks a value is wrong at what comes after; while it is being filled in, that is no news.
                style, piece, *_ = fragments[first] if first < len(fragments) else ("", "")
                if style == _ERROR:
                    fragments[first] = ("", piece)
                fragments[first:first] = [(_PLACE, visible(text))]
                inserted.insert(0, (first, len(visible(text))))
            elif self._tabstops.is_fresh():
                fragments[first:last] = [(style + _DEFAULT, piece) for style, piece, *_ in fragments[first:last]]

        def to_display(column: int) -> int:
            return column + sum(length for at, length in inserted if at < column)

        def to_source(column: int) -> int:
            for at, length in inserted:
                if column > at:
                    column = max(column - length, at)
            return column

        return Transformation(fragments, to_display, to_source)

    def _in_row(self, row: TransformationInput) -> Iterator[tuple[int, int, str]]:
        """The empty fields of a row, and the one that the cursor is in, by column."""
        document = row.document
        here = document.cursor_position
        for stop in self._tabstops.stops:
            if stop.start != stop.end and not stop.start <= here <= stop.end:
                continue
            line, column = document.translate_index_to_position(stop.start)
            if line == row.lineno:
                first = row.source_to_display(column)
                yield first, first + stop.end - stop.start, stop.field.shown
