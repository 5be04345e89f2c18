"""Passwords among the arguments of programs: in options named by a letter, such as `mysql -pPASSWORD`, and by place.

The same letter is a port or a path elsewhere: which option it is depends on the program.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final


def _option(names: str, between: str = r"(?:\s+(?!-)|=|)", before: str = "") -> str:
    """Up to the value of an option; up to what stands `before` the password in it."""
    quote = r"[\"']?" if before else ""
    return rf"(?<![^\s\"'])-(?:{names}){between}{quote}{before}(?=\S)"


_WORD: Final = r"\s+(?:\"[^\"]*\"|'[^']*'|[^\s\"'-]\S*)"
_FLAGS: Final = r"(?:\s+(?:-\S+|\d+))*"
"""Options before what stands by its place, and their values that are numbers."""
_TO_STDOUT: Final = rf"{_FLAGS}\s+-\w*n"

_BY_LETTER: Final = {
    "p": r"(?:docker|podman|nerdctl|buildah|skopeo|oras|helm\s+registry|az(?:\s+acr)?|oc|cf)\s+login"
    "|sshpass|mongo[a-z]*|rabbitmqadmin|cqlsh|beeline|rdesktop|ncftp[a-z]*|useradd|usermod",
    "P": "zip|unzip|zipcloak|mosquitto_(?:pub|sub|rr)|sqlcmd|bcp|tsql|ipmitool",
    "w": "ldap[a-z]+|smbpasswd",
    "AXc": "snmp[a-z]+",
    "NP": "ssh-keygen",
}
_PROGRAMS: Final[dict[str, tuple[str, str]]] = {
    # The first ones have the value in the same word, or ask for it.
    "mysqladmin": (r"(?:mysql|mariadb)-?admin", _option("p", "") + r"|\bpassword\s+(?=\S)"),
    "mysql": (r"(?:mysql|mariadb)[a-z_-]*|7z+[ar]?", _option("p", "")),
    "rar": (r"(?:un)?rar", _option("h?p", "")),
    **{f"_{letters}": (names, _option(f"[{letters}]")) for letters, names in _BY_LETTER.items()},
    "redis": (r"redis-cli|valkey-cli", _option("a") + r"|\b(?:AUTH|auth)\s+(?:\S+\s+(?=\S))?"),
    "samba": (
        r"smb(?:client|get|cacls|cquotas|tree|map)|rpcclient|winexe|wmic|net\s+(?:ads|rpc)",
        _option(r"U|-user(?:name)?", r"(?:\s+|=|)", r"[^\s\"'%]+%"),
    ),
    "lftp": (r"lftp", _option(r"u|-user", r"(?:\s+|=|)", r"[^\s\"',]+,")),
    "openssl": (
        r"openssl",
        "|".join(
            (
                _option(r"k|K|hmac", r"\s+"),
                _option(r"pass(?:in|out)?", r"\s+", "pass:"),
                _option("macopt", r"\s+", "(?:hex)?key:"),
                r"\bpasswd(?:\s+-(?:salt\s+\S+|\w+))*\s+(?=[^\s-])",
            )
        ),
    ),
    "htpasswd": (
        r"htpasswd|mosquitto_passwd",
        rf"(?<=passwd)(?={_FLAGS}\s+-\w*b)(?:(?={_TO_STDOUT}){_FLAGS}|(?!{_TO_STDOUT}){_FLAGS}{_WORD}){_WORD}\s+(?=\S)",
    ),
    "rabbitmqctl": (r"rabbitmqctl", rf"\b(?:add_user|change_password|authenticate_user){_WORD}\s+(?=\S)"),
    "wpa": (r"wpa_passphrase", rf"(?<=phrase){_WORD}\s+(?=\S)"),
    "nmcli": (r"nmcli", r"\bpassword\s+(?=\S)"),
    "sqlplus": (r"sqlplus|sqlldr|expdp|impdp|rman", r"(?<![^\s\"'])[\w$#]+/(?=[^\s/])"),
    "freerdp": (r"[wx]l?freerdp3?", r"(?<!\S)[\"']?/p:(?=\S)"),
    "db2": (r"db2\s+connect", r"\busing\s+(?=\S)"),
    "vault": (r"vault\s+login", r"(?<=login)(?:\s+-\S+)*\s+(?!\w+=)(?=[^\s-])"),
    "chpasswd": (r"chpasswd|sudo", r"<<<\s*"),
    "set": (
        r"(?i:config(?:ure)?\s+set)",
        r"(?i:(?<=set)\s+(?:-\S+\s+)*(?=\S*(?:secret|pass|token|api_?key|auth))[^\s=]+(?:\s+|=)(?=\S))",
    ),
}
"""Which programs there are of each kind, and up to where a password of theirs begins."""

_MASKED: Final = r"(?<![^\s\"'])(?=\*{3}(?![^\s\"']))"
"""In a list, a mask stands in the place of an option and its value."""

# `re` compiles them when they are first used, which takes as long as to load the language, and keeps them.
_PROGRAM: Final = (
    r"\b(?<![.-])(?:" + "|".join(rf"(?P<{kind}>{names})" for kind, (names, _) in _PROGRAMS.items()) + r")(?![\w.-])"
)
_PASSWORDS: Final = {kind: f"{passwords}|{_MASKED}" for kind, (_, passwords) in _PROGRAMS.items()}
_RUNS_ANOTHER: Final = "_p"
"""The kind of sshpass: only its first option is its own, as in `sshpass -p PASSWORD ssh -p 2222`."""

_COMMAND_END: Final = re.compile(r"[|;&\n]")
_COMMAND_KEYS: Final = {"command", "cmd", "program", "executable", "exe", "binary", "bin", "file", "path"}
_LONGEST_NAME: Final = 256
_BLANK: Final = re.compile(r"\s")


def passwords_in_commands(text: str, start: int, end: int) -> Iterator[int]:
    """Where each password begins in text with commands of a shell."""
    programs = list(re.compile(_PROGRAM).finditer(text, start, end))
    for number, program in enumerate(programs):
        following = programs[number + 1].start() if number + 1 < len(programs) else end
        closing = _COMMAND_END.search(text, program.end(), following)
        last = closing.start() if closing else following
        kind = program.lastgroup or ""
        for password in re.compile(_PASSWORDS[kind]).finditer(text, program.end(), last):
            yield password.end()
            if kind == _RUNS_ANOTHER:
                break


def has_passwords(program: str, arguments: str) -> bool:
    """Whether a text has passwords as the arguments of a program."""
    text = f"{program} {arguments}"
    return bool(program) and next(passwords_in_commands(text, 0, len(text)), None) is not None


def password_items(items: Sequence[object], program: str = "") -> set[int]:
    """Which items of a list of a program's arguments are passwords, or options with one; the program may be in it."""
    if not items or not (_is_program(program) or _is_program(items[0]) or any(map(_is_option, items))):
        return set()
    # What has a blank is no word of a command, but may be a command itself.
    words = [item if isinstance(item, str) and not _BLANK.search(item) else "?" for item in (program or "?", *items)]
    text = " ".join(words)
    found: set[int] = set()
    number = position = 0
    for begin in passwords_in_commands(text, 0, len(text)):
        while position + len(words[number]) < begin:
            position += len(words[number]) + 1
            number += 1
        found.add(number - 1)
    return found


def command_in(holder: Mapping[str, object] | Sequence[object]) -> str:
    """What may be the program whose arguments are in another member of an object, or another item of an array."""
    if isinstance(holder, Mapping):
        named = (value for key, value in holder.items() if isinstance(value, str) and key.lower() in _COMMAND_KEYS)
    else:
        named = (item for item in holder[:1] if isinstance(item, str))
    program = next(named, "")
    return "" if len(program) > _LONGEST_NAME or _BLANK.search(program) else program


def _is_option(item: object) -> bool:
    return isinstance(item, str) and item.startswith(("-", "***"))


def _is_program(item: object) -> bool:
    return isinstance(item, str) and len(item) <= _LONGEST_NAME and re.search(_PROGRAM, item) is not None
