"""The command that turns calls into a file that makes them again: `:export`."""

from __future__ import annotations

import re
import shlex
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from rpcshell.client.errors import CallError, UsageError
from rpcshell.client.target import ChildTarget, HttpTarget
from rpcshell.commands.export import Export, export_text, leave_out
from rpcshell.commands.export.exported import call_key, lost_in_floats
from rpcshell.commands.groups import SCRIPT
from rpcshell.servers.folders import user_path
from rpcshell.shell.command import command
from rpcshell.version import __version__
from rpcshell.view.units import count_of, plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rpcshell.client.target import Target, TlsFiles
    from rpcshell.commands.export import Kind
    from rpcshell.commands.export.exported import Key
    from rpcshell.shell.call import Call
    from rpcshell.shell.shell import Shell

_RUN_BY: Final[dict[Kind, str]] = {"python": "python", "shell": "sh", "pytest": "pytest"}

_SLOW: Final = 1.0
"""Seconds above which a call is not made again only to see whether its result is the same."""

_NUMBERS: Final = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9}))?")


@command(
    "export",
    group=SCRIPT,
    examples=(":export python", ":export shell 12", ":export pytest 3-7 -o test_calls.py", ":export python --last 2"),
)
@click.argument("kind", metavar="KIND", type=click.Choice(tuple(_RUN_BY)))
@click.argument("numbers", metavar="[N|N-M]", nargs=-1)
@click.option("-n", "--last", metavar="COUNT", type=click.IntRange(min=1), help="The last so many calls.")
@click.option("-o", "--output", metavar="FILE", type=click.Path(), help="Write to FILE instead of the screen.")
@click.option("--force", is_flag=True, help="Write over a FILE that is there.")
@click.option("--exact", is_flag=True, help="Have tests expect results as they were.")
def export(
    shell: Shell,
    *,
    kind: Kind,
    numbers: tuple[str, ...],
    last: int | None,
    output: str | None,
    force: bool,
    exact: bool,
) -> None:
    """Turn calls into a program, script or test.

    N is the number of a call in :history, as in :why, N-M are several; without them all calls of this session that
    were answered. KIND is "python" for a program with the blocking client,
    "shell" for a script for sh with `rpcshell -c`, or "pytest" for tests. The file calls the same server, or the one
    that RPCSHELL_TARGET names. Secrets are not in it: it takes them from environment variables.

    Tests expect a result as it was where a second call is known to bring the same: idempotent methods are called once
    more to see. Of the others they hold the type, unless --exact is given.
    """
    records, left_out = leave_out(_chosen(list(shell.journal), numbers, last))
    if not records:
        raise UsageError("no call was answered yet", hint="make some, and :export them then; :history lists them")
    path = None if output is None else _free(user_path(output), force)
    again: dict[Key, list[Any]] = {}
    if kind == "pytest":
        again, changed = _made_again(shell, records)
        records = [record for record in records if record.number not in changed]
        left_out += len(changed)
    text = export_text(kind, _gathered(shell, records, again, file=output, exact=exact))
    if path is None:
        shell.output.text(text.rstrip("\n"))
    else:
        _write(path, text, executable=kind == "shell")
        run = f"{_RUN_BY[kind]} {shlex.quote(str(output))}"
        shell.output.note(f"{count_of(len(records), 'call')} in {output}; run it with: {run}")
    server = shell.session.server
    if server is not None and not server.kept and any(record.target in server.addresses for record in records):
        shell.output.note("the server ends with this shell; RPCSHELL_TARGET names another to the file")
    target = shell.session.target
    if (named := _not_written(target)) and any(record.target == str(target) for record in records):
        shell.output.note(f"{named} of {shell.session.name} is not in the file, where it could be read")
    if left_out:
        what, were = count_of(left_out, "call"), plural(left_out, "was", "were")
        depend = plural(left_out, "depends", "depend")
        shell.output.note(f"left out: {what} that had no reply, {were} too large or too deep, or {depend} on others")


def _not_written(target: Target | None) -> str:
    """What is known of a target that its text does not say."""
    match target:
        case ChildTarget(env=env, cwd=cwd):
            return " and ".join(["the environment"] * bool(env) + ["the folder"] * (cwd is not None))
        case HttpTarget(headers=headers) if headers:
            return "the headers"
    return ""


def _chosen(records: list[Call], numbers: Sequence[str], last: int | None) -> list[Call]:
    """The calls of these numbers, N or N-M, or the last so many; all where neither is given."""
    if numbers and last is not None:
        raise UsageError("give numbers of calls or --last, and only one of them", hint=":history lists the numbers")
    if not numbers:
        return records if last is None else records[-last:]
    wanted: set[int] = set()
    known = {record.number for record in records}
    for text in numbers:
        if (found := _NUMBERS.fullmatch(text)) is None:
            raise UsageError(f"{text} is no number of a call", hint="as in :export python 3 5-7; :history lists them")
        first, to = int(found[1]), int(found[2] or found[1])
        if not known.intersection(range(first, min(to, max(known, default=0)) + 1)):
            raise UsageError(f"there is no call {text} to export", hint=":history lists the calls that are known")
        wanted |= {number for number in known if first <= number <= to}
    return [record for record in records if record.number in wanted]


def _gathered(
    shell: Shell, records: Sequence[Call], again: dict[Key, list[Any]], *, file: str | None, exact: bool
) -> Export:
    """The calls with all that is known of them."""
    session = shell.session
    here = str(session.target)
    return Export(
        records=records,
        version=__version__,
        date=f"{datetime.now().astimezone():%Y-%m-%d}",
        file=shlex.quote(file or "FILE"),
        plain=frozenset({here} if session.plain else ()),
        tls={} if session.tls is None else {here: _absolute(session.tls)},
        methods=session.catalog.methods,
        again=again,
        exact=exact,
        dialects=session.book.dialects,
        decimals=lost_in_floats(records, again),
    )


def _absolute(files: TlsFiles) -> TlsFiles:
    paths = {name: path and str(Path(path).absolute()) for name, path in msgspec.structs.asdict(files).items()}
    return msgspec.structs.replace(files, **paths)


def _made_again(shell: Shell, records: Sequence[Call]) -> tuple[dict[Key, list[Any]], set[int]]:
    """What idempotent calls bring when they are made once more.

    Returned are further results by call, and the numbers of the calls that ended in an error and now bring a result,
    or the other way round.
    """
    session = shell.session
    replies: dict[Key, tuple[str, Any]] = {}
    changed = set()
    for record in records:
        method = session.catalog.methods.get(record.method)
        if record.target != str(session.target) or method is None or not method.idempotent or record.elapsed > _SLOW:
            continue
        key = call_key(record)
        if key not in replies:
            try:
                replies[key] = "ok", session.call(record.method, record.params).result
            except CallError as error:
                replies[key] = "error", error.code
        outcome, content = replies[key]
        if outcome != record.outcome or (outcome == "error" and content != record.code):
            changed.add(record.number)
    return {key: [content] for key, (outcome, content) in replies.items() if outcome == "ok"}, changed


def _free(path: Path, force: bool) -> Path:
    if path.is_dir():
        raise UsageError(f"{path} is a folder")
    if path.exists() and not force:
        raise UsageError(f"{path} is there already", hint="--force writes over it")
    return path


def _write(path: Path, text: str, *, executable: bool) -> None:
    try:
        path.write_text(text, encoding="utf-8")
        if executable:
            # Those who may read it may run it.
            mode = path.stat().st_mode
            path.chmod(mode | (mode & 0o444) >> 2)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error
