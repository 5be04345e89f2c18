"""What servers ask a person waits for them, within bounds."""

from __future__ import annotations

from typing import Any

from rpcshell.client.dialects import Form, ServerRequest
from rpcshell.client.hearing import Hearing
from rpcshell.shell.questions import MANY, MOST_WAITING, Questions


class Asking:
    """A server that asks, and what it was answered."""

    def __init__(self) -> None:
        self.came: list[Hearing] = []
        self.notes: list[str] = []
        self.answers: list[tuple[Any, Any]] = []
        self.hearing = Hearing()
        self.hearing.over = False
        self.questions = Questions(self.came.append, self.notes.append)
        self.questions.listen(self.hearing)

    def ask(self, id: Any, *, form: bool = True) -> None:
        asked = Form(lambda action, fields: {"action": action, **fields}, "?") if form else None
        self.hearing.hear(ServerRequest("ask\x1b", None, id, asked), self.answer)

    def answer(self, request: ServerRequest, outcome: Any) -> None:
        self.answers.append((request.id, outcome))


def test_questions_wait_in_their_order_and_are_answered() -> None:
    server = Asking()
    server.ask(1)
    server.ask(2)
    first, second = server.questions.next(), server.questions.next()
    assert first is not None
    assert second is not None
    assert server.questions.next() is None
    second.answer("decline")
    first.answer("accept", {"a": 1})
    assert server.answers == [(2, {"action": "decline"}), (1, {"action": "accept", "a": 1})]
    assert server.came == [server.hearing] * 2


def test_what_needs_no_person_is_the_dialects() -> None:
    server = Asking()
    server.ask(1, form=False)
    assert server.answers == [(1, NotImplemented)]
    assert len(server.questions) == 0


def test_more_than_anybody_answers_is_declined_and_said_once() -> None:
    server = Asking()
    for id in range(MOST_WAITING + 5):
        server.ask(id)
    assert len(server.questions) == MOST_WAITING
    assert [outcome for _, outcome in server.answers] == [NotImplemented] * 5
    assert len(server.notes) == 1
    assert "\x1b" not in server.notes[0]


def test_who_wants_to_be_left_alone_is_until_the_next_line() -> None:
    server = Asking()
    server.ask(1)
    server.ask(2)
    server.questions.give_up()
    server.ask(3)
    server.ask(4)
    assert server.answers == [
        (1, {"action": "cancel"}),
        (2, {"action": "cancel"}),
        (3, NotImplemented),
        (4, NotImplemented),
    ]
    assert len(server.notes) == 1
    server.questions.line_entered()
    server.ask(5)
    assert len(server.questions) == 1


def test_nobody_is_asked_for_a_server_that_has_gone() -> None:
    server = Asking()
    server.ask(1)
    server.hearing.over = True
    assert server.questions.next() is None
    assert server.answers == []


def test_asking_without_end_is_said_once_until_a_line_is_entered() -> None:
    server = Asking()
    for _ in range(2):
        for id in range(3 * MANY):
            server.ask(id, form=False)
        assert len(server.notes) == 1
    server.questions.line_entered()
    server.questions._counted_since = 0.0
    for id in range(MANY):
        server.ask(id, form=False)
    assert len(server.notes) == 2
