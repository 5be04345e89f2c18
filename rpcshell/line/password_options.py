"""Passwords among the options of programs that name them by a letter, such as `mysql -pPASSWORD`.

The same letter is a port or a path elsewhere: which option it is depends on the program.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["password_items", "passwords_in_commands"]

_PROGRAM: Final = re.compile(
    r"""(?<![\w.-])(?:
      (?P<attached_p> (?:mysql|mariadb)[a-z_-]* | 7z[ar]? )
    | (?P<p> sshpass | mongo[a-z]* | (?:docker|podman|nerdctl|buildah|skopeo|oras)\s+login | helm\s+registry\s+login )
    | (?P<P> zip | unzip | zipcloak | mosquitto_[a-z]+ | sqlcmd | bcp )
    | (?P<a> redis-cli | valkey-cli )
    | (?P<w> ldap[a-z]+ )
    )(?![\w.-])""",
    re.VERBOSE,
)
"""Programs by the letter of the option; that of the first ones has its value in the same word, or asks for it."""

_MASKED_OPTION: Final = r"(?=\*{3}(?![^\s\"']))"
_OPTIONS: Final = {
    letter: re.compile(rf"(?<![^\s\"'])(?:-{letter[-1]}{between}(?=\S)|{_MASKED_OPTION})")
    for letter, between in {
        "attached_p": "",
        **dict.fromkeys("pPaw", r"(?:\s+(?!-)|=|)"),
    }.items()
}
"""Up to where the password begins. In a list, a mask stands in the place of an option and its value."""

_COMMAND_END: Final = re.compile(r"[|;&\n]")


def passwords_in_commands(text: str, start: int, end: int) -> Iterator[int]:
    """Where each password begins in text with commands of a shell."""
    programs = list(_PROGRAM.finditer(text, start, end))
    for number, program in enumerate(programs):
        following = programs[number + 1].start() if number + 1 < len(programs) else end
        closing = _COMMAND_END.search(text, program.end(), following)
        last = closing.start() if closing else following
        # Its first one: what follows may be the command that it runs, such as the `ssh -p 2222` of sshpass.
        if option := _OPTIONS[program.lastgroup or ""].search(text, program.end(), last):
            yield option.end()


def password_items(items: Sequence[object]) -> set[int]:
    """Which items of a list of a program's arguments are passwords, or options with one."""
    if not any(isinstance(item, str) and item.startswith(("-", "***")) for item in items):
        return set()
    # What has a blank is no word of a command, but may be a command itself.
    words = [item if isinstance(item, str) and not re.search(r"\s", item) else "?" for item in items]
    text = " ".join(words)
    found: set[int] = set()
    number = position = 0
    for begin in passwords_in_commands(text, 0, len(text)):
        while position + len(words[number]) < begin:
            position += len(words[number]) + 1
            number += 1
        found.add(number)
    return found
