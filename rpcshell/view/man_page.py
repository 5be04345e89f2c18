"""Manual pages, as man(7) describes their macros: of a command, from what its help is made of, and of a guide."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

import click

from rpcshell.guides.markdown import Code, Heading, Item, Paragraph, Table, read_markdown, spans
from rpcshell.view.guide_page import table_text

_COLUMNS: Final = 72
"""Of tables, which are not filled anew: what a page has on a terminal of 80."""

_TERM_TABLE_COLUMNS: Final = 2
_BULLET: Final = r"\(bu"
_CONTROL: Final = re.compile(r"^(?=[.'])", re.MULTILINE)


def command_page(command: click.Command, name: str, version: str, guide: str) -> str:
    """The page of a command in section 1: its help, then the Markdown of a guide, whose own title is left out."""
    writer = _Roff()
    command.format_help(click.Context(command, info_name=name, **command.context_settings), writer)
    summary = (command.help or "").partition("\n")[0].rstrip(".")
    return "\n".join([*_start(name, 1, version, summary), writer.getvalue(), *_blocks(guide), ""])


def guide_manual(name: str, version: str, summary: str, guide: str) -> str:
    """The page of a guide in section 7."""
    return "\n".join([*_start(name, 7, version, summary), *_blocks(guide), ""])


def _start(name: str, section: int, version: str, summary: str) -> list[str]:
    title = f'.TH "{name.upper()}" {section} "" "rpcshell {version}"'
    return [title, ".SH NAME", rf"{_escaped(name)} \- {_escaped(summary[:1].lower() + summary[1:])}"]


class _Roff(click.HelpFormatter):
    """Writes what a command writes for its help, with macros in place of columns."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        del prefix
        self._add(".SH SYNOPSIS", rf"\fB{_escaped(prog)}\fR {_escaped(args)}", ".SH DESCRIPTION")

    def write_heading(self, heading: str) -> None:
        self._add(f'.SH "{_escaped(heading)}"')

    def write_paragraph(self) -> None:
        self._add(".PP")

    def write_text(self, text: str) -> None:
        for paragraph in re.split(r"\n\s*\n", text):
            self._add(".PP", _escaped(" ".join(paragraph.split())))

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        del col_max, col_spacing
        for term, text in rows:
            self._add(".TP", rf"\fB{_escaped(term)}\fR", _escaped(" ".join(text.split())))

    @contextmanager
    def indentation(self) -> Iterator[None]:
        yield

    def _add(self, *lines: str) -> None:
        self.write("".join(f"{line}\n" for line in lines))


def _blocks(markdown: str) -> Iterator[str]:
    for block in read_markdown(markdown):
        match block:
            case Heading(level=1):
                pass
            case Heading(text=text):
                yield f'.SH "{_escaped(text)}"'
            case Paragraph(text=text):
                yield from (".PP", _styled(text))
            case Item(mark=mark, text=text):
                yield from (f".IP {_BULLET if mark == '-' else mark} 3", _styled(text))
            case Code(lines=lines):
                yield from _as_it_is("\n".join(lines))
            case Table(rows=rows) if len(rows[0]) == _TERM_TABLE_COLUMNS:
                for term, text in rows[1:]:
                    yield from (".TP", _styled(term), _styled(text))
            case Table(rows=rows):
                yield from _as_it_is(table_text(rows, _COLUMNS))


def _as_it_is(text: str) -> Iterator[str]:
    yield from (".PP", ".RS 2", ".nf", _escaped(text), ".fi", ".RE")


def _styled(text: str) -> str:
    pieces = (rf"\fB{_plain(span.text)}\fR" if span.code or span.strong else _plain(span.text) for span in spans(text))
    return _CONTROL.sub(r"\\&", "".join(pieces))


def _escaped(text: str) -> str:
    return _CONTROL.sub(r"\\&", _plain(text))


def _plain(text: str) -> str:
    """Text without anything that is markup there; its dashes are those that can be typed."""
    return text.replace("\\", r"\e").replace("-", r"\-").replace('"', r"\(dq")
