"""The prompt itself: prompt_toolkit's session put together from the adaptors beside this module.

It reads lines; what is done with them is the loop's business. What the first drawing does not need is imported later.
"""

from __future__ import annotations

import contextlib
import importlib
from asyncio import get_running_loop
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from prompt_toolkit import PromptSession
from prompt_toolkit.application import create_app_session
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory, ConditionalAutoSuggest
from prompt_toolkit.enums import EditingMode
from prompt_toolkit.filters import Condition
from prompt_toolkit.key_binding import merge_key_bindings
from prompt_toolkit.lexers import DynamicLexer, SimpleLexer

from rpcshell.client.errors import UsageError
from rpcshell.client.threads import thread_for
from rpcshell.prompt.actions import Actions, action_bindings
from rpcshell.prompt.completer import LateListing, LineCompleter
from rpcshell.prompt.documentation import DocumentationPane, add_documentation
from rpcshell.prompt.history import LineHistory, history_path
from rpcshell.prompt.keys import cursor_shapes, key_bindings, prompt_escape, take_interrupt
from rpcshell.prompt.lexer import HiddenCharacters, LineLexer, Marks, bracket_marks
from rpcshell.prompt.programs import edit_text
from rpcshell.prompt.screen import Screen, call_in_loop
from rpcshell.prompt.tabstops import FieldMarks, Tabstops
from rpcshell.prompt.terminal_background import background_without_asking, hear_background, terminal_output
from rpcshell.prompt.theme import THEME, theme_names, theme_style
from rpcshell.prompt.toolbar import StatusBar, Toolbar
from rpcshell.shell.address_book import short_name
from rpcshell.shell.questions import Questions
from rpcshell.view.escape import visible

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable, Mapping, Sequence

    from prompt_toolkit.application import Application
    from prompt_toolkit.formatted_text.base import StyleAndTextTuples
    from prompt_toolkit.history import History
    from prompt_toolkit.input import Input
    from prompt_toolkit.lexers import Lexer
    from prompt_toolkit.output import Output

    from rpcshell.client.hearing import Hearing
    from rpcshell.prompt.context import LineContext
    from rpcshell.prompt.contrast import RGB
    from rpcshell.prompt.event_line import EventLine
    from rpcshell.prompt.templates import Template
    from rpcshell.shell.unasked import Unasked

_LONGEST_NAME: Final = 40
_MENU_ROWS: Final = 6


class _Asked(Exception):
    """A line is not read on, since there is a question first."""


class _Cleared(Exception):
    """Ctrl-C was pressed among the keys of a line."""


