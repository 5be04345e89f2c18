"""Forms with keys from a pipe: what is answered, and which keys are left for the prompt."""

from __future__ import annotations

from typing import Any

import pytest
from prompt_toolkit.input import PipeInput

from rpcshell.client.dialects import Form
from rpcshell.prompt.form import FormPrompt
from rpcshell.prompt.session import Prompt
from rpcshell.prompt.theme import THEME
from tests.rpcshell.prompt.test_prompt import prompt_with

FORM = Form(
    lambda action, fields: (action, fields),
    "Who are you?",
    {"properties": {"name": {"type": "string"}, "city": {"type": "string"}}},
)
FILLED_IN = "Ada\rDelft\ra\r"
ANSWER = ("accept", {"name": "Ada", "city": "Delft"})


def ask(prompt: Prompt, keys: str, monkeypatch: pytest.MonkeyPatch) -> tuple[str, dict[str, Any]]:
    """Ask the form; the keys are pressed, all at once, when it is there."""
    application = prompt._prompt.app
    pipe, show = application.input, prompt.screen.pieces
    assert isinstance(pipe, PipeInput)

    def shown(*pieces: Any, **options: Any) -> None:
        show(*pieces, **options)
        pipe.send_text(keys)

    monkeypatch.setattr(prompt.screen, "pieces", shown)
    return FormPrompt(prompt.screen, pipe, application.output).ask("somebody", FORM, THEME)


def test_keys_before_a_form_and_after_it_are_for_the_prompt_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    with prompt_with("pi") as prompt:
        assert ask(prompt, f"{FILLED_IN}ng 1\rping 2\r", monkeypatch) == ANSWER
        assert [prompt.read(), prompt.read()] == ["ping 1", "ping 2"]


@pytest.mark.parametrize("entered", ["Ada\r", "Ada\rDelft\r", FILLED_IN, f"{FILLED_IN}ping 1\r", "Ada\r\x04"])
def test_ctrl_c_together_with_the_enter_before_it_cancels_a_form(entered: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with prompt_with("pi") as prompt:
        with pytest.raises(KeyboardInterrupt):
            ask(prompt, f"{entered}\x03ng 2\r", monkeypatch)
        assert prompt.read() == "ping 2"


def test_ctrl_c_in_the_moment_before_a_form_is_there_cancels_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with prompt_with("ping 1\r\x03ping 2\r") as prompt:
        with pytest.raises(KeyboardInterrupt):
            ask(prompt, "", monkeypatch)
        assert prompt.read() == "ping 2"
