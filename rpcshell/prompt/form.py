"""A form at the prompt: what a server asks a person, field by field, and whether it is sent.

What its fields are and what is typed in them is `rpcshell.line.form`'s.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from prompt_toolkit import PromptSession
from prompt_toolkit.application import create_app_session
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.input import Input
from prompt_toolkit.input.typeahead import get_typeahead, store_typeahead
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.key_binding.key_processor import KeyPressEvent
from prompt_toolkit.output import Output
from prompt_toolkit.styles import BaseStyle
from prompt_toolkit.validation import ValidationError, Validator

from rpcshell.client.dialects import Form, FormAction
from rpcshell.line.form import LEFT_OUT, Choice, Field, FormProblem, fields_of
from rpcshell.line.suggest import matching
from rpcshell.prompt.keys import take_interrupt
from rpcshell.prompt.screen import Screen
from rpcshell.view.escape import visible
from rpcshell.view.width import cut

_LONGEST_MESSAGE: Final = 4000
_KEYS: Final = "Enter goes on · Shift-Tab goes back · Ctrl-D declines · Ctrl-C cancels"
_ACTIONS: Final[tuple[FormAction, ...]] = ("accept", "decline", "cancel")
_BACK: Final = "\0back"


class FormPrompt:
    """Asks forms where the prompt is; not while that reads a line."""

    def __init__(self, screen: Screen, input: Input, output: Output) -> None:  # noqa: A002  (prompt_toolkit's name)
        self._screen = screen
        self._input = input
        self._output = output

    def ask(self, who: str, form: Form, style: BaseStyle) -> tuple[FormAction, dict[str, Any]]:
        """Ask a form of a server that the user calls so; raises `KeyboardInterrupt` where Ctrl-C is pressed.

        That counts up to the moment after the Enter that would have sent it. Keys that were pressed before it was
        there, and those after it, are kept for the prompt.
        """
        # The terminal makes no signals meanwhile, also between two fields: Ctrl-C is a key that comes after others.
        with self._screen.hold(), self._input.raw_mode():
            held = get_typeahead(self._input)
            try:
                self._heed_interrupt()
                held += [*get_typeahead(self._input), *self._input.flush_keys()]
                self._screen.pieces(_header(who, form), paged=False)
                answer = self._fill_in(form, style)
                self._heed_interrupt()
                return answer
            finally:
                store_typeahead(self._input, [*held, *get_typeahead(self._input)])

    def _heed_interrupt(self) -> None:
        if take_interrupt(self._input):
            raise KeyboardInterrupt

    def _fill_in(self, form: Form, style: BaseStyle) -> tuple[FormAction, dict[str, Any]]:
        fields = fields_of(form.schema)
        texts = [field.default for field in fields]
        at, typed = 0, ""
        try:
            while at <= len(fields):
                filling = at < len(fields)
                typed = self._read(fields[at], texts[at], style) if filling else self._read_action(style)
                if typed == _BACK:
                    at = max(at - 1, 0)
                    continue
                if filling:
                    texts[at] = typed
                at += 1
        except EOFError:
            return "decline", {}
        action = _action(typed) or "cancel"
        if action != "accept":
            return action, {}
        values = ((field.name, field.read(text)) for field, text in zip(fields, texts, strict=True))
        return "accept", {name: value for name, value in values if value is not LEFT_OUT}

    def _read(self, field: Field, text: str, style: BaseStyle) -> str:
        return self._prompt(
            f"  {visible(field.title)}{'' if field.required else ' (optional)'}: ",
            text,
            about=field.about,
            choices=field.choices,
            validator=_FieldValidator(field),
            many=field.many,
            style=style,
        )

    def _read_action(self, style: BaseStyle) -> str:
        choices = [Choice("accept", "send it"), Choice("decline", "no"), Choice("cancel", "leave it open")]
        return self._prompt(
            "  accept, decline or cancel? ",
            "",
            about="what is to be done with it",
            choices=choices,
            validator=Validator.from_callable(
                lambda text: _action(text) is not None, "accept, decline or cancel", move_cursor_to_end=True
            ),
            many=False,
            style=style,
        )

    def _prompt(
        self,
        label: str,
        text: str,
        *,
        about: str,
        choices: Sequence[Choice],
        validator: Validator,
        many: bool,
        style: BaseStyle,
    ) -> str:
        columns = self._output.get_size().columns
        with create_app_session(input=self._input, output=self._output):
            session: PromptSession[str] = PromptSession(
                [("class:prompt", cut(label, max(columns // 2, 10)))],
                completer=_ChoiceCompleter(choices, many=many) if choices else None,
                complete_while_typing=True,
                validator=validator,
                validate_while_typing=False,
                bottom_toolbar=lambda: cut(f"{visible(about)} · {_KEYS}" if about else _KEYS, columns - 1),
                key_bindings=_bindings(),
                style=style,
                include_default_pygments_style=False,
                reserve_space_for_menu=min(len(choices), 6),
                input=self._input,
                output=self._output,
            )
            return session.prompt(default=text, handle_sigint=False, set_exception_handler=False)


class _ChoiceCompleter(Completer):
    def __init__(self, choices: Sequence[Choice], *, many: bool) -> None:
        self._choices = choices
        self._many = many

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """The choices that begin with what was typed, or have it in them."""
        typed = document.text_before_cursor
        if self._many:
            typed = typed.rpartition(",")[2].lstrip()
        for choice in matching(self._choices, typed, lambda choice: f"{choice.text} {choice.title}")[:100]:
            shown, meta = visible(choice.text), visible(choice.title)
            yield Completion(choice.text, -len(typed), display=shown, display_meta=meta, style="class:argument")


class _FieldValidator(Validator):
    def __init__(self, field: Field) -> None:
        self._field = field

    def validate(self, document: Document) -> None:
        """Raise what is wrong with the text."""
        try:
            self._field.read(document.text)
        except FormProblem as problem:
            raise ValidationError(len(document.text), visible(str(problem))) from None


def _action(text: str) -> FormAction | None:
    typed = text.strip().lower()
    return next((action for action in _ACTIONS if typed and action.startswith(typed)), None)


def _bindings() -> KeyBindings:
    bindings = KeyBindings()

    @bindings.add("s-tab")
    def _back(event: KeyPressEvent) -> None:
        event.app.exit(result=_BACK)

    @bindings.add("c-d")
    def _decline(event: KeyPressEvent) -> None:
        event.app.exit(exception=EOFError, style="class:aborting")

    return bindings


def _header(who: str, form: Form) -> Iterable[tuple[str, str]]:
    title = f": {visible(form.title[:100])}" if form.title else ""
    yield "class:log.who", f"{visible(who)} asks{title}\n"
    if form.message:
        yield "", visible(form.message[:_LONGEST_MESSAGE], newlines=True).rstrip("\n") + "\n"
