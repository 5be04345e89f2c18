"""Records the sessions of the tour: `python -m tests.recording.tour` types their lines anew and writes what comes.

A line with the comment `Ctrl-C` is interrupted once the shell says that it can be. Blocks without a command of their
own go on with the session of the block before.
"""

from __future__ import annotations

import re
import shlex
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from tests.e2e.terminal import CTRL_C, ENTER, SHELL, Terminal

TOUR: Final = Path(__file__).parents[2] / "rpcshell/guides/tour.md"
INTERRUPTED: Final = "  # Ctrl-C"
_BLOCK: Final = re.compile(r"(?<=^```rpcshell\n).*?(?=^```$)", re.MULTILINE | re.DOTALL)
_TYPED: Final = re.compile(r"^\S*> (.*)$", re.MULTILINE)
_PROMPT: Final = re.compile(r"^(\S+)> *$", re.MULTILINE)
_ROWS: Final = 60
_COLUMNS: Final = 100
_LONGEST: Final = 120.0
"""Seconds that a line may take."""


class Session:
    """A shell in a terminal, and what is to be written of it."""

    def __init__(self, command: str, running: ExitStack) -> None:
        home = Path(running.enter_context(tempfile.TemporaryDirectory()))
        words = shlex.split(command.removeprefix("rpcshell"))
        self._terminal = running.enter_context(Terminal(home, (*SHELL, *words), rows=_ROWS, columns=_COLUMNS))
        self._prompt = self._wait_for_prompt()
        self.start = [f"$ {command}", *self._output(self._terminal.all_text)]

    def type(self, line: str) -> list[str]:
        """The rows that a line makes, its own first."""
        terminal = self._terminal
        typed = line.removesuffix(INTERRUPTED)
        own = f"{self._prompt}> {typed}"
        terminal.mark()
        terminal.send(typed)
        # Until it is there, the prompt may be taken for the next one.
        terminal.wait_for(f"^{re.escape(own[: _COLUMNS // 2])}")
        terminal.send(ENTER)
        if typed != line:
            terminal.wait_for("Ctrl-C cancels")
            terminal.send(CTRL_C)
        self._prompt = self._wait_for_prompt()
        rows = self._output(terminal.all_text)
        shown = ""
        while rows and len(shown) < len("".join(own.split())):
            shown += "".join(rows.pop(0).split())
        return [own + line.removeprefix(typed), *rows]

    def _wait_for_prompt(self) -> str:
        prompt = self._terminal.wait_for(_PROMPT.pattern, _LONGEST)[1]
        self._terminal.wait_until_keys()
        return prompt

    def _output(self, text: str) -> list[str]:
        return _PROMPT.split(text)[0].rstrip("\n").splitlines()


def main() -> None:
    """Write the tour anew."""
    page = TOUR.read_text()
    with ExitStack() as running:
        session: Session | None = None

        def record(block: re.Match[str]) -> str:
            nonlocal session
            rows: list[str] = []
            if block[0].startswith("$ "):
                session = Session(block[0].partition("\n")[0].removeprefix("$ "), running)
                rows += session.start
            assert session is not None
            for line in _TYPED.findall(block[0]):
                rows += session.type(line)
            return "".join(f"{row.rstrip()}\n" for row in rows)

        TOUR.write_text(_BLOCK.sub(record, page))


if __name__ == "__main__":
    main()