class Prompt:
    """Reads lines from a terminal; `on_ready` is called in a thread once the prompt is there and all is imported."""

    def __init__(
        self,
        context: LineContext,
        *,
        keys: Mapping[str, str] = MappingProxyType({}),
        complaint: Callable[[str, str, UsageError], str] = lambda _table, name, error: f"{name}: {error}",
        history: History | None = None,
        input: Input | None = None,  # noqa: A002  (prompt_toolkit's name for it)
        output: Output | None = None,
        on_ready: Callable[[], None] = lambda: None,
    ) -> None:
        settings = context.settings
        self._context = context
        self._session = context.session
        self._no_lexer = SimpleLexer()
        self._warm = False
        self._on_ready = on_ready
        self._lexer: LineLexer | None = None
        self._ending: BaseException | None = None
        self._background = background_without_asking()
        self._event_line: EventLine | None = None
        self._questions: Questions | None = None
        self._prompt = self._new_session(history, input, output)
        application = self._prompt.app
        self._tabstops = tabstops = Tabstops(self._prompt.default_buffer)
        self.screen = Screen(application.output, application.color_depth, settings=settings, application=application)
        self._actions = Actions(context, self.screen)
        own = key_bindings(context, tabstops, self._template)
        note = self.screen.note
        bound, shown = action_bindings(keys, self._actions.do, lambda key, error: note(complaint("keys", key, error)))
        self._prompt.key_bindings = merge_key_bindings([own, bound])
        toolbar = Toolbar(context)
        self._prompt.input_processors = [
            Marks(lambda text, cursor: bracket_marks(context.read, text, cursor)),
            Marks(lambda text, cursor: tabstops.problem_marks(toolbar.problems(text, cursor))),
            FieldMarks(tabstops),
            HiddenCharacters(),
        ]
        self._status = StatusBar(context, self._prompt.default_buffer, toolbar, tabstops, shown)
        pane = DocumentationPane(context, self._prompt.default_buffer, menu_rows=_MENU_ROWS)
        add_documentation(application.layout, pane)
        application.after_render += self._warm_up
        hear_background(application.input, self._background_told)
        prompt_escape(application)
        context.session.on_change(self._changed)
        settings.offer_themes(theme_names)
        settings.on_change(self._set)
        for name in ("theme", "editing"):
            try:
                self._set(name)
            except UsageError as error:
                note(complaint("settings", name, error))

    def _new_session(self, history: History | None, source: Input | None, output: Output | None) -> PromptSession[str]:
        """Make prompt_toolkit's session, which reads nothing yet."""
        context, settings = self._context, self._context.settings
        suggesting = Condition(lambda: settings.suggestions)
        with create_app_session(output=output or terminal_output()):
            return PromptSession(
                self._message,
                multiline=True,
                lexer=DynamicLexer(self._current_lexer),
                completer=LineCompleter(
                    context,
                    paths=LateListing(context.paths, self._changed),
                    dialects=LateListing(context.prefixes, self._changed),
                    server_values=LateListing(context.ask_server, self._values_came),
                ),
                complete_while_typing=True,
                reserve_space_for_menu=_MENU_ROWS,
                auto_suggest=ConditionalAutoSuggest(AutoSuggestFromHistory(), suggesting),
                history=history or LineHistory(history_path, on_problem=self._history_problem, known=context.known),
                bottom_toolbar=lambda: self._status(self._prompt.app),
                cursor=cursor_shapes(lambda: settings.editing == "vi"),
                prompt_continuation=self._indent,
                style=THEME,
                include_default_pygments_style=False,
                enable_suspend=True,
                interrupt_exception=_Cleared,
                input=source,
                output=output,
            )

    def read(self) -> str:
        """Read one line, which may have several rows; an empty one where Ctrl-C was pressed while it was typed.

        Raises:
            EOFError: Ctrl-D was pressed in an empty line, or the terminal is gone.
            KeyboardInterrupt: Ctrl-C was pressed when the line had been entered.
        """
        self._raise_ending()
        self.screen.show_notes()
        self.ask_waiting()
        line = self._read_line()
        self._raise_ending()
        if self._event_line is not None:
            self._event_line.begin_anew()
        if self._questions is not None:
            self._questions.line_entered()
            # The call that the line makes may wait for the answer.
            self.ask_waiting()
        self._context.helpless = False
        return line

    def ask_waiting(self) -> None:
        """Ask what servers want to know of the person; not while a line is read."""
        if self._questions is None:
            return
        from rpcshell.prompt.form import FormPrompt

        form = FormPrompt(self.screen, self._prompt.app.input, self._prompt.app.output)
        while (question := self._questions.next()) is not None:
            who = self._who()
            try:
                answer = form.ask(who, question.form, self._prompt.style or THEME)
            except KeyboardInterrupt:
                question.answer("cancel")
                self._questions.give_up()
            else:
                question.answer(*answer)

    def _who(self) -> str:
        """Who asks: what the user calls the server, and what it calls itself."""
        unasked, title = self._session.unasked, self._context.catalog.title
        name = (unasked and unasked.strays.who) or ""
        return f"{name} ({title[:_LONGEST_NAME]})" if title and title != name else name

    def _read_line(self) -> str:
        # While keys are read, Ctrl-C is one of them. A signal that comes when they are no longer read is for what the
        # line does: prompt_toolkit's handler would lose it with its event loop, asyncio's raises KeyboardInterrupt.
        source = self._prompt.app.input
        while True:
            try:
                # The modes are put back right after the last look at the keys: what comes later is for what is run.
                with source.raw_mode():
                    line = self._prompt.prompt(
                        default=self._actions.take_draft() or "",
                        handle_sigint=False,
                        set_exception_handler=False,
                        pre_run=self._begin_line,
                    )
                    if line.strip() and take_interrupt(source):
                        raise KeyboardInterrupt
                    return line
            except _Cleared:
                return ""
            except _Asked:
                self._prompt.app.erase_when_done = False
                self.ask_waiting()

    def hear_questions(self, unasked: Unasked) -> None:
        """Have what a server asks a person asked here, from now on."""
        if self._questions is None:
            self._questions = Questions(self._asked, self.screen.note)
        self._questions.listen(unasked.hearing)

    def _asked(self, hearing: Hearing) -> None:
        """A question has come: it is asked at once, above a call that waits or an empty line, or after the line."""
        if not call_in_loop(self._prompt.app, self._leave_empty_line):
            hearing.have_caller_do(self.ask_waiting)

    def _leave_empty_line(self) -> None:
        application, buffer = self._prompt.app, self._prompt.default_buffer
        typing = buffer.text or not application.layout.has_focus(buffer)
        if not typing and application.is_running and not application.is_done:
            application.erase_when_done = True
            application.exit(exception=_Asked())
        application.invalidate()

    def leave_help_out(self) -> bool:
        """Have the line that could not be read go on, without help from what the server said; false if it had none."""
        if self._context.helpless:
            return False
        self._context.helpless = True
        self._actions.keep_draft(self._prompt.default_buffer.text)
        return True

    def _begin_line(self) -> None:
        """Have `read` raise what goes wrong while keys are read; prompt_toolkit would show a traceback as it is."""
        application = self._prompt.app
        # The buffer tells nobody that it begins anew.
        self._tabstops.end()

        def fail(_loop: AbstractEventLoop, context: dict[str, Any]) -> None:
            error = context.get("exception")
            if isinstance(error, Exception) and application.is_running and not application.is_done:
                application.exit(exception=error)

        get_running_loop().set_exception_handler(fail)
        if self._questions:
            # It has come since they were asked last.
            get_running_loop().call_soon(self._leave_empty_line)

    def lines(self) -> Sequence[str]:
        """The lines that were typed, in earlier sessions too, oldest first."""
        return self._prompt.history.get_strings()

    def compose(self, text: str | None = None) -> None:
        """Have the user's editor open, and what is saved be in the line that is read next.

        The editor begins with the text, or else with the line before. Errors are those of `edit_text`.
        """
        if text is None:
            earlier = reversed(self._prompt.history.get_strings())
            text = next((line for line in earlier if not line.lstrip().startswith(":edit")), "")
        with self.screen.hold():
            self._actions.keep_draft(edit_text(text))

    def interrupt(self, error: BaseException) -> bool:
        """Have `read` raise an error; for signal handlers. False if no line is being read."""
        application = self._prompt.app

        def leave() -> None:
            # A line that was accepted a moment ago has its result already; `read` raises the error then.
            if application.is_running and not application.is_done:
                application.exit(exception=error)

        if not call_in_loop(application, leave):
            return False
        self._ending = error
        return True

    def _raise_ending(self) -> None:
        if self._ending is not None:
            raise self._ending

    def _changed(self) -> None:
        """Draw the new state; any thread may call this."""
        call_in_loop(self._prompt.app, self._draw_change)

    def _draw_change(self) -> None:
        """Draw the prompt anew, and open the menu for what was typed before the catalog came."""
        self._prompt.app.invalidate()
        buffer = self._prompt.default_buffer
        if buffer.text.strip() and buffer.complete_state is None and buffer.document.is_cursor_at_the_end:
            buffer.start_completion()

    def _values_came(self) -> None:
        """Show what the server says that a parameter may be; any thread may call this."""
        call_in_loop(self._prompt.app, self._offer_values)

    def _offer_values(self) -> None:
        buffer = self._prompt.default_buffer
        if buffer.text.strip() and (buffer.complete_state is None or buffer.complete_state.complete_index is None):
            buffer.start_completion()

    def _message(self) -> StyleAndTextTuples:
        target = self._session.target
        if target is None:
            return [("class:prompt", "rpcshell> ")]
        above = [] if self._session.unasked is None else self._events_above(self._session.unasked)
        if self._questions:
            above = [*above, ("class:prompt.lost", "the server asks something; it comes after this line\n")]
        name = visible(short_name(self._session.name, target))
        longest = min(self._columns // 2, _LONGEST_NAME)
        if len(name) > longest:
            name = f"…{name[1 - longest :]}"
        if self._session.fleet is not None:
            name = f"{name} {self._session.fleet.count}"
        if self._session.state == "lost":
            return [*above, ("class:prompt", name), ("class:prompt.lost", " (lost)"), ("class:prompt", "> ")]
        return [*above, ("class:prompt", f"{name}> ")]

    def _events_above(self, unasked: Unasked) -> StyleAndTextTuples:
        if self._event_line is None or self._event_line.events is not unasked.events:
            from rpcshell.prompt.event_line import EventLine

            self._event_line = EventLine(unasked.events, self._prompt.app)
        return self._event_line.fragments(self._columns)

    def _indent(self, width: int, _row: int, _wrapped: int) -> str:
        """What further rows begin with: they are in line with the first one where that leaves room for them."""
        return " " * (width if width < self._columns // 3 else 2)

    def _template(self, text: str) -> Template | None:
        """What there is to fill in behind the name of a method that nothing follows."""
        from rpcshell.prompt.templates import template_behind

        if self._context.helpless:
            return None
        return template_behind(self._context.read(text), self._session.method, self._columns - _LONGEST_NAME)

    @property
    def _columns(self) -> int:
        return self._prompt.app.output.get_size().columns

    def _set(self, name: str) -> None:
        """Follow a change of a setting; it may come from a line or from a key."""
        match name:
            case "theme":
                style = theme_style(self._context.settings.theme, self._background, self._prompt.app.color_depth)
                self._prompt.style = style
                self.screen.restyle(style)
            case "editing":
                mode = EditingMode.VI if self._context.settings.editing == "vi" else EditingMode.EMACS
                self._prompt.editing_mode = mode
        self._prompt.app.invalidate()

    def _background_told(self, background: RGB) -> None:
        self._background = background
        # Not a word of a theme of which was said before that there is none.
        with contextlib.suppress(UsageError):
            self._set("theme")

    def _current_lexer(self) -> Lexer:
        if not self._prompt.default_buffer.text:
            return self._no_lexer
        if self._lexer is None or self._lexer.catalog is not self._session.catalog:
            self._lexer = LineLexer(self._context.read, self._session.catalog)
        return self._lexer

    def _warm_up(self, _application: Application[str]) -> None:
        """Import in the background, now that the prompt is there to be seen, what its first keys and line need."""
        if self._warm:
            return
        self._warm = True
        thread_for(self._import_the_rest, "imports")

    def _import_the_rest(self) -> None:
        for name in ("prompt.reading", "prompt.remarks", "prompt.screen_pieces", "shell.shell"):
            importlib.import_module(f"rpcshell.{name}")
        _ = self._context.commands.specs
        self._on_ready()

    def _history_problem(self, text: str) -> None:
        self.screen.note(text)
