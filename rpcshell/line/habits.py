"""What everyone types at a prompt, whatever program it is of: `exit`, `help`, `?`, `\\q`, `ls`; and what it is here.

Whether a server has a method of such a name is the caller's to know: then it is a call.
"""

import re
from typing import Final, NamedTuple

_LEAVE: Final = frozenset({"exit", "quit", "bye", "logout", r"\q"})
_EXPLAIN: Final = frozenset({"help", "man", "?", r"\?", r"\h"})
_LIST: Final = frozenset({"ls", "dir", "methods", r"\d", r"\dt", r"\df", r"\l"})
_CLEAR: Final = frozenset({"clear", "cls"})
_DESCRIBE: Final = frozenset({"desc", "describe", r"\d", r"\df", r"\d+"})
_CONNECT: Final = frozenset({"use", r"\c", r"\connect"})
_SHOWN: Final = frozenset({"methods", "functions", "tables", "commands"})
_VERBS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
_SYSTEM: Final = frozenset({"cat", "cp", "curl", "git", "grep", "less", "mkdir", "mv", "ps", "pwd", "rm", "vim"})
_BY_NUMBER: Final = re.compile(r"!!|!-?[0-9]+$")
"""The line before, or one by its number, as bash has it in its history."""
_SPAWN: Final = re.compile(r"--spawn[ =]")
_APP: Final = re.compile(r"--app[ =]")


class Habit(NamedTuple):
    """What was typed by habit: its first word, and the line that does it here, or else what to say of it."""

    word: str
    line: str = ""
    say: str = ""


def habit(text: str) -> Habit | None:
    """What a line that no method was meant by stands for, or None."""
    word, _, rest = text.strip().removesuffix(";").partition(" ")
    word, rest = word.removesuffix("()"), rest.strip()
    if word in _LEAVE and not rest:
        return Habit(word, ":quit")
    if word in _LEAVE and rest.isdecimal():
        return Habit(word, say=":quit leaves, and takes no exit code")
    if word in _EXPLAIN and len(rest.split()) <= 1:
        return Habit(word, f":help {rest}".rstrip())
    if word in _DESCRIBE and len(rest.split()) == 1:
        return Habit(word, say=f":doc {rest} explains a method")
    if word in _CONNECT and rest:
        return Habit(word, say=f":connect {rest} does that")
    if word == "rpcshell":
        return Habit(word, say=_of_this_program(rest))
    if word in _VERBS and (path := rest.partition(" ")[0].strip("/")):
        return Habit(word, say=f"a line begins with the method, as in {path.replace('/', '.')} a=1")
    if word in _LIST or (word.lower() == "show" and rest.lower() in _SHOWN):
        files = f", !{text.strip()} the files" if word in {"ls", "dir"} else ""
        return Habit(word, say=f":methods lists the methods{files}")
    if word in _CLEAR and not rest:
        return Habit(word, say="Ctrl-L clears the screen")
    if _BY_NUMBER.match(word):
        return Habit(word, say="Up is the line before, Ctrl-R searches, and :history lists the calls")
    if word in _SYSTEM:
        return Habit(word, say=f"!{text.strip()} is run by the system's shell")
    return None


def _of_this_program(words: str) -> str:
    """What to type for words that a command line has behind `rpcshell`, which runs already."""
    if _SPAWN.match(words):
        # Here the app stands behind the number of workers, without an option.
        return f":spawn {_APP.sub('', words[len('--spawn ') :].strip())} does that"
    target, _, call = words.partition(" ")
    if not target or target.startswith("-"):
        return "this is rpcshell, and :help lists what can be typed"
    return f":connect {target} does that" + (f", and then {call.strip()}" if call else "")
