"""What a key does to the line, without a terminal."""

from __future__ import annotations

from prompt_toolkit.buffer import Buffer, CompletionState
from prompt_toolkit.completion import Completion, DummyCompleter
from prompt_toolkit.document import Document

from rpcshell.prompt.keys import complete


def test_the_only_entry_of_the_menu_is_taken_though_nobody_can_tell_it_again_just_now() -> None:
    buffer = Buffer(completer=DummyCompleter(), document=Document("get id="))
    buffer.complete_state = CompletionState(buffer.document, [Completion("17")])
    complete(buffer)
    assert buffer.text == "get id=17"
