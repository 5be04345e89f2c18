"""What the texts of a lesson consist of. Each language has a module of its own."""

from __future__ import annotations

import msgspec

__all__ = ["Column", "StepText", "Texts", "Try", "Words"]


class Try(msgspec.Struct, frozen=True):
    """A line of the shell that shows what a step showed.

    Attributes:
        line: As it is typed.
        shows: What there is to see, or nothing.
    """

    line: str
    shows: str = ""


class StepText(msgspec.Struct, frozen=True):
    """What one step says. Texts with figures have places for them as in `str.format`; `time` formats seconds.

    Attributes:
        title: Its heading.
        about: What it is about; two lines on a screen of 80 columns.
        moments: What happens, by the names that the step gives it.
        so: What follows, in one line.
        tries: How to see the same without the lesson.
    """

    title: str
    about: str
    moments: dict[str, str]
    so: str
    tries: tuple[Try, ...]


class Words(msgspec.Struct, frozen=True):
    """The short texts round the steps.

    Attributes:
        workers: Before the row of workers.
        queue: Before the gauge of the listen queue.
        took: Before the row of how many connections each worker took.
        idle: How many workers do nothing.
        held: How many are held by a connection that is silent.
        busy: How many are in a call.
        connections: How many connections are open, where a worker has many.
        starting: How many are not ready yet, or are leaving.
        try_it: Before the lines to try.
        keys: What keys do after a step; `following` names the next one.
        last_keys: What keys do after the last step.
        following: The next step.
        left: What is said when the lesson is left before its end.
        over: What is said at the end.
    """

    workers: str
    queue: str
    took: str
    idle: str
    held: str
    busy: str
    connections: str
    starting: str
    try_it: str
    keys: str
    last_keys: str
    following: str
    left: str
    over: str


class Column(msgspec.Struct, frozen=True):
    """A column of the last table.

    Attributes:
        title: Its heading.
        meaning: What the figures in it are, or nothing.
    """

    title: str
    meaning: str = ""


class Texts(msgspec.Struct, frozen=True):
    """All texts in a language.

    Attributes:
        steps: Those of the steps, by their names.
        words: The others.
        columns: Those of the table of models, by the names that its step gives them.
    """

    steps: dict[str, StepText]
    words: Words
    columns: dict[str, Column]
